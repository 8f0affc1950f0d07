/**
 * Finds out whether a column is one of rates, and of which differences (rate-clock.ts): for every value, the n and the
 * interval nearest to what is expected that give it exactly. A value for which none is near is a
 * *misfit*: it is stored beside, as what it is more than the rate that was expected.
 */

import { correctionUnit, PhaseTrack, rateOf, TICKS } from './rate-clock.ts'

/** Differences that are tried on either side of the nearest: a large one may be off by several. */
const TRIES_MAX = 512
/** An interval is at most this share longer or shorter than expected. */
const STRAY_MAX = 1 / 64
/** So many values are looked at … */
const PREFIX = 384
/** … and at most this share of them may be misfits. */
const MISFITS_MAX = 1 / 6

export interface RateColumn {
  /** Values × `power`, all whole. */
  readonly whole: Float64Array
  readonly count: number
  /** The slot of each value. */
  readonly slotOf: Int32Array
  readonly power: number
  /** Seconds. */
  readonly step: number
}

export class RateFit {
  /** Of each value. */
  differences = new Float64Array(0)
  phases = new Float64Array(0)
  /** Of each value whose difference is above zero. */
  corrections = new Float64Array(0)
  correctionCount = 0
  /** Positions of misfits, and by how much each is more than the rate that was expected. */
  misfits: number[] = []
  surpluses: number[] = []
  /** What the corrections and misfits take, in bits, about. */
  bits = 0
  private readonly track = new PhaseTrack()
  private correction = 0
  private difference = 0

  /** False when this is no column of rates, or `bits` goes beyond `bitsMax`. */
  fit(column: RateColumn, reference: Float64Array | undefined, bitsMax: number): boolean {
    const { whole, count, slotOf, power, step } = column
    if (this.phases.length < count) this.grow(count)
    const { differences, phases, corrections, track } = this
    this.correctionCount = 0
    this.misfits = []
    this.surpluses = []
    this.bits = 0
    track.reset()
    let slotBefore = slotOf[0]! - 1
    let read = 0
    for (let i = 0; i < count; i++) {
      const slot = slotOf[i]!
      const ticks = (slot - slotBefore) * step * TICKS
      slotBefore = slot
      const distance = track.expected
      const origin = reference ? reference[i]! : 0
      const interval = track.interval(ticks, origin + distance)
      const n = whole[i]!
      this.difference = 0
      this.correction = 0
      if (n !== 0) {
        read++
        if (!this.find(n, ticks, interval, power)) {
          this.misfits.push(i)
          this.surpluses.push(n - (this.difference && rateOf(this.difference, interval, power)))
        }
        if (read === PREFIX && this.misfits.length > read * MISFITS_MAX) return false
        if (this.bits > bitsMax) return false
      }
      differences[i] = this.difference
      let moved = 0
      if (this.difference > 0) {
        corrections[this.correctionCount++] = this.correction
        moved = this.correction * correctionUnit(this.difference, ticks, power)
      }
      phases[i] = origin + distance + moved
      track.take(phases[i]!, distance + moved)
    }
    return this.misfits.length <= read * MISFITS_MAX
  }

  /** Sets `difference` and `correction`; false for a misfit. */
  private find(whole: number, ticks: number, interval: number, power: number): boolean {
    const rate = whole / power
    const nearest = Math.round((rate * interval) / TICKS)
    if (nearest > 0) {
      const tries = Math.min(TRIES_MAX, Math.ceil(rate / 400))
      for (let away = 0; away <= tries; away++) {
        if (this.matches(nearest + away, whole, ticks, interval, power)) return true
        if (away > 0 && this.matches(nearest - away, whole, ticks, interval, power)) return true
      }
    }
    this.difference = Math.max(0, nearest)
    this.correction = 0
    this.bits += 40
    return false
  }

  private matches(
    n: number,
    whole: number,
    ticks: number,
    interval: number,
    power: number,
  ): boolean {
    if (n <= 0) return false
    // All intervals within `reach` of `exact` give this rate.
    const exact = ((n * power) / whole) * TICKS
    const reach = (exact * 0.499) / whole
    const unit = correctionUnit(n, ticks, power)
    const away = exact - interval
    if (unit === 1 && reach < 0.4 && Math.abs(away - Math.round(away)) > reach * 1.05) return false
    if (Math.abs(away) > interval * STRAY_MAX) return false
    const least = away > reach ? away - reach : away < -reach ? away + reach : 0
    const correction = Math.round((unit === 1 ? (reach < 0.5 ? away : least) : least) / unit)
    return (
      this.gives(correction, unit, n, whole, interval, power) ||
      (reach >= 0.5 &&
        (this.gives(correction + 1, unit, n, whole, interval, power) ||
          this.gives(correction - 1, unit, n, whole, interval, power)))
    )
  }

  private gives(
    correction: number,
    unit: number,
    n: number,
    whole: number,
    interval: number,
    power: number,
  ): boolean {
    if (rateOf(n, interval + correction * unit, power) !== whole) return false
    this.difference = n
    this.correction = correction
    this.bits += 3 + 32 - Math.clz32(Math.abs(correction))
    return true
  }

  private grow(count: number): void {
    this.differences = new Float64Array(count)
    this.phases = new Float64Array(count)
    this.corrections = new Float64Array(count)
  }
}
