/**
 * Which series carry what: number → sorted set of series ids. Most sets have one member (a host, a
 * container), so a set of one lies in a column; only larger ones have an array of their own.
 */

import { grownUint32 } from './byte-table.ts'

const NONE = new Uint32Array(0)

export class Postings {
  private counts: Uint32Array
  /** The member of a set of one. */
  private single: Uint32Array
  private readonly sets: Map<number, Uint32Array>

  constructor() {
    this.counts = new Uint32Array(64)
    this.single = new Uint32Array(64)
    this.sets = new Map()
  }

  count(key: number): number {
    return this.counts[key] ?? 0
  }

  /** Sorted, valid until the next change. */
  members(key: number): Uint32Array {
    const count = this.count(key)
    if (count === 0) return NONE
    return this.sets.get(key)?.subarray(0, count) ?? this.single.subarray(key, key + 1)
  }

  /** Ids mostly come in rising order, which costs nothing. */
  add(key: number, id: number): void {
    if (key >= this.counts.length) this.grow(key + 1)
    const count = this.counts[key]!
    this.counts[key] = count + 1
    if (count === 0) this.single[key] = id
    else this.insert(key, id, count)
  }

  remove(key: number, id: number): void {
    const count = this.counts[key]!
    this.counts[key] = count - 1
    const set = this.sets.get(key)
    if (!set) return
    const at = lowerBound(set, count, id)
    set.copyWithin(at, at + 1, count)
    if (count === 2) {
      this.single[key] = set[0]!
      this.sets.delete(key)
    }
  }

  get memoryBytes(): number {
    let bytes = this.counts.length * 8
    for (const set of this.sets.values()) bytes += set.byteLength + 64
    return bytes
  }

  private insert(key: number, id: number, count: number): void {
    let set = this.sets.get(key)
    if (!set) {
      set = new Uint32Array(4)
      set[0] = this.single[key]!
      this.sets.set(key, set)
    } else if (count === set.length) {
      set = grownUint32(set, Math.ceil(count * 1.5))
      this.sets.set(key, set)
    }
    const at = id > set[count - 1]! ? count : lowerBound(set, count, id)
    set.copyWithin(at + 1, at, count)
    set[at] = id
  }

  private grow(needed: number): void {
    const capacity = Math.max(needed, Math.ceil(this.counts.length * 1.5))
    this.counts = grownUint32(this.counts, capacity)
    this.single = grownUint32(this.single, capacity)
  }
}

/** The first place in `set[0, count)` that is not below `id`. */
function lowerBound(set: Uint32Array, count: number, id: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >>> 1
    if (set[middle]! < id) low = middle + 1
    else high = middle
  }
  return low
}
