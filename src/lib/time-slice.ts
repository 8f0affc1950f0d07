/**
 * Long work in short pieces: whoever folds, flushes or fetches asks `isOver()` between two extents, and
 * rests when it says so, so that points and other questions are served in between.
 */

import { type Clock, sleep } from './clock.ts'

/** Two tasks may take turns: half of the 20 ms that the event loop may be held. */
const SLICE_MS = 8

export class TimeSlice {
  private readonly clock: Clock
  private startedMs: number

  constructor(clock: Clock) {
    this.clock = clock
    this.startedMs = clock.monotonicMs()
  }

  isOver(): boolean {
    return this.clock.monotonicMs() - this.startedMs >= SLICE_MS
  }

  async rest(): Promise<void> {
    await sleep(this.clock, 0)
    this.startedMs = this.clock.monotonicMs()
  }
}
