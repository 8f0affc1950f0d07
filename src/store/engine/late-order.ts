/**
 * The order in which late points are written: by rising window, in it by rising id, in that as they came. A radix
 * sort of their positions, least significant key first, so that each pass keeps what the one before it did.
 *
 * Sixteen bits of a key go in one pass, and a pass in which all keys are alike is left out: points of up to 65,536
 * series in one window take one. Its memory serves all levels, which are written one after the other.
 */

import type { LatePoints } from './late.ts'

const RADIX_BITS = 16
const RADIX = 1 << RADIX_BITS

export class LateOrder {
  /** Where each digit's positions go next. */
  private readonly starts = new Uint32Array(RADIX + 1)
  private positions = new Uint32Array(0)
  private swapped = new Uint32Array(0)
  private windows = new Uint32Array(0)

  /** Positions of the points. Valid until the next call. */
  sort({ ids, slots, length }: LatePoints, windowSlots: number): Uint32Array {
    this.reserve(length)
    const { positions, windows } = this
    for (let i = 0; i < length; i++) positions[i] = i
    this.sortBy(ids, length)
    const first = Math.floor(slots[0]! / windowSlots)
    let hasOthers = false
    for (let i = 0; i < length; i++) {
      const window = Math.floor(slots[i]! / windowSlots)
      windows[i] = window
      hasOthers ||= window !== first
    }
    if (hasOthers) this.sortBy(windows, length)
    return this.positions.subarray(0, length)
  }

  /** Memory for so many points; much more than that is let go. */
  private reserve(length: number): void {
    const { length: capacity } = this.positions
    if (capacity >= length && capacity <= Math.max(4 * length, RADIX)) return
    this.positions = new Uint32Array(length)
    this.swapped = new Uint32Array(length)
    this.windows = new Uint32Array(length)
  }

  /** Sorts the positions by their keys. */
  private sortBy(keys: Uint32Array, length: number): void {
    let differing = 0
    for (let i = 1; i < length; i++) differing |= keys[i]! ^ keys[0]!
    for (let shift = 0; shift < 32; shift += RADIX_BITS) {
      if (((differing >>> shift) & (RADIX - 1)) !== 0) this.sortByDigit(keys, shift, length)
    }
  }

  private sortByDigit(keys: Uint32Array, shift: number, length: number): void {
    const { starts, positions: from, swapped: to } = this
    starts.fill(0)
    for (let i = 0; i < length; i++) starts[((keys[i]! >>> shift) & (RADIX - 1)) + 1]!++
    for (let digit = 0; digit < RADIX; digit++) starts[digit + 1]! += starts[digit]!
    for (let i = 0; i < length; i++) {
      const position = from[i]!
      to[starts[(keys[position]! >>> shift) & (RADIX - 1)]!++] = position
    }
    this.positions = to
    this.swapped = from
  }
}
