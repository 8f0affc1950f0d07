/**
 * Exponential delays with jitter: the first is `minMs`, each next doubles up to `maxMs`, and every one is
 * spread over ±20 % so that many clients of one server do not come back together.
 */

import type { Clock } from './clock.ts'

export class Backoff {
  private readonly clock: Clock
  private readonly minMs: number
  private readonly maxMs: number
  private nextMs: number

  constructor(clock: Clock, limits: { minMs: number; maxMs: number }) {
    this.clock = clock
    this.minMs = limits.minMs
    this.maxMs = limits.maxMs
    this.nextMs = limits.minMs
  }

  /** How long to wait before the next try. */
  delayMs(): number {
    const base = this.nextMs
    this.nextMs = Math.min(base * 2, this.maxMs)
    return base * (0.8 + 0.4 * this.clock.random())
  }

  /** After a success: the next delay is the shortest again. */
  reset(): void {
    this.nextMs = this.minMs
  }
}
