/**
 * Bytes to columns (column-codec.ts has the layout). What no encoder writes throws `RangeError`; frames are
 * verified before, so that is a bug or a file of another program.
 */

import { bytesFor, readPlanes } from './column-planes.ts'
import { Codec, EXPONENT_MAX, POWERS, Presence } from './column-codec.ts'

/** Whole numbers have at most 53 bits. */
const WIDTH_MAX = 7

const floats = new Float64Array(2)
const words = new Int32Array(floats.buffer)

/** Decodes columns; scratch space is kept between calls. Throws `RangeError` for what no encoder writes. */
export class ColumnDecoder {
  private known = new Float64Array(0)
  private bytes: Uint8Array = new Uint8Array(0)
  private at = 0

  /** Fills `dst[to, to + slots)` with the column that starts at `from`: its values, NaN where it has none. */
  decode(bytes: Uint8Array, from: number, dst: Float64Array, to: number, slots: number): void {
    this.bytes = bytes
    const head = bytes[from]
    if (head === undefined) throw new RangeError('column outside its frame')
    this.at = from + 1
    const presence = head >> 4
    if (presence === Presence.empty) {
      dst.fill(NaN, to, to + slots)
      return
    }
    if (presence === Presence.full) {
      this.decodeBody(head & 15, dst, to, slots)
      return
    }
    if (this.known.length < slots) this.known = new Float64Array(slots)
    dst.fill(NaN, to, to + slots)
    if (presence === Presence.bitmap) this.spreadBitmap(head & 15, dst, to, slots)
    else if (presence === Presence.runs) this.spreadRuns(head & 15, dst, to, slots)
    else throw new RangeError(`unknown presence ${presence}`)
  }

  private spreadBitmap(codec: number, dst: Float64Array, to: number, slots: number): void {
    const { bytes, known } = this
    const bitmap = this.at
    this.at += (slots + 7) >> 3
    let count = 0
    for (let i = 0; i < slots; i++) count += (bytes[bitmap + (i >> 3)]! >> (i & 7)) & 1
    this.decodeBody(codec, known, 0, count)
    let next = 0
    for (let i = 0; i < slots; i++) {
      if ((bytes[bitmap + (i >> 3)]! >> (i & 7)) & 1) dst[to + i] = known[next++]!
    }
  }

  private spreadRuns(codec: number, dst: Float64Array, to: number, slots: number): void {
    const runs = this.varint()
    const runsAt = this.at
    let count = 0
    let covered = 0
    for (let i = 0; i < runs; i++) {
      const length = this.varint()
      covered += length
      if ((i & 1) === 0) count += length
    }
    if (covered !== slots) throw new RangeError(`runs cover ${covered} of ${slots} slots`)
    this.decodeBody(codec, this.known, 0, count)
    this.at = runsAt
    let next = 0
    let slot = 0
    for (let i = 0; i < runs; i++) {
      const length = this.varint()
      if ((i & 1) === 0) {
        for (let k = 0; k < length; k++) dst[to + slot + k] = this.known[next++]!
      }
      slot += length
    }
  }

  private decodeBody(codec: number, dst: Float64Array, to: number, count: number): void {
    switch (codec) {
      case Codec.constant:
        dst.fill(this.float(), to, to + count)
        return
      case Codec.delta:
        return this.decodeDifferences(dst, to, count)
      case Codec.delta2:
        return this.decodeSecondDifferences(dst, to, count)
      case Codec.scaled:
        return this.decodeScaled(dst, to, count)
      case Codec.offset:
        this.decodeOffsets(dst, to, count, this.power())
        return
      case Codec.dictionary:
        return this.decodeDictionary(dst, to, count)
      case Codec.xor:
        return this.decodePlanes(dst, to, count)
      default:
        throw new RangeError(`unknown codec ${codec}`)
    }
  }

  private decodeDifferences(dst: Float64Array, to: number, count: number): void {
    const { bytes } = this
    const power = this.power()
    let n = this.zigzag()
    dst[to] = n / power
    let { at } = this
    for (let i = 1; i < count; i++) {
      const byte = bytes[at]!
      if (byte < 0x80) {
        n += (byte >> 1) ^ -(byte & 1)
        at++
      } else {
        this.at = at
        n += this.zigzag()
        at = this.at
      }
      dst[to + i] = n / power
    }
    this.at = at
  }

  private decodeSecondDifferences(dst: Float64Array, to: number, count: number): void {
    const { bytes } = this
    const power = this.power()
    let n = this.zigzag()
    dst[to] = n / power
    let difference = this.zigzag()
    n += difference
    dst[to + 1] = n / power
    let { at } = this
    for (let i = 2; i < count; i++) {
      const byte = bytes[at]!
      if (byte < 0x80) {
        difference += (byte >> 1) ^ -(byte & 1)
        at++
      } else {
        this.at = at
        difference += this.zigzag()
        at = this.at
      }
      n += difference
      dst[to + i] = n / power
    }
    this.at = at
  }

  private decodeScaled(dst: Float64Array, to: number, count: number): void {
    const power = this.power()
    const divisor = this.varint()
    this.decodeOffsets(dst, to, count, power)
    for (let i = 0; i < count; i++) dst[to + i] = dst[to + i]! / divisor
    for (let i = 0; i < count; i++) {
      const byte = this.byte()
      if (byte === 0) continue
      floats[0] = dst[to + i]!
      words[0] = words[0]! + ((byte >> 1) ^ -(byte & 1))
      dst[to + i] = floats[0]!
    }
  }

  private decodeOffsets(dst: Float64Array, to: number, count: number, power: number): void {
    const lowest = this.zigzag()
    const width = this.byte()
    const at = this.skipPlanes(width, count)
    readPlanes(this.bytes, at, { width, count }, dst, to)
    for (let i = 0; i < count; i++) dst[to + i] = (lowest + dst[to + i]!) / power
  }

  private decodeDictionary(dst: Float64Array, to: number, count: number): void {
    const length = this.varint()
    if (length < 1 || length > this.bytes.length) throw new RangeError(`dictionary of ${length}`)
    const values = new Float64Array(length)
    for (let i = 0; i < length; i++) values[i] = this.float()
    const width = bytesFor(length - 1)
    const at = this.skipPlanes(width, count)
    readPlanes(this.bytes, at, { width, count }, dst, to)
    for (let i = 0; i < count; i++) dst[to + i] = values[dst[to + i]!]!
  }

  /** Where the planes start that come next. */
  private skipPlanes(width: number, count: number): number {
    const { at } = this
    this.at += width * count
    if (width > WIDTH_MAX || this.at > this.bytes.length)
      throw new RangeError('column is cut short')
    return at
  }

  private decodePlanes(dst: Float64Array, to: number, count: number): void {
    const { bytes, at } = this
    if (at + 8 * count > bytes.length) throw new RangeError('column is cut short')
    let low = 0
    let high = 0
    for (let i = 0; i < count; i++) {
      const k = at + i
      high ^=
        (bytes[k]! << 24) |
        (bytes[k + count]! << 16) |
        (bytes[k + 2 * count]! << 8) |
        bytes[k + 3 * count]!
      low ^=
        (bytes[k + 4 * count]! << 24) |
        (bytes[k + 5 * count]! << 16) |
        (bytes[k + 6 * count]! << 8) |
        bytes[k + 7 * count]!
      words[1] = high
      words[0] = low
      dst[to + i] = floats[0]!
    }
    this.at = at + 8 * count
  }

  private byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new RangeError('column is cut short')
    return byte
  }

  private power(): number {
    const exponent = this.byte()
    if (exponent > EXPONENT_MAX) throw new RangeError(`exponent ${exponent}`)
    return POWERS[exponent]!
  }

  private float(): number {
    for (let i = 0; i < 2; i++) {
      words[i] = this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24)
    }
    return floats[0]!
  }

  private varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
    throw new RangeError('varint longer than 8 bytes')
  }

  private zigzag(): number {
    const first = this.byte()
    let magnitude = (first & 0x7f) >> 1
    if (first >= 0x80) magnitude += this.varint() * 64
    return first & 1 ? -1 - magnitude : magnitude
  }
}
