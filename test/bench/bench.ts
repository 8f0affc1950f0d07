/**
 * A benchmark: cases with seeded input, a warm-up, repeated runs, and a checksum that has to be the same every
 * time (flatbush's `bench.js`, TigerBeetle's `bench.zig`).
 *
 * A file test/bench/NAME.bench.ts exports `cases`; `bun run bench` runs them for real, bench.test.ts runs
 * each once with a tiny scale, so none rots:
 *
 * ```ts
 * export const cases: readonly BenchCase[] = [
 *   {
 *     name: 'store/column-codec: encode 60 slots, 1s gauge',
 *     unit: 'points',
 *     prepare(scale, random) {
 *       const values = Float64Array.from({ length: Math.ceil(1_000_000 * scale) }, () => random() * 100)
 *       return { count: values.length, run: () => encodeAll(values) }   // answers a checksum
 *     },
 *   },
 * ]
 * ```
 *
 * Limits: a case runs at least 5 and at most 1,000 times, and no new run starts after 10 s.
 */

import { systemClock } from '../../src/lib/clock.ts'

/** Uniform in [0, 1). */
export type Random = () => number

export interface BenchCase {
  /** `concern/noun: what it does, on what`. */
  readonly name: string
  /** What is counted: points, lines, series, messages. */
  readonly unit: string
  /** Compares with another program: runs only with --peers, and not in bun test. */
  readonly peer?: boolean
  /**
   * Makes the input, outside the measured time: at scale 1 the real size, in bun test about 0.001. A text
   * instead of work is the reason why it cannot run here: `carbon-c-relay is not installed`.
   */
  prepare(scale: number, random: Random): Work | string | Promise<Work | string>
}

export interface Work {
  /** Units that one run works through. */
  readonly count: number
  /** A run warms up by itself and takes long: it is done once. */
  readonly isWarm?: boolean
  run(): Outcome | Promise<Outcome>
  close?(): void | Promise<void>
}

/** A checksum of what was computed, the same in every run; or that and more. */
export type Outcome = number | Measured

export interface Measured {
  readonly checksum: number
  /** What to take instead of the elapsed time, for example another process's CPU seconds. */
  readonly seconds?: number
  /** Figures beside the rate, of the last run: `bytes/point` → 1.3. */
  readonly figures?: Readonly<Record<string, number | string>>
}

export interface BenchResult {
  readonly name: string
  readonly unit: string
  readonly count: number
  readonly runs: number
  readonly minSeconds: number
  readonly medianSeconds: number
  /** Units a second, of the median run. */
  readonly rate: number
  readonly checksum: number
  readonly figures: Readonly<Record<string, number | string>>
}

const RUNS_MIN = 5
const RUNS_MAX = 1_000
const MEASURE_SECONDS = 2
const MEASURE_SECONDS_MAX = 10
const SEED = 2_463_534_242

/** Runs one case; a text is the reason why it could not run. Throws when two runs disagree. */
export async function measure(
  bench: BenchCase,
  options: { scale: number; once?: boolean },
): Promise<BenchResult | string> {
  const work = await bench.prepare(options.scale, seededRandom(SEED))
  if (typeof work === 'string') return work
  try {
    const seconds: number[] = []
    let last = await timed(work)
    const { checksum } = last
    const isOnce = options.once || work.isWarm
    if (isOnce) seconds.push(last.seconds)
    const started = systemClock.monotonicMs()
    while (!isOnce && wantsMore(seconds.length, (systemClock.monotonicMs() - started) / 1000)) {
      last = await timed(work)
      if (!Object.is(last.checksum, checksum)) {
        throw new Error(`${bench.name}: checksum ${last.checksum} after ${checksum}`)
      }
      seconds.push(last.seconds)
    }
    seconds.sort((a, b) => a - b)
    const medianSeconds = seconds[seconds.length >> 1]!
    return {
      name: bench.name,
      unit: bench.unit,
      count: work.count,
      runs: seconds.length,
      minSeconds: seconds[0]!,
      medianSeconds,
      rate: work.count / medianSeconds,
      checksum,
      figures: last.figures ?? {},
    }
  } finally {
    await work.close?.()
  }
}

function wantsMore(runs: number, elapsedSeconds: number): boolean {
  if (runs === 0) return true
  if (runs >= RUNS_MAX || elapsedSeconds >= MEASURE_SECONDS_MAX) return false
  return runs < RUNS_MIN || elapsedSeconds < MEASURE_SECONDS
}

async function timed(work: Work): Promise<Measured & { seconds: number }> {
  const before = systemClock.monotonicMs()
  const outcome = await work.run()
  const seconds = (systemClock.monotonicMs() - before) / 1000
  return typeof outcome === 'number' ? { checksum: outcome, seconds } : { seconds, ...outcome }
}

/** Mulberry32: the same numbers for the same seed, on every machine. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** FNV-1a over bytes: a checksum for output that is bytes or text. */
export function checksumOf(bytes: Uint8Array): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < bytes.length; i++) hash = Math.imul(hash ^ bytes[i]!, 0x01000193)
  return hash >>> 0
}

/** The files that hold cases, sorted, with their cases. */
export async function findCases(): Promise<{ file: string; cases: readonly BenchCase[] }[]> {
  const files = [...new Bun.Glob('*.bench.ts').scanSync(import.meta.dir)].sort()
  return Promise.all(
    files.map(async (file) => {
      const module = (await import(`${import.meta.dir}/${file}`)) as { cases: readonly BenchCase[] }
      return { file, cases: module.cases }
    }),
  )
}

/** One line for the terminal. */
export function describeResult(result: BenchResult): string {
  const { unit, rate, minSeconds, medianSeconds, runs, checksum } = result
  const figures = Object.entries(result.figures).map(
    ([name, value]) => `${significant(value)} ${name}`,
  )
  const columns = [
    result.name.padEnd(64),
    `${significant(rate)} ${unit}/s`.padStart(20),
    `${significant(1e9 / rate)} ns each`.padStart(18),
    `min ${milliseconds(minSeconds)} median ${milliseconds(medianSeconds)} of ${runs}`.padEnd(40),
    `sum ${checksum}`,
    ...figures,
  ]
  return columns.join('  ')
}

function milliseconds(seconds: number): string {
  return `${significant(seconds * 1000)} ms`
}

function significant(value: number | string): string {
  if (typeof value === 'string') return value
  return value >= 1000
    ? Math.round(value).toLocaleString('en')
    : String(Number(value.toPrecision(3)))
}
