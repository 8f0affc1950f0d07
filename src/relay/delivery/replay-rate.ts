/**
 * How fast a spool may be replayed to a plain carbon, so that it does not drown it: what is configured, else four
 * times what comes in now, and at least 50,000 points a second. What comes in is the last second's rate, or what
 * is left of a higher one before, a tenth less each second.
 */

const PER_SECOND_MIN = 50_000

export class ReplayRate {
  /** 0: by what comes in. */
  private readonly configured: () => number
  private live: number
  private seen: number

  constructor(configured: () => number) {
    this.configured = configured
    this.live = 0
    this.seen = 0
  }

  /** Points a second. */
  get perSecond(): number {
    const configured = this.configured()
    return configured > 0 ? configured : Math.max(4 * this.live, PER_SECOND_MIN)
  }

  /** Another second is over; `total` points have come in. */
  second(total: number): void {
    const lastSecond = total - this.seen
    this.live = Math.max(lastSecond, this.live * 0.9 + lastSecond * 0.1)
    this.seen = total
  }
}
