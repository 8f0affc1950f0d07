/**
 * Memory for the values that one request fetches, taken from slabs that are used again when its answer has
 * been sent.
 *
 * Values are the request's until `release`; nobody may keep them longer.
 */

import type { Clock } from '../../lib/clock.ts'
import { FloatPool } from '../../lib/float-pool.ts'

/** 4 MiB; what is longer has memory of its own. */
const SLAB_VALUES = 512 * 1024
/** 64 MiB, enough for the largest usual request. */
const SLABS_KEPT_MAX = 16

export function slabPool(clock: Clock): FloatPool {
  return new FloatPool(clock, { length: SLAB_VALUES, keptMax: SLABS_KEPT_MAX })
}

export class ValueArena {
  private readonly pool: FloatPool
  private slabs: Float64Array[]
  /** Values taken from the last slab. */
  private used: number
  private released: boolean

  constructor(pool: FloatPool) {
    this.pool = pool
    this.slabs = []
    this.used = SLAB_VALUES
    this.released = false
  }

  /** Room for `count` values, which may hold anything. */
  take(count: number): Float64Array {
    if (count === 0 || count > SLAB_VALUES / 4 || this.released) return new Float64Array(count)
    if (this.used + count > SLAB_VALUES) {
      this.slabs.push(this.pool.take(SLAB_VALUES))
      this.used = 0
    }
    const from = this.used
    this.used += count
    return this.slabs.at(-1)!.subarray(from, this.used)
  }

  release(): void {
    if (this.released) return
    this.released = true
    for (const slab of this.slabs) this.pool.giveBack(slab)
    this.slabs = []
  }
}
