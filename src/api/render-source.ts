/**
 * Where one render request's series come from: the stores, asked once for each distinct range, the events
 * table, and outside tables for their aliases. It counts what is fetched over the whole request, so that the
 * limits hold for all of a request's questions together.
 */

import type { Display, FetchedSeries, Selector } from '../ipc/store-protocol.ts'
import type { EventStore } from './events.ts'
import { AliasBatch } from './lookups/alias-batch.ts'
import type { AliasTables } from './lookups/alias-tables.ts'
import {
  type AliasQuestion,
  type EventQuery,
  RenderError,
  type SeriesFetch,
  type SeriesSource,
} from './render-series.ts'
import type { StoreClient, StoreScope } from './stores/store-client.ts'

export interface RenderSourceOptions {
  readonly stores: StoreClient
  readonly events: EventStore
  readonly aliases: AliasTables
  readonly scope: StoreScope
  readonly seriesMax: number
  readonly pointsMax: number
}

interface RangeQuestion {
  readonly from: number
  readonly until: number
  readonly selectors: Selector[]
  /** Key of a selector → its place in `selectors`. */
  readonly places: Map<string, number>
}

export class RenderSource implements SeriesSource {
  private readonly options: RenderSourceOptions
  private readonly aliases: AliasBatch
  private seriesLeft: number
  private pointsLeft: number

  constructor(options: RenderSourceOptions) {
    this.options = options
    this.aliases = new AliasBatch(options.aliases)
    this.seriesLeft = options.seriesMax
    this.pointsLeft = options.pointsMax
  }

  async fetch(
    fetches: readonly SeriesFetch[],
    display?: Display,
  ): Promise<readonly (readonly FetchedSeries[])[]> {
    const ranges = new Map<string, RangeQuestion>()
    const places = fetches.map((fetch) => place(ranges, fetch))
    const answers = new Map<RangeQuestion, readonly (readonly FetchedSeries[])[]>()
    await Promise.all(
      [...ranges.values()].map(async (range) => {
        answers.set(range, await this.fetchRange(range, display))
      }),
    )
    return places.map(({ range, index }) => answers.get(range)![index]!)
  }

  events(query: EventQuery): Promise<readonly number[]> {
    const found = this.options.events.find({ ...query, set: 'known' })
    return Promise.resolve(found.map((event) => event.when))
  }

  lookUpAlias(question: AliasQuestion): Promise<string | undefined> {
    return this.aliases.lookUp(question)
  }

  private async fetchRange(
    range: RangeQuestion,
    display: Display | undefined,
  ): Promise<readonly (readonly FetchedSeries[])[]> {
    const { from, until, selectors } = range
    const lists = await this.options.stores.fetch(this.options.scope, {
      from,
      until,
      selectors,
      seriesMax: this.seriesLeft,
      pointsMax: this.pointsLeft,
      ...(display && { display }),
    })
    for (const list of lists) {
      for (const series of list) {
        this.seriesLeft--
        this.pointsLeft -= series.values.length
      }
    }
    if (this.seriesLeft < 0) throw tooMuch(`${this.options.seriesMax} series`)
    if (this.pointsLeft < 0) throw tooMuch(`${this.options.pointsMax} points`)
    return lists
  }
}

function tooMuch(limit: string): RenderError {
  return new RenderError(
    `the request needs more than ${limit}: ask for fewer series or a shorter range`,
    413,
  )
}

/** Where the answer to `fetch` will be, with its range and selector asked for only once. */
function place(
  ranges: Map<string, RangeQuestion>,
  { selector, from, until }: SeriesFetch,
): { range: RangeQuestion; index: number } {
  const rangeKey = `${from} ${until}`
  let range = ranges.get(rangeKey)
  if (!range) {
    range = { from, until, selectors: [], places: new Map() }
    ranges.set(rangeKey, range)
  }
  const key = JSON.stringify(selector)
  let index = range.places.get(key)
  if (index === undefined) {
    index = range.selectors.push(selector) - 1
    range.places.set(key, index)
  }
  return { range, index }
}
