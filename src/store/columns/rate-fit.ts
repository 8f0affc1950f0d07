/**
 * Finds out whether a column is one of rates, and of which differences (rate-clock.ts): for every value, the n and the
 * interval nearest to what is expected that give it exactly. A value for which none is near is a
 * *misfit*: it is stored beside, as what it is more than the rate that was expected.
 */

import { correctionUnit, PhaseTrack, rateOf, TICKS } from './rate-clock.ts'

/** Differences that are tried on either side of the nearest: a large one may be off by several. */
const TRIES_MAX = 512
/** An interval is at most this share longer or shorter than expected: of a small difference, of a large one. */
const STRAY_MAX = 1 / 64
const STRAY_FINE = 1 / 400
const TWO_31 = 2_147_483_648
/** What a misfit takes, about. */
const MISFIT_BITS = 40
/** At most this share of the values may be misfits, … */
const MISFITS_MAX = 1 / 6
/** … which is looked at every 64 values. */
const PREFIX_MASK = 63

export interface RateColumn {
  /** Values × `power`, all whole. */
  readonly whole: Float64Array
  /** The slot of each value. */
  readonly slotOf: Int32Array
  readonly power: number
  /** Seconds. */
  readonly step: number
}

export class RateFit {
  /** Of each value. */
  differences = new Float64Array(0)
  phases: Float64Array = new Float64Array(0)
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
  /** Of the correction. */
  private unit = 1

  /** Values [from, to). False when they are no rates, or `bits` goes beyond `bitsMax`. */
  fit(
    column: RateColumn,
    reference: Float64Array | undefined,
    { bitsMax, from, to }: { bitsMax: number; from: number; to: number },
  ): boolean {
    const { whole, slotOf, power, step } = column
    if (this.phases.length < to) this.grow(whole.length)
    const { differences, phases, corrections, track } = this
    this.correctionCount = 0
    this.misfits = []
    this.surpluses = []
    this.bits = 0
    track.reset()
    let slotBefore = slotOf[from]! - 1
    let read = 0
    for (let i = from; i < to; i++) {
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
        if ((read & PREFIX_MASK) === 0 && this.misfits.length > read * MISFITS_MAX) return false
        if (this.bits > bitsMax) return false
      }
      differences[i] = this.difference
      let moved = 0
      if (this.difference > 0) {
        corrections[this.correctionCount++] = this.correction
        moved = this.correction * this.unit
      }
      phases[i] = origin + distance + moved
      track.take(phases[i]!, distance + moved)
    }
    return this.misfits.length <= read * MISFITS_MAX
  }

  /** Sets `difference`, `correction` and `unit`; false for a misfit. */
  private find(whole: number, ticks: number, interval: number, power: number): boolean {
    const nearest = Math.round((whole * interval) / (power * TICKS))
    if (nearest > 0) {
      this.unit = correctionUnit(nearest, ticks, power)
      if (this.unit > 1) {
        if (this.findCoarse(nearest, whole, ticks, interval, power)) return true
      } else if (this.findFine(nearest, whole, ticks, interval, power)) return true
    }
    this.difference = Math.max(0, nearest)
    this.correction = 0
    this.bits += MISFIT_BITS
    return false
  }

  /** Several intervals give the rate: the one that is expected most, on the grid of corrections. */
  private findCoarse(
    nearest: number,
    whole: number,
    ticks: number,
    interval: number,
    power: number,
  ): boolean {
    const apart = (power / whole) * TICKS
    const stray = interval * STRAY_MAX
    for (let k = 0; k < 3; k++) {
      const n = k === 0 ? nearest : k === 1 ? nearest + 1 : nearest - 1
      if (n <= 0) continue
      // All intervals within `reach` of it give this rate.
      const away = n * apart - interval
      if (away > stray || away < -stray) continue
      if (k > 0) this.unit = correctionUnit(n, ticks, power)
      const { unit } = this
      const reach = (n * apart * 0.499) / whole
      const least = away > reach ? away - reach : away < -reach ? away + reach : 0
      const correction = Math.round(least / unit)
      for (let j = 0; j < 3; j++) {
        const tried = j === 0 ? correction : j === 1 ? correction + 1 : correction - 1
        if (rateOf(n, interval + tried * unit, power) !== whole) continue
        this.accept(n, tried)
        return true
      }
    }
    return false
  }

  /** One interval or two give the rate, and for a large one few n have any: the nearest of these. */
  private findFine(
    nearest: number,
    whole: number,
    ticks: number,
    interval: number,
    power: number,
  ): boolean {
    const apart = (power / whole) * TICKS
    const middle = nearest * apart
    const reach = (middle / whole) * 0.55
    const tries = Math.min(TRIES_MAX, Math.ceil(nearest * STRAY_FINE))
    for (let k = 0; k <= tries; k++) {
      for (let n = nearest + k; ; n = nearest - k) {
        const exact = middle + (n - nearest) * apart
        const found = Math.round(exact)
        const off = exact - found
        if (
          off <= reach &&
          off >= -reach &&
          rateOf(n, found, power) === whole &&
          correctionUnit(n, ticks, power) === 1
        ) {
          this.accept(n, found - interval)
          return true
        }
        if (n <= nearest) break
      }
    }
    return false
  }

  private accept(n: number, correction: number): void {
    this.difference = n
    this.correction = correction
    this.bits += 3 + lengthOf(correction)
  }

  private grow(count: number): void {
    this.differences = new Float64Array(count)
    this.phases = new Float64Array(count)
    this.corrections = new Float64Array(count)
  }
}

function lengthOf(correction: number): number {
  const size = correction < 0 ? -correction : correction
  return size < TWO_31 ? 32 - Math.clz32(size) : 40
}
