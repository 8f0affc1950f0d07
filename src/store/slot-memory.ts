/**
 * Memory that fetches read into. A fetch of a thousand series of two hours fills 57 MB: as arrays that are
 * new every time they cost more than the reading, and the process grows until the garbage collector finds
 * them. What was given back is used again; what nobody needed for a while is let go.
 */

import type { Clock, Timer } from '../lib/clock.ts'

/** Values of one piece of memory: 16 MiB, of which only what is used becomes resident. */
export const SLOT_MEMORY_VALUES = 2 * 1024 * 1024
/** Pieces that are kept. */
const FREE_MAX = 2
const IDLE_MS = 10_000

export class SlotMemory {
  private readonly clock: Clock
  private free: Float64Array[]
  private timer: Timer | undefined

  constructor(clock: Clock) {
    this.clock = clock
    this.free = []
    this.timer = undefined
  }

  /** At least `count` values, which may be anything, until they are given back. */
  take(count: number): Float64Array {
    if (count > SLOT_MEMORY_VALUES) return new Float64Array(count)
    return this.free.pop() ?? new Float64Array(SLOT_MEMORY_VALUES)
  }

  /** Nobody may look at them any more. */
  giveBack(values: Float64Array): void {
    if (values.length !== SLOT_MEMORY_VALUES || this.free.length >= FREE_MAX) return
    this.free.push(values)
    this.timer?.cancel()
    this.timer = this.clock.after(IDLE_MS, () => (this.free = []))
  }

  close(): void {
    this.timer?.cancel()
    this.free = []
  }
}
