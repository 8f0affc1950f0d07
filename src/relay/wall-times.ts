/**
 * How the time of the relay's one loop was spent, for the statistics that carbon-c-relay has of its threads
 * (relay.md §2.9): taking lines in and finding their ways, or handing batches to sockets. What a line's way
 * sets off at once, a full batch that is sent, counts as sending. The rest is sleep: waiting for something to
 * happen, and whatever else the process does. The clock is read per chunk and batch, never per line.
 */

import type { Clock } from '../lib/clock.ts'

export class WallTimes {
  private readonly clock: Clock
  private readonly startMs: number
  dispatchingMs: number
  sendingMs: number

  constructor(clock: Clock) {
    this.clock = clock
    this.startMs = clock.monotonicMs()
    this.dispatchingMs = 0
    this.sendingMs = 0
  }

  get sleepingMs(): number {
    const elapsedMs = this.clock.monotonicMs() - this.startMs
    return Math.max(0, elapsedMs - this.dispatchingMs - this.sendingMs)
  }

  /** Where dispatching begins: the time, without what is spent on sending. */
  get beginning(): number {
    return this.clock.monotonicMs() - this.sendingMs
  }

  /** Dispatching ends that began at `beginning`. */
  dispatched(beginning: number): void {
    this.dispatchingMs += this.beginning - beginning
  }

  /** Runs what sends; returns how long it took. */
  send(run: () => void): number {
    const beginMs = this.clock.monotonicMs()
    run()
    const spentMs = this.clock.monotonicMs() - beginMs
    this.sendingMs += spentMs
    return spentMs
  }
}

/** As carbon-c-relay counts time. */
export function toMicroseconds(ms: number): number {
  return Math.round(ms * 1000)
}
