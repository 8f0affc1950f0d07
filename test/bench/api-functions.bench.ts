/**
 * Evaluation and JSON without store and sockets: the series lie in memory, one-second data of two hours, as the
 * store's answer hands them over. `--peers` asks the real graphite-web for the same, over Whisper files of the
 * same values, warm and with nothing cached.
 */

import { consolidateForDisplay } from '../../src/api/consolidation.ts'
import { evaluateTargets, type RenderContext } from '../../src/api/evaluator.ts'
import { jsonFormat } from '../../src/api/formats/json.ts'
import type { RenderQuery } from '../../src/api/render-query.ts'
import type { SeriesFetch, SeriesSource } from '../../src/api/render-series.ts'
import { parseTarget } from '../../src/api/target-parser.ts'
import type { FetchedSeries, Selector } from '../../src/ipc/store-protocol.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { isGlob } from '../../src/metric/glob.ts'
import { GraphiteWeb, graphiteWebIsMissing } from '../peers/graphite-web.ts'
import { writeWhisper } from '../peers/whisper-file.ts'
import type { BenchCase, Random, Work } from './bench.ts'

const SLOTS = 7_200
const UNTIL = 1_760_004_000
/** Longer ranges, for windows, are the end of this. */
const STORED_SLOTS = SLOTS + 3_600

/** Every selector answers all series, but for one that is a plain name. */
class ColumnSource implements SeriesSource {
  readonly #names: readonly string[]
  readonly #columns: readonly Float64Array[]

  constructor(count: number, random: Random) {
    this.#names = Array.from({ length: count }, (_, i) => seriesName(i))
    this.#columns = this.#names.map(() => wave(random))
  }

  fetch(fetches: readonly SeriesFetch[]): Promise<FetchedSeries[][]> {
    return Promise.resolve(
      fetches.map(({ selector, from, until }, index) => {
        const length = until - from
        const names = isPlain(selector) ? this.#names.slice(0, 1) : this.#names
        return names.map((name, i) => ({
          selector: index,
          name,
          start: from + 1,
          step: 1,
          values: this.#columns[i]!.subarray(STORED_SLOTS - length),
          xFilesFactor: 0,
          method: 'average' as const,
          isShown: false,
        }))
      }),
    )
  }

  events(): Promise<number[]> {
    return Promise.resolve([])
  }

  lookUpAlias(): Promise<undefined> {
    return Promise.resolve(undefined)
  }
}

function isPlain(selector: Selector): boolean {
  return 'pattern' in selector && !isGlob(selector.pattern)
}

function seriesName(index: number): string {
  return `fleet.host${String(index).padStart(4, '0')}.load`
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
      const count = Math.max(Math.round(series * scale), 1)
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

/** The same, printed as JSON. */
function answer(name: string, target: string, series: number, maxDataPoints?: number): BenchCase {
  return {
    name: `api/functions: ${name} to JSON`,
    unit: 'points',
    prepare(scale, random): Work {
      const count = Math.max(Math.round(series * scale), 1)
      const source = new ColumnSource(count, random)
      const query = { ...PLAIN_QUERY, maxDataPoints }
      return {
        count: count * SLOTS,
        async run() {
          const list = await evaluateTargets([target], contextOver(source))
          let bytes = 0
          for (const chunk of jsonFormat.encode(
            consolidateForDisplay(list, maxDataPoints),
            query,
          )) {
            bytes += chunk.length
          }
          return bytes
        },
      }
    },
  }
}

const PLAIN_QUERY: RenderQuery = {
  targets: [],
  from: UNTIL - SLOTS,
  until: UNTIL,
  now: UNTIL,
  timeZone: 'UTC',
  format: 'json',
  maxDataPoints: undefined,
  noNullPoints: false,
  xFilesFactor: 0,
  template: new Map(),
  jsonp: undefined,
  pretty: false,
  timestampZeros: 0,
}

/** The real graphite-web, asked for the same over HTTP on loopback. */
function peerAnswer(
  name: string,
  target: string,
  series: number,
  maxDataPoints?: number,
): BenchCase {
  return {
    name: `graphite-web: ${name} to JSON`,
    unit: 'points',
    peer: true,
    async prepare(scale, random): Promise<Work | string> {
      const missing = graphiteWebIsMissing()
      if (missing !== undefined) return missing
      const count = Math.max(Math.round(series * scale), 1)
      const peer = await GraphiteWeb.start((dir) => writeFleet(dir, count, random))
      const fields: [string, string][] = Object.entries({
        target,
        from: String(UNTIL - SLOTS),
        until: String(UNTIL),
        now: String(UNTIL),
        format: 'json',
        ...(maxDataPoints !== undefined && { maxDataPoints: String(maxDataPoints) }),
      })
      return {
        count: count * SLOTS,
        run: async () => (await (await peer.ask('/render/', fields)).arrayBuffer()).byteLength,
        close: () => peer.stop(),
      }
    },
  }
}

async function writeFleet(dir: string, count: number, random: Random): Promise<void> {
  for (let i = 0; i < count; i++) {
    const points: [number, number][] = []
    for (const [at, value] of wave(random).entries()) {
      if (!Number.isNaN(value)) points.push([UNTIL - STORED_SLOTS + 1 + at, value])
    }
    const path = `${dir}/${seriesName(i).replaceAll('.', '/')}.wsp`
    await writeWhisper(path, [{ step: 1, count: STORED_SLOTS, points }])
  }
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

/** What both are asked: name, target, series, maxDataPoints. */
const ANSWERS: readonly [string, string, number, number?][] = [
  ['1 series × 7,200', 'fleet.host0000.load', 1],
  ['1,000 × 7,200', 'fleet.*.load', 1_000],
  ['1,000 × 7,200, maxDataPoints=1000', 'fleet.*.load', 1_000, 1_000],
  ['sumSeries of 1,000 × 7,200', 'sumSeries(fleet.*.load)', 1_000],
  ['movingAverage 600 of 12 × 7,200', 'movingAverage(fleet.*.load,600)', 12],
  ['summarize 1min of 100 × 7,200', 'summarize(fleet.*.load,"1min","avg")', 100],
]

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
  ...ANSWERS.flatMap((each) => [answer(...each), peerAnswer(...each)]),
]
