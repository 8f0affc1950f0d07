/**
 * Points that the head does not take: too old for its ring, or too far ahead. They are collected as
 * columns, in the order of arrival, and written as extents of their windows when there are 4 MiB of them
 * or a checkpoint comes. For one slot the last that came wins. While an hour of them comes, what was written is
 * filled again: as garbage it would be there many times before it is collected.
 */

import { type SlotMatrix } from '../files/slot-matrix.ts'

const BYTES_A_POINT = 16
const RADIX_BITS = 16
const RADIX = 1 << RADIX_BITS

export class LatePoints {
  ids: Uint32Array<ArrayBuffer> = new Uint32Array(0)
  slots: Uint32Array<ArrayBuffer> = new Uint32Array(0)
  values: Float64Array<ArrayBuffer> = new Float64Array(0)
  length = 0
  /**
   * The lowest slot here that the head had not reached yet. Until these points are written, what comes for that
   * slot or a later one comes here too, even when the head has it by then: the last write wins.
   */
  aheadFrom = Infinity
  /** Scratch space of `sorted`. */
  private positions = new Uint32Array(0)
  private swapped = new Uint32Array(0)

  get bytes(): number {
    return this.length * BYTES_A_POINT
  }

  push(id: number, slot: number, value: number): void {
    const at = this.length
    if (at === this.ids.length) this.grow()
    this.ids[at] = id
    this.slots[at] = slot
    this.values[at] = value
    this.length = at + 1
  }

  /** Puts what is here over the matrix. */
  read(matrix: SlotMatrix): void {
    const { ids, slots, values, length } = this
    const { from, to } = matrix
    for (let i = 0; i < length; i++) {
      const slot = slots[i]!
      if (slot < from || slot >= to) continue
      const k = matrix.indexOf(ids[i]!)
      if (k >= 0) matrix.set(k, slot, values[i]!)
    }
  }

  /** The narrowest span within [from, to) that holds all slots of it that are here; empty for none. */
  span(from: number, to: number): { first: number; end: number } {
    const { slots, length } = this
    let first = to
    let end = from
    for (let i = 0; i < length; i++) {
      const slot = slots[i]!
      if (slot < from || slot >= to) continue
      if (slot < first) first = slot
      if (slot >= end) end = slot + 1
    }
    return { first, end }
  }

  /** Leaves out the points of a removed series. */
  forget(id: number): void {
    let kept = 0
    for (let i = 0; i < this.length; i++) {
      if (this.ids[i] === id) continue
      this.ids[kept] = this.ids[i]!
      this.slots[kept] = this.slots[i]!
      this.values[kept] = this.values[i]!
      kept++
    }
    this.length = kept
  }

  /** The points' positions by rising window, in it by rising id, in that as they came. Valid until the next call. */
  sorted(windowSlots: number): Uint32Array {
    const { slots, length } = this
    const order = this.sortPositions(this.ids)
    const window = Math.floor(slots[0]! / windowSlots)
    let isOne = true
    for (let i = 1; i < length && isOne; i++) isOne = Math.floor(slots[i]! / windowSlots) === window
    if (isOne) return order
    const byId = order.slice()
    const windows = new Uint32Array(length)
    for (let i = 0; i < length; i++) windows[i] = Math.floor(slots[byId[i]!]! / windowSlots)
    const byWindow = this.sortPositions(windows)
    for (let i = 0; i < length; i++) byWindow[i] = byId[byWindow[i]!]!
    return byWindow
  }

  /** Nothing is here any more, and the memory is used again; false when it is much more than was needed. */
  clear(): boolean {
    const isWorthIt = this.length * 4 >= this.ids.length
    this.length = 0
    this.aheadFrom = Infinity
    return isWorthIt
  }

  /** Positions of `keys`, one a point, by rising key, stable: a radix sort of two passes. */
  private sortPositions(keys: Uint32Array): Uint32Array {
    const { length } = this
    if (this.positions.length < length) {
      this.positions = new Uint32Array(this.ids.length)
      this.swapped = new Uint32Array(this.ids.length)
    }
    let from = this.positions
    let to = this.swapped
    let all = 0
    for (let i = 0; i < length; i++) {
      from[i] = i
      all |= keys[i]! ^ keys[0]!
    }
    for (let shift = 0; shift < 32; shift += RADIX_BITS) {
      if (((all >>> shift) & (RADIX - 1)) === 0) continue
      const starts = new Uint32Array(RADIX + 1)
      for (let i = 0; i < length; i++) starts[((keys[i]! >>> shift) & (RADIX - 1)) + 1]!++
      for (let digit = 0; digit < RADIX; digit++)
        starts[digit + 1] = starts[digit + 1]! + starts[digit]!
      for (let i = 0; i < length; i++) {
        const position = from[i]!
        to[starts[(keys[position]! >>> shift) & (RADIX - 1)]!++] = position
      }
      const swap = from
      from = to
      to = swap
    }
    return from.subarray(0, length)
  }

  private grow(): void {
    const capacity = Math.max(1024, this.ids.length * 2)
    const { ids, slots, values } = this
    this.ids = new Uint32Array(capacity)
    this.ids.set(ids)
    this.slots = new Uint32Array(capacity)
    this.slots.set(slots)
    this.values = new Float64Array(capacity)
    this.values.set(values)
  }
}
