/**
 * Points that the head does not take: too old for its ring, or too far ahead. They are collected as
 * columns, in the order of arrival, and written as extents of their windows when there are 4 MiB of them
 * or a checkpoint comes. For one slot the last that came wins. While an hour of them comes, what was written is
 * filled again: as garbage it would be there many times before it is collected.
 */

import { type SlotMatrix } from '../files/slot-matrix.ts'

const BYTES_A_POINT = 16

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

  /** Nothing is here any more, and the memory is used again; false when it is much more than was needed. */
  clear(): boolean {
    const isWorthIt = this.length * 4 >= this.ids.length
    this.length = 0
    this.aheadFrom = Infinity
    return isWorthIt
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
