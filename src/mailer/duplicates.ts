/**
 * Remembers what was accepted lately, so that the same mail again (same sender, recipients and subject)
 * can be suppressed. Off with a window of 0. Kept in memory only: a restart forgets. At most 10,000
 * messages are remembered; the oldest goes.
 */

import type { Clock } from '../lib/clock.ts'

const REMEMBERED_MAX = 10_000

export class Duplicates {
  private readonly clock: Clock
  private readonly windowMs: () => number
  /** Key → when it was accepted, oldest first. */
  private readonly acceptedMs: Map<string, number>

  constructor(clock: Clock, windowMs: () => number) {
    this.clock = clock
    this.windowMs = windowMs
    this.acceptedMs = new Map()
  }

  has(key: string): boolean {
    const acceptedMs = this.acceptedMs.get(key)
    return acceptedMs !== undefined && this.clock.monotonicMs() - acceptedMs < this.windowMs()
  }

  add(key: string): void {
    if (this.windowMs() === 0) return
    this.acceptedMs.delete(key)
    this.acceptedMs.set(key, this.clock.monotonicMs())
    if (this.acceptedMs.size <= REMEMBERED_MAX) return
    for (const oldest of this.acceptedMs.keys()) {
      this.acceptedMs.delete(oldest)
      break
    }
  }
}
