/**
 * Evaluation without the store: the series lie in memory, one-second data of two hours, as the store's answer
 * hands them over.
 */

import { consolidateForDisplay } from '../../src/api/consolidation.ts'
import { evaluateTargets, type RenderContext } from '../../src/api/evaluator.ts'
import type { SeriesFetch, SeriesSource } from '../../src/api/render-series.ts'
import { parseTarget } from '../../src/api/target-parser.ts'
import type { FetchedSeries } from '../../src/ipc/store-protocol.ts'
import { systemClock } from '../../src/lib/clock.ts'
import type { BenchCase, Random, Work } from './bench.ts'

const SLOTS = 7_200
const UNTIL = 1_760_004_000
/** Longer ranges, for windows, are the end of this. */
const STORED_SLOTS = SLOTS + 3_600

/** Every selector answers all series. */
class ColumnSource implements SeriesSource {
  readonly #names: readonly string[]
  readonly #columns: readonly Float64Array[]

  constructor(count: number, random: Random) {
    this.#names = Array.from(
      { length: count },
      (_, i) => `fleet.host${String(i).padStart(4, '0')}.load`,
    )
    this.#columns = this.#names.map(() => wave(random))
  }

  fetch(fetches: readonly SeriesFetch[]): Promise<FetchedSeries[][]> {
    return Promise.resolve(
      fetches.map(({ from, until }, selector) => {
        const length = until - from
        return this.#names.map((name, i) => ({
          selector,
          name,
          start: from + 1,
          step: 1,
          values: this.#columns[i]!.subarray(STORED_SLOTS - length),
          xFilesFactor: 0,
          method: 'average' as const,
        }))
      }),
    )
  }

  events(): Promise<number[]> {
    return Promise.resolve([])
  }
}

/** A gauge of three decimals that wanders, with a gap now and then. */
function wave(random: Random): Float64Array {
  const values = new Float64Array(STORED_SLOTS)
  let level = 50
  for (let i = 0; i < values.length; i++) {
    level += random() - 0.5
    values[i] = random() < 0.01 ? NaN : Math.round(level * 1_000) / 1_000
  }
  return values
}

function contextOver(source: SeriesSource): RenderContext {
  return {
    from: UNTIL - SLOTS,
    until: UNTIL,
    now: UNTIL,
    timeZone: 'UTC',
    xFilesFactor: 0,
    template: new Map(),
    source,
    clock: systemClock,
    signal: new AbortController().signal,
    deadlineMs: Infinity,
    pointsMax: 1e9,
  }
}

function evaluation(
  name: string,
  target: string,
  series: number,
  maxDataPoints?: number,
): BenchCase {
  return {
    name: `api/functions: ${name}`,
    unit: 'points',
    prepare(scale, random): Work {
      const count = Math.max(Math.round(series * scale), 2)
      const source = new ColumnSource(count, random)
      return {
        count: count * SLOTS,
        async run() {
          const list = await evaluateTargets([target], contextOver(source))
          return checksum(consolidateForDisplay(list, maxDataPoints).map(({ values }) => values))
        },
      }
    },
  }
}

/** Of a few values of each: the whole would cost more than what is measured. */
function checksum(columns: readonly Float64Array[]): number {
  let sum = columns.length
  for (const values of columns) {
    for (let i = 0; i < values.length; i += 97) sum += values[i]! || 0
  }
  return sum
}

const TARGETS = [
  'fleet.*.load',
  'aliasByNode(movingAverage(servers.web*.cpu.{user,system},"5min"),1,3)',
  'alias(asPercent(sumSeries(app.*.errors),sumSeries(app.*.requests)),"errors in %")',
  'groupByNode(perSecond(collectd.*.interface-eth0.if_octets.rx)|scale(8),1,"sum")',
]

const parsing: BenchCase = {
  name: 'api/target-parser: parse dashboards’ targets, none seen before',
  unit: 'targets',
  prepare(scale) {
    const count = Math.max(Math.round(20_000 * scale), 4)
    const targets = Array.from({ length: count }, (_, i) => `alias(${TARGETS[i % 4]},"${i}")`)
    return {
      count,
      run() {
        let parsed = 0
        for (const target of targets) if (parseTarget(target).ok) parsed++
        return parsed
      },
    }
  },
}

export const cases: readonly BenchCase[] = [
  evaluation('raw, 1,000 × 7,200', 'fleet.*.load', 1_000),
  evaluation('raw, 1,000 × 7,200, maxDataPoints=1000', 'fleet.*.load', 1_000, 1_000),
  evaluation('sumSeries of 1,000 × 7,200', 'sumSeries(fleet.*.load)', 1_000),
  evaluation('scale of 1,000 × 7,200', 'scale(fleet.*.load,2)', 1_000),
  evaluation('perSecond of 1,000 × 7,200', 'perSecond(fleet.*.load)', 1_000),
  evaluation('summarize 1min of 1,000 × 7,200', 'summarize(fleet.*.load,"1min","avg")', 1_000),
  evaluation('movingAverage 600 of 12 × 7,200', 'movingAverage(fleet.*.load,600)', 12),
  evaluation('movingMedian 600 of 12 × 7,200', 'movingMedian(fleet.*.load,600)', 12),
  evaluation('movingAverage 600 of 1,000 × 7,200', 'movingAverage(fleet.*.load,600)', 1_000),
  evaluation('stddevSeries of 100 × 7,200', 'stddevSeries(fleet.*.load)', 100),
  parsing,
]
