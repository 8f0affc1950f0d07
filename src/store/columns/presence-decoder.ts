/** Bytes to the slots that a column knows (column-codec.ts has the layout); `RangeError` for what nobody wrote. */

import type { ColumnBytes } from './column-bytes.ts'
import { Presence } from './column-codec.ts'

export class PresenceDecoder {
  /** The slots that the column knows that was read last. */
  slotOf = new Int32Array(0)

  /** Reads what stands before the body of a column of so many slots that does not know all; how many it knows. */
  read(source: ColumnBytes, presence: number, slots: number): number {
    if (this.slotOf.length < slots) this.slotOf = new Int32Array(slots)
    if (presence === Presence.bitmap) return this.readBitmap(source, slots)
    if (presence === Presence.runs) return this.readRuns(source, slots)
    throw new RangeError(`unknown presence ${presence}`)
  }

  private readBitmap(source: ColumnBytes, slots: number): number {
    const { slotOf } = this
    const { bytes, at } = source
    source.at += (slots + 7) >> 3
    if (source.at > bytes.length) throw new RangeError('bitmap is cut short')
    let count = 0
    for (let slot = 0; slot < slots; slot++)
      if ((bytes[at + (slot >> 3)]! >> (slot & 7)) & 1) slotOf[count++] = slot
    return count
  }

  private readRuns(source: ColumnBytes, slots: number): number {
    const { slotOf } = this
    const runs = source.varint()
    let slot = 0
    let count = 0
    for (let i = 0; i < runs; i++) {
      const end = slot + source.varint()
      if (end > slots) throw new RangeError(`runs cover more than ${slots} slots`)
      if ((i & 1) === 1) slot = end
      else while (slot < end) slotOf[count++] = slot++
    }
    if (slot !== slots) throw new RangeError(`runs cover ${slot} of ${slots} slots`)
    return count
  }
}
