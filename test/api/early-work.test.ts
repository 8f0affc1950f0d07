import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { consolidateForDisplay } from '../../src/api/consolidation.ts'
import { evaluateTargets, type RenderContext } from '../../src/api/evaluator.ts'
import type { RenderSeries, SeriesFetch, SeriesSource } from '../../src/api/render-series.ts'
import type { Display, FetchedSeries, FetchRequest } from '../../src/ipc/store-protocol.ts'
import { parseRetentions } from '../../src/metric/retention.ts'
import { edgeOf, resolve } from '../store/edge-setup.ts'
import { contextOver } from './render-fixture.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(60_000)

const NOW = 1_800_000_000
const FROM = NOW - 600

/** Series by name: seconds between points, and the points. */
type Stored = Readonly<Record<string, { step: number; values: readonly number[] }>>

/** The store's own way of answering, with or without doing early what it may. */
class StoreSource implements SeriesSource {
  readonly asked: FetchRequest[] = []
  readonly fetched: FetchedSeries[] = []
  private readonly edge: ReturnType<typeof edgeOf>
  private readonly isOld: boolean

  constructor(stored: Stored, isOld: boolean) {
    this.edge = edgeOf()
    this.isOld = isOld
    const { engine, registry } = this.edge
    for (const [name, { step, values }] of Object.entries(stored)) {
      const id = resolve(registry, name)
      const archives = parseRetentions(`${step}s:1d`)
      if (!archives.ok) throw new Error(archives.error)
      engine.redefine(id, { archives: archives.value, method: 'average', xFilesFactor: 0 })
      values.forEach((value, i) => {
        if (Number.isNaN(value)) return
        const times = Uint32Array.of(FROM + (i + 1) * step)
        engine.append(undefined, Uint32Array.of(id), times, Float64Array.of(value), 1)
      })
    }
  }

  async fetch(fetches: readonly SeriesFetch[], display?: Display): Promise<FetchedSeries[][]> {
    const lists: FetchedSeries[][] = fetches.map(() => [])
    const { from, until } = fetches[0]!
    const request: FetchRequest = {
      op: 'fetch',
      now: NOW,
      deadlineMs: 10_000,
      selectors: fetches.map(({ selector }) => this.asTaken(selector)),
      from,
      until,
      seriesMax: 1_000,
      pointsMax: 1_000_000,
      ...(display && !this.isOld ? { display } : {}),
    }
    this.asked.push(request)
    const take = (series: FetchedSeries): void => {
      const copy = { ...series, values: series.values.slice() }
      lists[series.selector]!.push(copy)
      this.fetched.push(copy)
    }
    const { signal } = new AbortController()
    const patience = { clock: this.edge.clock, isOver: () => false }
    await this.edge.queries.fetch(request, { signal, take }, patience)
    return lists
  }

  events(): Promise<number[]> {
    return Promise.resolve([])
  }

  lookUpAlias(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  private asTaken(selector: SeriesFetch['selector']): SeriesFetch['selector'] {
    if (!this.isOld) return selector
    const { combine: _, consolidation: __, ...rest } = selector
    return rest
  }
}

async function rendered(
  source: StoreSource,
  targets: readonly string[],
  changes: Partial<RenderContext>,
): Promise<RenderSeries[]> {
  const range = { from: FROM, until: NOW, now: NOW }
  const list = await evaluateTargets(targets, contextOver(source, { ...range, ...changes }))
  return consolidateForDisplay(list, changes.maxDataPoints)
}

function described(list: readonly RenderSeries[]): unknown {
  return list.map(({ name, start, step, values, tags }) => ({
    name,
    start,
    step,
    values: [...values],
    tags: [...tags],
  }))
}

const value = fc.oneof(
  { weight: 4, arbitrary: fc.double({ noDefaultInfinity: true, min: -1e9, max: 1e9 }) },
  fc.constant(NaN),
)
const stored = fc.dictionary(
  fc.constantFrom('a.x', 'a.y', 'a.z', 'b.x', 'b.y;dc=eu', 'b.z;dc=eu'),
  fc.record({
    step: fc.constantFrom(1, 1, 10, 60),
    values: fc.array(value, { minLength: 1, maxLength: 300 }),
  }),
)

describe('what the store does early comes to the same bits', () => {
  async function same(
    targets: readonly string[],
    series: Stored,
    changes: Partial<RenderContext>,
  ): Promise<void> {
    const early = await rendered(new StoreSource(series, false), targets, changes)
    const late = await rendered(new StoreSource(series, true), targets, changes)
    expect(described(early)).toEqual(described(late))
  }

  test('for display', async () => {
    const targets = fc.subarray(
      [
        'a.*',
        'b.x',
        'seriesByTag("dc=eu")',
        'consolidateBy(alias(a.x,"m"),"max")',
        'color(cumulative(a.y),"red")',
        'consolidateBy(consolidateBy(a.*,"min"),"last")',
      ],
      { minLength: 1 },
    )
    const points = fc.integer({ min: 1, max: 700 })
    await fc.assert(
      fc.asyncProperty(
        stored,
        targets,
        points,
        fc.constantFrom(0, 0.5),
        (series, asked, maxDataPoints, xFilesFactor) =>
          same(asked, series, { maxDataPoints, xFilesFactor }),
      ),
      { numRuns: 100 },
    )
  })

  test('for sums and the like', async () => {
    const targets = fc.subarray(
      [
        'sumSeries(a.*)',
        'alias(averageSeries(*.*),"mean")',
        'minSeries(seriesByTag("dc=eu"))',
        'maxSeries(*.x)',
        'diffSeries(sumSeries(a.*),sumSeries(b.*))',
      ],
      { minLength: 1 },
    )
    await fc.assert(
      fc.asyncProperty(stored, targets, (series, asked) => same(asked, series, {})),
      { numRuns: 100 },
    )
  })
})

describe('what the store may do early', () => {
  const series: Stored = {
    'a.x': { step: 1, values: Array.from({ length: 600 }, (_, i) => i) },
    'a.y': { step: 1, values: Array.from({ length: 600 }, (_, i) => i / 7) },
  }

  async function valuesSent(
    targets: readonly string[],
    changes: Partial<RenderContext> = {},
  ): Promise<number[]> {
    const source = new StoreSource(series, false)
    await rendered(source, targets, changes)
    return source.fetched.map(({ values }) => values.length)
  }

  test('plain series go out consolidated', async () => {
    expect(await valuesSent(['alias(a.*,"x")'], { maxDataPoints: 60 })).toEqual([60, 60])
  })

  test('unless one target of the request wants all values', async () => {
    const targets = ['a.x', 'scale(a.y,2)']
    expect(await valuesSent(targets, { maxDataPoints: 60 })).toEqual([600, 600])
    expect(await valuesSent(['setXFilesFactor(a.*,1)'], { maxDataPoints: 60 })).toEqual([600, 600])
    expect(await valuesSent(['legendValue(a.*,"last")'], { maxDataPoints: 60 })).toEqual([600, 600])
    expect(await valuesSent(['a.*'])).toEqual([600, 600])
  })

  test('of what is summed, the sum goes out', async () => {
    expect(await valuesSent(['sumSeries(a.*)'])).toEqual([0, 600])
  })

  test('unless there are other series in it, or few known values are not enough', async () => {
    expect(await valuesSent(['sumSeries(a.x,a.y)'])).toEqual([600, 600])
    expect(await valuesSent(['sumSeries(a.*)'], { xFilesFactor: 0.5 })).toEqual([600, 600])
    expect(await valuesSent(['stddevSeries(a.*)'])).toEqual([600, 600])
  })
})
