/**
 * What a store should hold after a list of operations, kept in Maps without a thought for speed: Whisper's rules, or
 * roll-ups from the finest archive, without rings, windows, files or a clock of its own.
 */
import { aggregate, type AggregationMethod, countKnown } from '../../src/metric/consolidation.ts'
import { type Archive, archiveSeconds } from '../../src/metric/retention.ts'
import type { EngineSettings, SeriesRule } from '../../src/store/engine.ts'

export type Rollup = EngineSettings['rollup']

/** xorshift32. */
export function randomOf(seed: number): (below: number) => number {
  let x = seed * 2_654_435_761 || 1
  return (below) => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>> 0) % below
  }
}

export class NaiveSeries {
  readonly archives: readonly Archive[]
  private readonly levels: readonly Map<number, number>[]
  private readonly method: AggregationMethod
  private readonly rollup: Rollup

  constructor(archives: readonly Archive[], method: AggregationMethod, rollup: Rollup) {
    this.archives = archives
    this.levels = archives.map(() => new Map<number, number>())
    this.method = method
    this.rollup = rollup
  }

  write(now: number, time: number, value: number): void {
    const { archives } = this
    const depth = archives.findIndex((archive) => now - time < archiveSeconds(archive))
    if (depth < 0) return
    this.levels[depth]!.set(Math.floor(time / archives[depth]!.step), value)
    for (let target = depth + 1; target < archives.length; target++) {
      const source = this.rollup === 'exact' && depth === 0 ? 0 : target - 1
      const isMade = this.rollUp(time, source, target)
      if (!isMade && this.rollup === 'whisper') return
    }
  }

  /** Puts slots as they are. */
  load(step: number, start: number, values: readonly number[]): void {
    const level = this.levels[this.archives.findIndex((archive) => archive.step === step)]!
    for (const [i, value] of values.entries()) level.set(start / step + i, value)
  }

  /** The known slots of an archive that are not older than it keeps them: time → value. */
  read(depth: number, now: number): Map<number, number> {
    const { step } = this.archives[depth]!
    const oldest = now - archiveSeconds(this.archives[depth]!)
    const kept = [...this.levels[depth]!].filter(([slot]) => slot * step > oldest)
    return new Map(kept.map(([slot, value]) => [slot * step, value]))
  }

  private rollUp(time: number, source: number, target: number): boolean {
    const ratio = this.archives[target]!.step / this.archives[source]!.step
    const slot = Math.floor(time / this.archives[target]!.step)
    const values = Float64Array.from(
      { length: ratio },
      (_, i) => this.levels[source]!.get(slot * ratio + i) ?? NaN,
    )
    if (countKnown(values, 0, ratio) / ratio < 0.5) return false
    this.levels[target]!.set(slot, aggregate(this.method, values, 0, ratio))
    return true
  }
}

/** One thing that was asked of the store. */
export type Operation =
  | {
      readonly kind: 'points'
      /** The store's now: its clock, but no later than the second after the newest point. */
      readonly now: number
      readonly points: readonly (readonly [id: number, time: number, value: number])[]
      /** 0: a frame without a sender. */
      readonly sequence: number
    }
  | {
      readonly kind: 'define'
      readonly id: number
      readonly path: string
      readonly rule: SeriesRule
    }
  | { readonly kind: 'rename'; readonly id: number; readonly path: string }
  | { readonly kind: 'remove'; readonly id: number }
  | { readonly kind: 'redefine'; readonly id: number; readonly rule: SeriesRule }
  | {
      readonly kind: 'load'
      readonly id: number
      readonly step: number
      readonly start: number
      readonly values: readonly number[]
      /** The series is whole by it. */
      readonly isLast: boolean
    }

interface NamedSeries {
  path: string
  readonly slots: NaiveSeries
  /** Its rule changed: what is rolled up by which depends on when the store changes over. */
  isRedefined: boolean
  /** An import was interrupted: what the file's coarser archives would have said is rolled up from finer ones. */
  isHalfLoaded: boolean
}

export class NaiveStore {
  readonly series = new Map<number, NamedSeries>()
  private readonly rollup: Rollup

  constructor(operations: readonly Operation[], rollup: Rollup) {
    this.rollup = rollup
    for (const operation of operations) this.apply(operation)
  }

  private apply(operation: Operation): void {
    if (operation.kind === 'points') {
      for (const [id, time, value] of operation.points)
        this.series.get(id)?.slots.write(operation.now, time, value)
      return
    }
    const { id } = operation
    const known = this.series.get(id)
    if (operation.kind === 'define') {
      const { archives, method } = operation.rule
      const slots = new NaiveSeries(archives, method, this.rollup)
      const { path } = operation
      this.series.set(id, { path, slots, isRedefined: false, isHalfLoaded: false })
    } else if (operation.kind === 'remove') this.series.delete(id)
    else if (!known) return
    else if (operation.kind === 'rename') known.path = operation.path
    else if (operation.kind === 'redefine') known.isRedefined = true
    else {
      known.slots.load(operation.step, operation.start, operation.values)
      known.isHalfLoaded = !operation.isLast
    }
  }
}
