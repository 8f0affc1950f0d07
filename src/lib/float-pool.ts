/**
 * Large arrays of numbers that are used again. What a big question fills costs more as arrays that are new every
 * time than the reading of it, and the process grows until the garbage collector finds them. What nobody needed
 * for a while is let go.
 */

import type { Clock, Timer } from './clock.ts'

const IDLE_MS = 10_000

export interface FloatPoolOptions {
  /** Numbers in one array. */
  readonly length: number
  /** Arrays that are kept while nobody needs them. */
  readonly keptMax: number
}

export class FloatPool {
  private readonly clock: Clock
  private readonly options: FloatPoolOptions
  private free: Float64Array[]
  private timer: Timer | undefined

  constructor(clock: Clock, options: FloatPoolOptions) {
    this.clock = clock
    this.options = options
    this.free = []
    this.timer = undefined
  }

  /**
   * An array of at least `count` numbers, which may be anything; the caller's until it is given back. For few it
   * is a small one of its own: the garbage collector takes a large one for what it could hold, not for what is used.
   */
  take(count: number): Float64Array {
    const { length } = this.options
    if (count > length || count < length / 8) return new Float64Array(count)
    return this.free.pop() ?? new Float64Array(length)
  }

  /** Nobody may look at it any more. */
  giveBack(array: Float64Array): void {
    const { length, keptMax } = this.options
    if (array.length !== length || this.free.length >= keptMax) return
    this.free.push(array)
    this.timer?.cancel()
    this.timer = this.clock.after(IDLE_MS, () => (this.free = []))
  }

  close(): void {
    this.timer?.cancel()
    this.free = []
  }
}
