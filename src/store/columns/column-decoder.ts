/**
 * Bytes to columns (column-codec.ts has the layout). What no encoder writes throws `RangeError`; frames are
 * verified before, so that is a bug or a file of another program.
 *
 * A column may need an earlier one of its frame. That is then decoded first, and kept until the next frame.
 */

import { ColumnBytes } from './column-bytes.ts'
import { bytesFor, readPlanes } from './column-planes.ts'
import { Codec, EXPONENT_MAX, POWERS, Presence } from './column-codec.ts'
import { NumberDecoder } from './number-decoder.ts'
import { correctionUnit, PhaseTrack, rateOf, TICKS } from './rate-clock.ts'
import { SequenceDecoder } from './sequence-decoder.ts'

/** Whole numbers have at most 53 bits. */
const WIDTH_MAX = 7

const floats = new Float64Array(2)
const words = new Int32Array(floats.buffer)

/** What later columns of the frame may need of one. */
interface Remembered {
  readonly count: number
  readonly whole: Float64Array
  readonly phases: Float64Array | undefined
}

/** Decodes columns of one frame after the other; scratch space is kept. Throws `RangeError` for what nobody wrote. */
export class ColumnDecoder {
  private readonly source = new ColumnBytes()
  private readonly numbers = new NumberDecoder()
  private readonly sequences = new SequenceDecoder(this.numbers)
  private readonly track = new PhaseTrack()
  private offsets: Uint32Array = new Uint32Array(0)
  private columns = 0
  private slots = 0
  /** By position in the frame. */
  private readonly remembered = new Map<number, Remembered>()
  private readonly spare: Float64Array[] = []
  private known = new Float64Array(0)
  private slotOf = new Int32Array(0)
  private corrections = new Float64Array(0)
  private aside = new Float64Array(0)

  /** Takes a frame: column k of `slots` values starts at `offsets[k]`. The bytes must stay as they are. */
  open(bytes: Uint8Array, offsets: Uint32Array, columns: number, slots: number): void {
    this.source.bytes = bytes
    this.offsets = offsets
    this.columns = columns
    this.slots = slots
    for (const { whole, phases } of this.remembered.values()) {
      this.spare.push(whole)
      if (phases) this.spare.push(phases)
    }
    this.remembered.clear()
    if (this.known.length >= slots) return
    this.known = new Float64Array(slots)
    this.slotOf = new Int32Array(slots)
    this.corrections = new Float64Array(slots)
    this.spare.length = 0
  }

  /** Fills `dst[to, to + slots)` with the column at `position`: its values, NaN where it has none. */
  decode(position: number, dst: Float64Array, to: number): void {
    const { source, slots } = this
    const from = this.offsets[position]
    if (position >= this.columns || from === undefined) throw new RangeError('no such column')
    source.at = from
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
    const count = this.readPresence(presence)
    this.decodeBody(position, head & 15, this.known, 0, count, true)
    const { known, slotOf } = this
    dst.fill(NaN, to, to + slots)
    for (let i = 0; i < count; i++) dst[to + slotOf[i]!] = known[i]!
  }

  /** Fills `slotOf` with the slots that are known; answers how many. */
  private readPresence(presence: number): number {
    if (presence === Presence.bitmap) return this.readBitmap()
    if (presence === Presence.runs) return this.readRuns()
    throw new RangeError(`unknown presence ${presence}`)
  }

  private readBitmap(): number {
    const { source, slotOf, slots } = this
    const { bytes, at } = source
    source.at += (slots + 7) >> 3
    let count = 0
    for (let slot = 0; slot < slots; slot++)
      if ((bytes[at + (slot >> 3)]! >> (slot & 7)) & 1) slotOf[count++] = slot
    return count
  }

  private readRuns(): number {
    const { source, slotOf, slots } = this
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
        this.decodeOffsets(dst, to, count, this.power())
        return
      case Codec.dictionary:
        return this.decodeDictionary(dst, to, count)
      case Codec.xor:
        return this.decodePlanes(dst, to, count)
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
    const power = this.power()
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
    const power = this.power()
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
    const power = this.power()
    const divisor = this.source.varint()
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
    const at = this.skipPlanes(width, count)
    readPlanes(this.source.bytes, at, { width, count }, dst, to)
    for (let i = 0; i < count; i++) dst[to + i] = (lowest + dst[to + i]!) / power
  }

  private decodeDictionary(dst: Float64Array, to: number, count: number): void {
    const values = this.readDictionary()
    const width = bytesFor(values.length - 1)
    const at = this.skipPlanes(width, count)
    readPlanes(this.source.bytes, at, { width, count }, dst, to)
    for (let i = 0; i < count; i++) dst[to + i] = values[dst[to + i]!]!
  }

  private readDictionary(): Float64Array {
    const { source } = this
    const length = source.varint()
    if (length < 1 || length > source.bytes.length) throw new RangeError(`dictionary of ${length}`)
    const values = new Float64Array(length)
    for (let i = 0; i < length; i++) values[i] = source.float()
    return values
  }

  /** Where the planes start that come next. */
  private skipPlanes(width: number, count: number): number {
    const { source } = this
    const { at } = source
    source.at += width * count
    if (width > WIDTH_MAX || source.at > source.bytes.length)
      throw new RangeError('column is cut short')
    return at
  }

  private decodePlanes(dst: Float64Array, to: number, count: number): void {
    const { bytes, at } = this.source
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
    this.source.at = at + 8 * count
  }

  // ── what is coded by its probability, with the help of other columns ───────────────────────────────

  private decodeSequence(position: number, dst: Float64Array, to: number, count: number): void {
    const power = this.power()
    const whole = this.readSequence(position, count)
    this.remembered.set(position, { count, whole, phases: undefined })
    for (let i = 0; i < count; i++) dst[to + i] = whole[i]! / power
  }

  private decodeAverages(position: number, dst: Float64Array, to: number, count: number): void {
    const { source, corrections } = this
    const power = this.power()
    const divisor = source.varint()
    const whole = this.readSequence(position, count)
    this.remembered.set(position, { count, whole, phases: undefined })
    source.at = this.numbers.decode(source.bytes, source.at, corrections, count)
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
      if (value === undefined) throw new RangeError('choice outside the dictionary')
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
    const { source, track, slotOf } = this
    const power = this.power()
    const slotTicks = source.varint() * TICKS
    const back = source.varint()
    const reference = back === 0 ? undefined : this.rememberedAt(position, back, count).phases
    if (back !== 0 && !reference) throw new RangeError('reference without phases')
    const whole = this.readSequence(position, count)
    const phases = this.scratch()
    this.remembered.set(position, { count, whole, phases })
    let read = 0
    for (let i = 0; i < count; i++) if (whole[i]! > 0) read++
    const { corrections } = this
    source.at = this.numbers.decode(source.bytes, source.at, corrections, read)
    track.reset()
    let next = 0
    for (let i = 0; i < count; i++) {
      const n = whole[i]!
      const origin = reference ? reference[i]! : 0
      let distance = track.expected
      if (n > 0) {
        const passed = hasGaps && i > 0 ? slotOf[i]! - slotOf[i - 1]! : 1
        const ticks = passed * slotTicks
        const correction = corrections[next++]!
        if (correction !== 0) distance += correction * correctionUnit(n, ticks, power)
        dst[to + i] = rateOf(n, track.interval(ticks, origin + distance), power)
      } else dst[to + i] = 0
      phases[i] = origin + distance
      track.take(origin + distance, distance)
    }
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

  /** The sequence that comes next, in an array of its own. */
  private readSequence(position: number, count: number): Float64Array {
    const whole = this.scratch()
    this.sequences.decode(
      this.source,
      whole,
      count,
      (back) => this.rememberedAt(position, back, count).whole,
    )
    return whole
  }

  /** The column `back` before one of the frame; decodes it when it was not asked for yet. */
  private rememberedAt(before: number, back: number, count: number): Remembered {
    const position = before - back
    let found = this.remembered.get(position)
    if (!found && position >= 0 && position < before) {
      const { at } = this.source
      if (this.aside.length < this.slots) this.aside = new Float64Array(this.slots)
      this.decode(position, this.aside, 0)
      this.source.at = at
      found = this.remembered.get(position)
    }
    if (found?.count !== count) throw new RangeError('column refers to another kind of column')
    return found
  }

  private scratch(): Float64Array {
    return this.spare.pop() ?? new Float64Array(this.known.length)
  }

  private power(): number {
    const exponent = this.source.byte()
    if (exponent > EXPONENT_MAX) throw new RangeError(`exponent ${exponent}`)
    return POWERS[exponent]!
  }
}

/** Moves a value by some units in the last place. */
function moveBy(dst: Float64Array, at: number, ulps: number): void {
  floats[0] = dst[at]!
  words[0] = words[0]! + ulps
  dst[at] = floats[0]!
}
