/**
 * Bytes to columns (column-codec.ts has the layout). What no encoder writes throws `RangeError`, also a column that
 * does not end where the next one starts; frames are verified before, so that is a bug or a file of another program.
 * Nothing is read or written past the column's own place, and no memory is taken for a length that is not there.
 * What a column needs of an earlier one comes from related-columns.ts.
 */

import { ColumnBytes, readPower } from './column-bytes.ts'
import { bytesFor, readPlanes, readXorPlanes } from './column-planes.ts'
import { Codec, Presence } from './column-codec.ts'
import { NumberDecoder } from './number-decoder.ts'
import { PresenceDecoder } from './presence-decoder.ts'
import { rateOf, TICKS } from './rate-clock.ts'
import { RelatedColumns } from './related-columns.ts'

/** Whole numbers have at most 53 bits. */
const WIDTH_MAX = 7

const floats = new Float64Array(1)
const words = new Int32Array(floats.buffer)

/** Decodes columns of one frame after the other; scratch space is kept. Throws `RangeError` for what nobody wrote. */
export class ColumnDecoder {
  private readonly source = new ColumnBytes()
  private readonly numbers = new NumberDecoder()
  private readonly presence = new PresenceDecoder()
  private readonly related = new RelatedColumns(this.source, this.presence, this.numbers)
  private offsets: Uint32Array = new Uint32Array(0)
  private columns = 0
  private slots = 0
  private known = new Float64Array(0)
  private corrections = new Float64Array(0)

  /**
   * Takes a frame: column k of `slots` values starts at `offsets[k]` and ends where the next one starts, the last one
   * with the bytes. These must stay as they are.
   */
  open(bytes: Uint8Array, offsets: Uint32Array, columns: number, slots: number): void {
    this.source.bytes = bytes
    this.offsets = offsets
    this.columns = columns
    this.slots = slots
    this.related.open(offsets, slots)
    if (this.known.length >= slots) return
    this.known = new Float64Array(slots)
    this.corrections = new Float64Array(slots)
  }

  /** Of what was decoded for others' sake. */
  get bytes(): number {
    return this.related.bytes
  }

  /** Lets arrays go that are of no use before the next frame. */
  trim(): void {
    this.related.trim()
  }

  /** Fills `dst[to, to + slots)` with the column at `position`: its values, NaN where it has none. */
  decode(position: number, dst: Float64Array, to: number): void {
    const { source, offsets, columns } = this
    if (position >= columns) throw new RangeError('no such column')
    source.at = offsets[position]!
    this.decodeColumn(position, dst, to)
    const end = position + 1 < columns ? offsets[position + 1]! : source.bytes.length
    if (source.at !== end) throw new RangeError(`column ends at ${source.at}, not at ${end}`)
  }

  private decodeColumn(position: number, dst: Float64Array, to: number): void {
    const { source, slots } = this
    const head = source.byte()
    const presence = head >> 4
    if (presence === Presence.empty) {
      dst.fill(NaN, to, to + slots)
      return
    }
    if (presence === Presence.full) {
      this.decodeBody(position, head & 15, dst, to, slots, false)
      return
    }
    const count = this.presence.read(source, presence, slots)
    if (count === 0) throw new RangeError('column that knows nothing and says otherwise')
    this.decodeBody(position, head & 15, this.known, 0, count, true)
    const { known } = this
    const { slotOf } = this.presence
    dst.fill(NaN, to, to + slots)
    for (let i = 0; i < count; i++) dst[to + slotOf[i]!] = known[i]!
  }

  private decodeBody(
    position: number,
    codec: number,
    dst: Float64Array,
    to: number,
    count: number,
    hasGaps: boolean,
  ): void {
    switch (codec) {
      case Codec.constant:
        dst.fill(this.source.float(), to, to + count)
        return
      case Codec.delta:
        return this.decodeDifferences(dst, to, count)
      case Codec.delta2:
        return this.decodeSecondDifferences(dst, to, count)
      case Codec.scaled:
        return this.decodeScaled(dst, to, count)
      case Codec.offset:
        this.decodeOffsets(dst, to, count, readPower(this.source))
        return
      case Codec.dictionary:
        return this.decodeDictionary(dst, to, count)
      case Codec.xor:
        readXorPlanes(this.source.bytes, this.skipPlanes(8, count), count, dst, to)
        return
      case Codec.sequence:
        return this.decodeSequence(position, dst, to, count)
      case Codec.rate:
        return this.decodeRates(position, dst, to, count, hasGaps)
      case Codec.average:
        return this.decodeAverages(position, dst, to, count)
      case Codec.choice:
        return this.decodeChoices(dst, to, count)
      default:
        throw new RangeError(`unknown codec ${codec}`)
    }
  }

  private decodeDifferences(dst: Float64Array, to: number, count: number): void {
    const { source } = this
    const { bytes } = source
    const power = readPower(this.source)
    let n = source.zigzag()
    dst[to] = n / power
    let { at } = source
    for (let i = 1; i < count; i++) {
      const byte = bytes[at]!
      if (byte < 0x80) {
        n += (byte >> 1) ^ -(byte & 1)
        at++
      } else {
        source.at = at
        n += source.zigzag()
        at = source.at
      }
      dst[to + i] = n / power
    }
    source.at = at
  }

  private decodeSecondDifferences(dst: Float64Array, to: number, count: number): void {
    const { source } = this
    const { bytes } = source
    if (count < 2) throw new RangeError('second differences of one value')
    const power = readPower(this.source)
    let n = source.zigzag()
    dst[to] = n / power
    let difference = source.zigzag()
    n += difference
    dst[to + 1] = n / power
    let { at } = source
    for (let i = 2; i < count; i++) {
      const byte = bytes[at]!
      if (byte < 0x80) {
        difference += (byte >> 1) ^ -(byte & 1)
        at++
      } else {
        source.at = at
        difference += source.zigzag()
        at = source.at
      }
      n += difference
      dst[to + i] = n / power
    }
    source.at = at
  }

  private decodeScaled(dst: Float64Array, to: number, count: number): void {
    const power = readPower(this.source)
    const divisor = readDivisor(this.source)
    this.decodeOffsets(dst, to, count, power)
    for (let i = 0; i < count; i++) dst[to + i] = dst[to + i]! / divisor
    for (let i = 0; i < count; i++) {
      const byte = this.source.byte()
      if (byte !== 0) moveBy(dst, to + i, (byte >> 1) ^ -(byte & 1))
    }
  }

  private decodeOffsets(dst: Float64Array, to: number, count: number, power: number): void {
    const lowest = this.source.zigzag()
    const width = this.source.byte()
    if (width < 1 || width > WIDTH_MAX) throw new RangeError(`planes of ${width} bytes`)
    const at = this.skipPlanes(width, count)
    readPlanes(this.source.bytes, at, { width, count }, dst, to)
    for (let i = 0; i < count; i++) dst[to + i] = (lowest + dst[to + i]!) / power
  }

  private decodeDictionary(dst: Float64Array, to: number, count: number): void {
    const values = this.readDictionary()
    const width = bytesFor(values.length - 1)
    const at = this.skipPlanes(width, count)
    readPlanes(this.source.bytes, at, { width, count }, dst, to)
    for (let i = 0; i < count; i++) {
      const value = values[dst[to + i]!]
      if (value === undefined) throw new RangeError('value outside the dictionary')
      dst[to + i] = value
    }
  }

  private readDictionary(): Float64Array {
    const { source } = this
    const length = source.varint()
    const bytesLeft = source.bytes.length - source.at
    if (length < 1 || length * Float64Array.BYTES_PER_ELEMENT > bytesLeft)
      throw new RangeError(`dictionary of ${length}`)
    const values = new Float64Array(length)
    for (let i = 0; i < length; i++) values[i] = source.float()
    return values
  }

  /** Where the planes start that come next. */
  private skipPlanes(width: number, count: number): number {
    const { source } = this
    const { at } = source
    source.at += width * count
    if (source.at > source.bytes.length) throw new RangeError('column is cut short')
    return at
  }

  // ── what is coded by its probability, with the help of other columns ───────────────────────────────

  private decodeSequence(position: number, dst: Float64Array, to: number, count: number): void {
    const { whole, end } = this.related.of(position, Codec.sequence, count, false)
    const power = readPower(this.source)
    this.source.at = end
    for (let i = 0; i < count; i++) dst[to + i] = whole[i]! / power
  }

  private decodeAverages(position: number, dst: Float64Array, to: number, count: number): void {
    const { source, corrections } = this
    const { whole, end } = this.related.of(position, Codec.average, count, false)
    const power = readPower(this.source)
    const divisor = readDivisor(source)
    source.at = this.numbers.decode(source.bytes, end, corrections, count)
    for (let i = 0; i < count; i++) {
      dst[to + i] = whole[i]! / power / divisor
      if (corrections[i] !== 0) moveBy(dst, to + i, corrections[i]!)
    }
  }

  private decodeChoices(dst: Float64Array, to: number, count: number): void {
    const { source, corrections } = this
    const values = this.readDictionary()
    source.at = this.numbers.decode(source.bytes, source.at, corrections, count)
    for (let i = 0; i < count; i++) {
      const value = values[corrections[i]!]
      if (value === undefined) throw new RangeError('value outside the dictionary')
      dst[to + i] = value
    }
  }

  private decodeRates(
    position: number,
    dst: Float64Array,
    to: number,
    count: number,
    hasGaps: boolean,
  ): void {
    const { source } = this
    const { slotOf } = this.presence
    const { whole, phases, end } = this.related.of(position, Codec.rate, count, hasGaps)
    const power = readPower(this.source)
    const slotTicks = source.varint() * TICKS
    let before = 0
    for (let i = 0; i < count; i++) {
      const n = whole[i]!
      const phase = phases![i]!
      const passed = hasGaps && i > 0 ? slotOf[i]! - slotOf[i - 1]! : 1
      dst[to + i] = n > 0 ? rateOf(n, passed * slotTicks + phase - before, power) : 0
      before = phase
    }
    source.at = end
    this.addSurpluses(dst, to, count)
    for (let i = 0; i < count; i++) dst[to + i] = dst[to + i]! / power
  }

  private addSurpluses(dst: Float64Array, to: number, count: number): void {
    const { source } = this
    let at = -1
    for (let left = source.varint(); left > 0; left--) {
      at += source.varint() + 1
      if (at >= count) throw new RangeError('misfit outside its column')
      dst[to + at] = dst[to + at]! + source.zigzag()
    }
  }
}

/** Of how many values each is the average. */
function readDivisor(source: ColumnBytes): number {
  const divisor = source.varint()
  if (divisor === 0) throw new RangeError('average of nothing')
  return divisor
}

/** Moves a value by some units in the last place. */
function moveBy(dst: Float64Array, at: number, ulps: number): void {
  floats[0] = dst[at]!
  words[0] = words[0]! + ulps
  dst[at] = floats[0]!
}
