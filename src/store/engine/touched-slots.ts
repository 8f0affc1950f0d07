/**
 * Slots of the next level over which a slot came late to a window that is rolled up already: they are to be made anew
 * (recompute-touched.ts).
 */

import type { SlotMatrix } from '../files/slot-matrix.ts'
import { grownUint32 } from '../index/byte-table.ts'

/** Columns: a series, and a slot of the next level. */
export class TouchedSlots {
  ids: Uint32Array = new Uint32Array(0)
  slots: Uint32Array = new Uint32Array(0)
  length = 0

  /** Notes the coarser slots, of `ratio` finer ones, over what is known in the matrix. */
  note({ ids, count, width, from, values }: SlotMatrix, ratio: number): void {
    for (let k = 0; k < count; k++) {
      let last = -1
      for (let i = 0; i < width; i++) {
        const value = values[k * width + i]!
        if (value !== value) continue
        const slot = Math.floor((from + i) / ratio)
        if (slot !== last) this.push(ids[k]!, slot)
        last = slot
      }
    }
  }

  clear(): void {
    this.ids = new Uint32Array(0)
    this.slots = new Uint32Array(0)
    this.length = 0
  }

  private push(id: number, slot: number): void {
    const at = this.length++
    if (at === this.ids.length) {
      const capacity = Math.max(1024, 2 * at)
      this.ids = grownUint32(this.ids, capacity)
      this.slots = grownUint32(this.slots, capacity)
    }
    this.ids[at] = id
    this.slots[at] = slot
  }
}
