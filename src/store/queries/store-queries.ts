/**
 * What can be asked of the store, whoever asks (query.sock, carbonserver): each function answers one kind
 * of request of ipc/store-protocol.ts, in slices, and stops when nobody waits any more. `QueryError` is
 * what the asker is told.
 */

import { toUtf8 } from '../../lib/bytes.ts'
import { type Clock, sleep } from '../../lib/clock.ts'
import type {
  DeleteReply,
  DeleteRequest,
  FetchedSeries,
  FetchEnd,
  FetchRequest,
  FindMatch,
  FindReply,
  FindRequest,
  IndexReply,
  IndexRequest,
  InfoReply,
  InfoRequest,
  RegisterReply,
  RegisterRequest,
  RenameReply,
  RenameRequest,
  Selector,
  TagsReply,
  TagsRequest,
} from '../../ipc/store-protocol.ts'
import { canonicalPath, isValidPath } from '../../metric/path.ts'
import { ABSENT } from '../index/byte-table.ts'
import type { Engine, FetchedSlots, FetchRange } from '../engine.ts'
import { type FetchShape, secondsOf, shapeOf } from './fetch-shapes.ts'
import { comparePaths, NameListing } from './name-listing.ts'
import { NameSearch, spelling } from './name-search.ts'
import { QueryError } from '../query-error.ts'
import type { SeriesIndex } from '../index/series-index.ts'
import { type InfoSources, infosOf, withSpans } from './series-info.ts'
import type { SeriesRegistry } from '../index/series-registry.ts'
import { inSlices, type Patience } from '../../lib/slices.ts'
import { answerTags } from './tag-queries.ts'
import type { WhisperTree } from '../whisper/whisper-tree.ts'
import { showUnder } from '../whisper/whisper-under.ts'

export interface StoreQueriesParts {
  readonly index: SeriesIndex
  readonly engine: Engine
  readonly registry: SeriesRegistry
  readonly clock: Clock
  /** A Whisper tree that shows under the store's own data. */
  readonly tree?: WhisperTree | undefined
}

/** Where the series of a fetch go. */
export interface SeriesReceiver {
  /** Stops the fetch. */
  readonly signal: AbortSignal
  /** A promise is waited for before more is read: the reader is slow. */
  take(series: FetchedSeries): void | Promise<void>
}

interface CountingReceiver extends SeriesReceiver {
  /** Notes one more series with so many stored points; throws when it is too much. */
  count(points: number): void
}

/** The series that a selector means, and what is to be done with them. */
interface Selection {
  /** Index into the request's selectors. */
  readonly selector: number
  /** In the order in which they are answered. */
  readonly ids: Uint32Array
  readonly shape: FetchShape
}

interface AskedSelector {
  /** Index into the request's selectors. */
  readonly selector: number
  readonly range: FetchRange
  readonly seriesMax: number
}

export class StoreQueries {
  private readonly index: SeriesIndex
  private readonly engine: Engine
  private readonly registry: SeriesRegistry
  private readonly clock: Clock
  private readonly tree: WhisperTree | undefined
  private readonly known: InfoSources
  private readonly listing: NameListing
  private readonly search: NameSearch

  constructor({ index, engine, registry, clock, tree }: StoreQueriesParts) {
    this.index = index
    this.engine = engine
    this.registry = registry
    this.clock = clock
    this.tree = tree
    this.known = { index, engine, tree }
    this.listing = new NameListing({ index, clock, tree })
    this.search = new NameSearch({ index, engine, tree })
  }

  async find(request: FindRequest, patience: Patience): Promise<FindReply> {
    const matches: FindMatch[][] = []
    let left = request.namesMax
    for (const pattern of request.patterns) {
      const found = await this.search.find(pattern, { ...request, namesMax: left }, patience)
      left -= found.length
      const { withSpan, now } = request
      matches.push(withSpan ? await inSlices(withSpans(this.known, found, now), patience) : found)
    }
    return { matches }
  }

  async fetch(
    request: FetchRequest,
    receiver: SeriesReceiver,
    patience: Patience,
  ): Promise<FetchEnd> {
    const { from, until, now, selectors, seriesMax, pointsMax } = request
    if (until < from) {
      throw new QueryError('bad', `the range ends (${until}) before it begins (${from})`)
    }
    const range = { from, until, now }
    const sum = { series: 0, points: 0 }
    const counting: CountingReceiver = {
      ...receiver,
      count(points) {
        sum.series++
        sum.points += points
        if (sum.points > pointsMax) throw new QueryError('limit', `more than ${pointsMax} points`)
      },
    }
    if (this.tree) {
      for (let selector = 0; selector < selectors.length; selector++) {
        const asked = { selector, range, seriesMax: seriesMax - sum.series }
        await this.fetchLayered(this.tree, selectors[selector]!, asked, counting, patience)
      }
    } else {
      for (const selection of await this.selectAll(request, range, patience)) {
        await this.fetchOwn(selection, range, counting)
      }
    }
    return sum
  }

  listNames(request: IndexRequest, patience: Patience): Promise<IndexReply> {
    return this.listing.page(request.after, request.namesMax, patience)
  }

  tags(request: TagsRequest, patience: Patience): Promise<TagsReply> {
    return answerTags(this.index, request, patience)
  }

  async register(request: RegisterRequest): Promise<RegisterReply> {
    const paths = request.paths.map(goodPath)
    for (const path of paths) {
      if (this.registry.resolveOnce(toUtf8(path)) === ABSENT) {
        throw new QueryError('unavailable', `no new series are taken now: ${path}`)
      }
    }
    await this.engine.sync()
    return { paths }
  }

  async delete(request: DeleteRequest): Promise<DeleteReply> {
    this.mustWrite()
    const deleted = this.registry.remove(request.paths.map((path) => spelling(path)))
    await this.engine.sync()
    return { deleted }
  }

  async rename(request: RenameRequest): Promise<RenameReply> {
    this.mustWrite()
    const to = goodPath(request.to)
    if (this.index.findText(to) !== ABSENT) throw new QueryError('bad', `${to} exists already`)
    const renamed = this.registry.rename(spelling(request.from), to)
    await this.engine.sync()
    return { renamed }
  }

  async info({ paths, now }: InfoRequest, patience: Patience): Promise<InfoReply> {
    return { series: await inSlices(infosOf(this.known, paths.map(spelling), now), patience) }
  }

  private async selectAll(
    { selectors, seriesMax, pointsMax, display, anyOrder }: FetchRequest,
    range: FetchRange,
    patience: Patience,
  ): Promise<Selection[]> {
    const found: Uint32Array[] = []
    let left = seriesMax
    for (const selector of selectors) {
      const byName = anyOrder !== true || (selector.combine !== undefined && !display)
      const ids = await this.search.select(selector, { seriesMax: left, byName }, patience)
      left -= ids.length
      found.push(ids)
    }
    const plans = found.map((ids) => this.engine.plan(ids, range))
    const points = plans.reduce((sum, { slots }) => sum + slots, 0)
    if (points > pointsMax) throw new QueryError('limit', `more than ${pointsMax} points`)
    const seconds = secondsOf(plans)
    return found.map((ids, selector) => ({
      selector,
      ids,
      shape: shapeOf(selectors[selector]!, { plan: plans[selector]!, display, seconds }),
    }))
  }

  private async fetchOwn(
    { selector, ids, shape }: Selection,
    range: FetchRange,
    receiver: CountingReceiver,
  ): Promise<void> {
    const each = (i: number, slots: FetchedSlots | undefined): void | Promise<void> => {
      const id = ids[i]!
      const rule = this.engine.ruleOf(id)
      if (!slots || !rule || !this.index.has(id)) return
      receiver.count(slots.values.length)
      const { method, xFilesFactor } = rule
      const name = this.index.name(id)
      const ready = shape.push({ ...slots, name, selector, method, xFilesFactor, isShown: false })
      return ready && receiver.take(ready)
    }
    if (ids.length > 0) await this.engine.fetch(ids, range, each, receiver.signal)
    const last = shape.end()
    if (last) await receiver.take(last)
  }

  /** Series of the store over those of the tree, name by name. */
  private async fetchLayered(
    tree: WhisperTree,
    what: Selector,
    { selector, range, seriesMax }: AskedSelector,
    receiver: CountingReceiver,
    patience: Patience,
  ): Promise<void> {
    const ids = await this.search.select(what, { seriesMax, byName: false }, patience)
    const names = new Set(Array.from(ids, (id) => this.index.name(id)))
    if ('pattern' in what) {
      const options = { leavesOnly: true, namesMax: seriesMax }
      const below = await this.search.walkTree(tree, what.pattern, options, patience)
      for (const name of below.leaves) names.add(name)
    }
    if (names.size > seriesMax) throw new QueryError('limit', 'too many series: ask for fewer')
    for (const name of [...names].sort(comparePaths)) {
      receiver.signal.throwIfAborted()
      const id = this.index.findText(name)
      const ownRule = id === ABSENT ? undefined : this.engine.ruleOf(id)
      const own = ownRule ? await this.slotsOf(id, range, receiver.signal) : undefined
      const file = tree.fetch(name, range)
      const rule = ownRule ?? file?.rule
      const slots = rule && showUnder(own, file?.slots, rule)
      if (!slots) continue
      const { method, xFilesFactor } = rule
      receiver.count(slots.values.length)
      await receiver.take({ ...slots, name, selector, method, xFilesFactor, isShown: false })
      await sleep(this.clock, 0)
    }
  }

  private async slotsOf(
    id: number,
    range: FetchRange,
    signal: AbortSignal,
  ): Promise<FetchedSlots | undefined> {
    let found: FetchedSlots | undefined
    const keep = (_: number, slots: FetchedSlots | undefined): void => {
      if (slots) found = { ...slots, values: slots.values.slice() }
    }
    await this.engine.fetch(Uint32Array.of(id), range, keep, signal)
    return found
  }

  private mustWrite(): void {
    if (!this.engine.acceptsPoints()) {
      throw new QueryError('unavailable', 'the store does not write now')
    }
  }
}

/** A name for a new series, in its canonical form. */
function goodPath(path: string): string {
  const canonical = isValidPath(toUtf8(path)) ? canonicalPath(path) : undefined
  if (!canonical) throw new QueryError('bad', `${JSON.stringify(path)} is no name of a series`)
  if (!canonical.ok) throw new QueryError('bad', canonical.error)
  return canonical.value
}
