/** Columns to bytes: looks at the values and takes the codec that fits (column-codec.ts has the layout). */

import { writeFloat, writeVarint, writeZigzag } from './column-bytes.ts'
import { prefersOffsets, writeDictionary, writeOffsets } from './column-planes.ts'
import { Codec, EXPONENT_MAX, POWERS, Presence } from './column-codec.ts'

/** 2^51: differences and their differences are then exact too. */
const WHOLE_MAX = 2_251_799_813_685_248
const NOT_DECIMAL = -1
/** Corrections beyond this say that the values are no averages of decimals. */
const ULPS_MAX = 63

/** Encodes columns; scratch space is kept between calls. What is not private is about the last one. */
export class ColumnEncoder {
  /** The values that are known, `count` of them. */
  known = new Float64Array(0)
  count = 0
  codec: number = Codec.constant
  presence: number = Presence.full
  /** Where the body starts. */
  body = 0
  /** Of decimal codecs: n, and e. */
  whole = new Float64Array(0)
  exponent = 0
  /** Of averages. */
  ulps = new Float64Array(0)
  private averagedOf = 1

  /**
   * Writes `values[from, from + slots)` to `dst` at `at`, where `columnBytesMax(slots)` bytes must be free;
   * returns the end. `averagedOf`: how many values each of these is the average of, 1 for none.
   */
  encode(
    values: Float64Array,
    from: number,
    slots: number,
    dst: Uint8Array,
    at: number,
    averagedOf: number,
  ): number {
    this.look(values, from, slots, dst, at, averagedOf)
    return this.write(dst, at)
  }

  /** Finds out what the column is made of, and writes which slots it knows; `write` comes next. */
  look(
    values: Float64Array,
    from: number,
    slots: number,
    dst: Uint8Array,
    at: number,
    averagedOf: number,
  ): void {
    if (this.known.length < slots) this.grow(slots)
    const { known } = this
    let count = 0
    for (let i = from, end = from + slots; i < end; i++) {
      const value = values[i]!
      if (value === value) known[count++] = value
    }
    this.count = count
    this.averagedOf = averagedOf
    this.presence = count === 0 ? Presence.empty : Presence.full
    this.codec = Codec.constant
    if (count === 0) return
    this.body = count === slots ? at + 1 : writePresence(values, from, slots, dst, at + 1, at)
    if (count < slots) this.presence = dst[at]!
    if (!isConstant(known, count)) this.codec = this.chooseCodec(count)
  }

  /** Writes what was looked at last; returns the end. */
  write(dst: Uint8Array, at: number): number {
    const end = this.presence === Presence.empty ? at + 1 : this.writeBody(dst, this.body)
    dst[at] = (this.presence << 4) | this.codec
    return end
  }

  private chooseCodec(count: number): number {
    this.exponent = this.toDecimal(count)
    if (this.exponent !== NOT_DECIMAL) return Codec.delta
    if (this.averagedOf > 1) this.exponent = this.toScaled(count, this.averagedOf)
    return this.exponent === NOT_DECIMAL ? Codec.xor : Codec.scaled
  }

  private writeBody(dst: Uint8Array, body: number): number {
    const { known, count } = this
    if (this.codec === Codec.constant) return writeFloat(known[0]!, dst, body)
    if (this.codec === Codec.delta) return this.writeDecimals(dst, body)
    if (this.codec === Codec.scaled) return this.writeScaled(dst, body)
    const dictionaryEnd = writeDictionary(known, count, dst, body)
    if (dictionaryEnd === 0) return writePlanes(known, count, dst, body)
    this.codec = Codec.dictionary
    return dictionaryEnd
  }

  private writeDecimals(dst: Uint8Array, body: number): number {
    const { whole, count } = this
    dst[body] = this.exponent
    measureDifferences(whole, count)
    const second = count >= 4 && cost.second < cost.first
    const cheapest = second ? cost.second : cost.first
    if (cheapest > 2 * count && prefersOffsets(whole, count)) {
      this.codec = Codec.offset
      return writeOffsets(whole, count, dst, body + 1)
    }
    this.codec = second ? Codec.delta2 : Codec.delta
    return second
      ? writeSecondDifferences(whole, count, dst, body + 1)
      : writeDifferences(whole, count, dst, body + 1)
  }

  private writeScaled(dst: Uint8Array, body: number): number {
    const { whole, ulps, count } = this
    dst[body] = this.exponent
    let end = writeVarint(this.averagedOf, dst, body + 1)
    end = writeOffsets(whole, count, dst, end)
    for (let i = 0; i < count; i++) dst[end++] = (ulps[i]! << 1) ^ (ulps[i]! >> 31)
    return end
  }

  /** Fills `whole` with n such that n / 10^e is each known value, bit for bit; answers e. */
  private toDecimal(count: number): number {
    const { known, whole } = this
    let exponent = 0
    let power = 1
    for (let i = 0; i < count; i++) {
      const value = known[i]!
      let n = Math.round(value * power)
      if (n / power !== value || n > WHOLE_MAX || n < -WHOLE_MAX) {
        do {
          if (++exponent > EXPONENT_MAX) return NOT_DECIMAL
          power = POWERS[exponent]!
          n = Math.round(value * power)
        } while (n / power !== value)
        if (n > WHOLE_MAX || n < -WHOLE_MAX) return NOT_DECIMAL
        // What came before was found with a smaller exponent: once more with this one.
        i = -1
        continue
      }
      if (n === 0 && 1 / value < 0) return NOT_DECIMAL
      whole[i] = n
    }
    return exponent
  }

  /** As `toDecimal` for n / 10^e / m, with corrections in `ulps`. */
  private toScaled(count: number, divisor: number): number {
    const { known } = this
    let exponent = 0
    for (let i = 0; i < count; i++) {
      const value = known[i]!
      const total = value * divisor
      while (!isNearWhole(total * POWERS[exponent]!)) {
        if (++exponent > EXPONENT_MAX) return NOT_DECIMAL
      }
    }
    return this.correct(count, divisor, POWERS[exponent]!) ? exponent : NOT_DECIMAL
  }

  private correct(count: number, divisor: number, power: number): boolean {
    const { known, whole, ulps } = this
    for (let i = 0; i < count; i++) {
      const value = known[i]!
      const n = Math.round(value * divisor * power)
      if (!(n <= WHOLE_MAX && n >= -WHOLE_MAX)) return false
      if (n === 0 && 1 / value < 0) return false
      const away = ulpsBetween(n / power / divisor, value)
      if (away > ULPS_MAX || away < -ULPS_MAX) return false
      whole[i] = n
      ulps[i] = away
    }
    return true
  }

  private grow(slots: number): void {
    this.known = new Float64Array(slots)
    this.whole = new Float64Array(slots)
    this.ulps = new Float64Array(slots)
  }
}

// ── choosing ────────────────────────────────────────────────────────────────────────────────────────

const floats = new Float64Array(2)
const words = new Int32Array(floats.buffer)

function isConstant(known: Float64Array, count: number): boolean {
  const first = known[0]!
  for (let i = 1; i < count; i++) if (known[i] !== first) return false
  if (first !== 0) return true
  // Zeros compare equal whatever their sign.
  for (let i = 0; i < count; i++) if (!Object.is(known[i], first)) return false
  return true
}

function isNearWhole(value: number): boolean {
  const distance = Math.abs(value - Math.round(value))
  return distance <= Math.abs(value) * 1e-14
}

/** How many doubles `to` lies above `from`; a large number when they are not close or differ in sign. */
function ulpsBetween(from: number, to: number): number {
  floats[0] = from
  floats[1] = to
  if (words[1] !== words[3]) return ULPS_MAX + 1
  return words[2]! - words[0]!
}

/** What first and second differences take as varints, in units of less than a byte. */
const cost = { first: 0, second: 0 }

function measureDifferences(whole: Float64Array, count: number): void {
  let first = 0
  let second = 0
  let before = 0
  for (let i = 1; i < count; i++) {
    const difference = whole[i]! - whole[i - 1]!
    const change = difference - before
    before = difference
    if (difference !== 0) first += difference < 64 && difference >= -64 ? 2 : varintCost(difference)
    if (change !== 0) second += change < 64 && change >= -64 ? 2 : varintCost(change)
  }
  cost.first = first
  cost.second = second
}

function varintCost(difference: number): number {
  const size = Math.abs(difference)
  if (size < 8_192) return 3
  if (size < 1_048_576) return 4
  return size < 134_217_728 ? 5 : 7
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────────

function writeDifferences(whole: Float64Array, count: number, dst: Uint8Array, at: number): number {
  let before = whole[0]!
  let end = writeZigzag(before, dst, at)
  for (let i = 1; i < count; i++) {
    const n = whole[i]!
    const difference = n - before
    before = n
    if (difference < 64 && difference >= -64) {
      const small = difference | 0
      dst[end++] = (small << 1) ^ (small >> 31)
    } else end = writeZigzag(difference, dst, end)
  }
  return end
}

function writeSecondDifferences(
  whole: Float64Array,
  count: number,
  dst: Uint8Array,
  at: number,
): number {
  let end = writeZigzag(whole[0]!, dst, at)
  let before = whole[1]! - whole[0]!
  end = writeZigzag(before, dst, end)
  for (let i = 2; i < count; i++) {
    const difference = whole[i]! - whole[i - 1]!
    const change = difference - before
    before = difference
    if (change < 64 && change >= -64) {
      const small = change | 0
      dst[end++] = (small << 1) ^ (small >> 31)
    } else end = writeZigzag(change, dst, end)
  }
  return end
}

function writePlanes(known: Float64Array, count: number, dst: Uint8Array, at: number): number {
  let low = 0
  let high = 0
  for (let i = 0; i < count; i++) {
    floats[0] = known[i]!
    const a = words[1]! ^ high
    const b = words[0]! ^ low
    high = words[1]!
    low = words[0]!
    const to = at + i
    dst[to] = a >> 24
    dst[to + count] = a >> 16
    dst[to + 2 * count] = a >> 8
    dst[to + 3 * count] = a
    dst[to + 4 * count] = b >> 24
    dst[to + 5 * count] = b >> 16
    dst[to + 6 * count] = b >> 8
    dst[to + 7 * count] = b
  }
  return at + 8 * count
}

/** Writes runs or, where that is shorter, a bitmap; puts which of the two at `kindAt`. */
function writePresence(
  values: Float64Array,
  from: number,
  slots: number,
  dst: Uint8Array,
  at: number,
  kindAt: number,
): number {
  const bitmapBytes = (slots + 7) >> 3
  let changes = 0
  let known = true
  for (let i = 0; i < slots; i++) {
    const value = values[from + i]!
    if ((value === value) !== known) {
      known = !known
      changes++
    }
  }
  if (changes + 2 >= bitmapBytes) {
    dst[kindAt] = Presence.bitmap
    return writeBitmap(values, from, slots, dst, at)
  }
  dst[kindAt] = Presence.runs
  let end = writeVarint(changes + 1, dst, at)
  let start = 0
  known = true
  for (let i = 0; i < slots; i++) {
    const value = values[from + i]!
    if ((value === value) !== known) {
      end = writeVarint(i - start, dst, end)
      start = i
      known = !known
    }
  }
  return writeVarint(slots - start, dst, end)
}

function writeBitmap(
  values: Float64Array,
  from: number,
  slots: number,
  dst: Uint8Array,
  at: number,
): number {
  for (let i = 0; i < slots; i += 8) {
    let bits = 0
    for (let k = 0; k < 8 && i + k < slots; k++) {
      const value = values[from + i + k]!
      if (value === value) bits |= 1 << k
    }
    dst[at + (i >> 3)] = bits
  }
  return at + ((slots + 7) >> 3)
}
