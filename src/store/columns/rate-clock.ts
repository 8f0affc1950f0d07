/**
 * Why rates look like noise, and how not to store it. An agent that sends rates (collectd with StoreRates)
 * reads counters about every second and divides each difference, a whole number n, by the time that passed since
 * it last read this counter: a whole number of 2⁻³⁰ s that is never quite a second. What it prints with six
 * decimals is round(n / k): n is small, and the times of counters that are read one after the other are nearly
 * the same.
 *
 * The *phase* of a reading is how many 2⁻³⁰ s after the start of its slot it took place, give or take one number
 * for all of a column. Then k = slots passed × length of a slot + phase − phase before. A column's phase is that of
 * another, its *reference*, plus a distance. The distance is expected to be what it was, with the median of the
 * last three, so that a reading that came late once does not count; what is stored is by how much it
 * was not, in units that are just fine enough to tell two rates apart.
 *
 * Encoder and decoder take the same steps here, in whole numbers; only the division rounds, and the encoder
 * looks whether what comes out is what went in.
 */

/** Parts of a second in which intervals are counted. */
export const TICKS = 1_073_741_824
/** Of the span of intervals that give one and the same rate: a little less than all, so that it is not missed. */
const SHARE = 0.93

/** The distance to the reference, of the readings so far. */
export class PhaseTrack {
  private before = 0
  private a = 0
  private b = 0
  private c = 0

  reset(): void {
    this.before = 0
    this.a = 0
    this.b = 0
    this.c = 0
  }

  /** The distance that is expected: the median of the last three. */
  get expected(): number {
    const { a, b, c } = this
    return a > b ? (b > c ? b : a > c ? c : a) : a > c ? a : b > c ? c : b
  }

  /** Ticks since the reading before this one, if it has this phase and so many ticks of slots have passed. */
  interval(ticks: number, phase: number): number {
    return ticks + phase - this.before
  }

  /** A reading: its phase, and how far that is from the reference. */
  take(phase: number, distance: number): void {
    this.before = phase
    this.c = this.b
    this.b = this.a
    this.a = distance
  }
}

/** How many ticks one unit of a correction is, for a difference of n over so many ticks; `power`: 10^decimals. */
export function correctionUnit(n: number, ticks: number, power: number): number {
  const span = ((SHARE * ticks) / TICKS) * (ticks / (n * power))
  return span < 2 ? 1 : Math.floor(span)
}

/** The rate times `power`, as a whole number. */
export function rateOf(n: number, interval: number, power: number): number {
  return Math.round((n / (interval / TICKS)) * power)
}
