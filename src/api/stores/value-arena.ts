/**
 * Memory for the values that one request fetches, taken from slabs that are used again when its answer has
 * been sent. Fetching a thousand series of two hours is 57 MB: as arrays of their own, new for every request,
 * they cost more than what is done with them, and stay until the garbage collector finds them.
 *
 * Values are the request's until `release`; nobody may keep them longer.
 */

/** 4 MiB; what is longer has memory of its own. */
const SLAB_VALUES = 512 * 1024
/** Slabs that are kept while nobody needs them: 64 MiB, enough for the largest usual request. */
const FREE_SLABS_MAX = 16

export class SlabPool {
  private readonly free: Float64Array[] = []

  take(): Float64Array {
    return this.free.pop() ?? new Float64Array(SLAB_VALUES)
  }

  putBack(slabs: readonly Float64Array[]): void {
    this.free.push(...slabs.slice(0, FREE_SLABS_MAX - this.free.length))
  }
}

export class ValueArena {
  private readonly pool: SlabPool
  private slabs: Float64Array[]
  /** Values taken from the last slab. */
  private used: number
  private released: boolean

  constructor(pool: SlabPool) {
    this.pool = pool
    this.slabs = []
    this.used = SLAB_VALUES
    this.released = false
  }

  /** Room for `count` values, which may hold anything. */
  take(count: number): Float64Array {
    if (count === 0 || count > SLAB_VALUES / 4 || this.released) return new Float64Array(count)
    if (this.used + count > SLAB_VALUES) {
      this.slabs.push(this.pool.take())
      this.used = 0
    }
    const from = this.used
    this.used += count
    return this.slabs.at(-1)!.subarray(from, this.used)
  }

  release(): void {
    if (this.released) return
    this.released = true
    this.pool.putBack(this.slabs)
    this.slabs = []
  }
}
