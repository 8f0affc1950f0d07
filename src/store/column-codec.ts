/**
 * One series' slots as bytes: a column. The codec is chosen by looking at the values; what it makes is
 * meant to be compressed with zstd together with its neighbours (VictoriaMetrics' idea; no timestamps,
 * because slots have none).
 *
 * ```
 * column   = u8 presence × 16 + codec, presence, body          (an EMPTY column is the one byte)
 * presence = FULL: –   RUNS: varint count, then varint known, varint missing …   BITMAP: ⌈slots / 8⌉ bytes
 * body     = CONSTANT  f64
 *            DELTA     u8 e, zigzag n₀, zigzag nᵢ − nᵢ₋₁                     value = n / 10^e
 *            DELTA2    u8 e, zigzag n₀, zigzag n₁ − n₀, zigzag second differences
 *            SCALED    u8 e, varint m, zigzag n₀, zigzag differences, zigzag ulps   value = n / 10^e / m + ulps
 *            XOR       8 planes: byte k of every value's bits XOR its predecessor's, most significant first
 * ```
 *
 * Lossless to the bit for every value but NaN, which means "no value". A decimal codec is taken only if
 * it gives each value back; a negative zero, an infinity or an n beyond 2^53 does not. SCALED is for
 * averages: m is how many values were averaged, `ulps` corrects what rounding did to their sum.
 */

import { assert } from '../lib/assert.ts'

export const Codec = { constant: 0, delta: 1, delta2: 2, scaled: 3, xor: 4 } as const
const Presence = { full: 0, runs: 1, bitmap: 2, empty: 3 } as const

const EXPONENT_MAX = 9
const POWERS = Float64Array.from({ length: EXPONENT_MAX + 1 }, (_, i) => Number(`1e${i}`))
const WHOLE_MAX = 9_007_199_254_740_991
const NOT_DECIMAL = -1
/** Corrections beyond this say that the values are no averages of decimals. */
const ULPS_MAX = 63

/** The most bytes that a column of `slots` values can take. */
export function columnBytesMax(slots: number): number {
  return 32 + slots * 21
}

/** Encodes columns; scratch space is kept between calls. */
export class ColumnEncoder {
  private known = new Float64Array(0)
  private whole = new Float64Array(0)
  private ulps = new Int32Array(0)

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
    if (this.known.length < slots) this.grow(slots)
    const { known } = this
    let count = 0
    for (let i = from, end = from + slots; i < end; i++) {
      const value = values[i]!
      if (value === value) known[count++] = value
    }
    if (count === 0) {
      dst[at] = Presence.empty << 4
      return at + 1
    }
    const body = count === slots ? at + 1 : writePresence(values, from, slots, dst, at + 1, at)
    const presence = count === slots ? Presence.full : dst[at]!
    return this.encodeKnown(count, dst, at, body, presence, averagedOf)
  }

  private encodeKnown(
    count: number,
    dst: Uint8Array,
    at: number,
    body: number,
    presence: number,
    averagedOf: number,
  ): number {
    if (isConstant(this.known, count)) {
      dst[at] = (presence << 4) | Codec.constant
      return writeFloat(this.known[0]!, dst, body)
    }
    const exponent = this.toDecimal(count)
    if (exponent !== NOT_DECIMAL) {
      const second = prefersSecondDifferences(this.whole, count)
      dst[at] = (presence << 4) | (second ? Codec.delta2 : Codec.delta)
      dst[body] = exponent
      return second
        ? writeSecondDifferences(this.whole, count, dst, body + 1)
        : writeDifferences(this.whole, count, dst, body + 1)
    }
    if (averagedOf > 1) {
      const scaled = this.toScaled(count, averagedOf)
      if (scaled !== NOT_DECIMAL) {
        dst[at] = (presence << 4) | Codec.scaled
        dst[body] = scaled
        let end = writeVarint(averagedOf, dst, body + 1)
        end = writeDifferences(this.whole, count, dst, end)
        const { ulps } = this
        for (let i = 0; i < count; i++) dst[end++] = (ulps[i]! << 1) ^ (ulps[i]! >> 31)
        return end
      }
    }
    dst[at] = (presence << 4) | Codec.xor
    return writePlanes(this.known, count, dst, body)
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
    this.ulps = new Int32Array(slots)
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

/** Whether second differences take fewer varint bytes than first ones. */
function prefersSecondDifferences(whole: Float64Array, count: number): boolean {
  if (count < 4) return false
  let first = 0
  let second = 0
  let before = whole[1]! - whole[0]!
  for (let i = 2; i < count; i++) {
    const difference = whole[i]! - whole[i - 1]!
    const change = difference - before
    before = difference
    if (difference !== 0) first += difference < 64 && difference >= -64 ? 2 : varintCost(difference)
    if (change !== 0) second += change < 64 && change >= -64 ? 2 : varintCost(change)
  }
  return second < first
}

function varintCost(difference: number): number {
  const size = Math.abs(difference)
  if (size < 8_192) return 3
  if (size < 1_048_576) return 4
  return size < 134_217_728 ? 5 : 7
}

// ── writing ─────────────────────────────────────────────────────────────────────────────────────────

function writeFloat(value: number, dst: Uint8Array, at: number): number {
  floats[0] = value
  writeWord(words[0]!, dst, at)
  writeWord(words[1]!, dst, at + 4)
  return at + 8
}

function writeWord(word: number, dst: Uint8Array, at: number): void {
  dst[at] = word
  dst[at + 1] = word >> 8
  dst[at + 2] = word >> 16
  dst[at + 3] = word >> 24
}

function writeVarint(value: number, dst: Uint8Array, at: number): number {
  let end = at
  let rest = value
  while (rest >= 0x80) {
    dst[end++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  dst[end++] = rest
  return end
}

/** Zigzag of a difference of two whole numbers below 2^53, which may need 54 bits. */
function writeZigzag(value: number, dst: Uint8Array, at: number): number {
  if (value < 64 && value >= -64) {
    const small = value | 0
    dst[at] = (small << 1) ^ (small >> 31)
    return at + 1
  }
  if (value < 1_073_741_824 && value >= -1_073_741_824) {
    const small = value | 0
    let rest = (small << 1) ^ (small >> 31)
    let end = at
    while (rest > 0x7f) {
      dst[end++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    dst[end++] = rest
    return end
  }
  return writeLongZigzag(value, dst, at)
}

/** Sign in the lowest bit of the first byte, six bits beside it, then seven a byte: no doubling, so nothing is lost. */
function writeLongZigzag(value: number, dst: Uint8Array, at: number): number {
  const negative = value < 0 ? 1 : 0
  // Zigzag's −1 − x keeps small and large numbers on one scale.
  let rest = negative ? -1 - value : value
  dst[at] = 0x80 | ((rest % 64) << 1) | negative
  rest = Math.floor(rest / 64)
  return writeVarint(rest, dst, at + 1)
}

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

// ── reading ─────────────────────────────────────────────────────────────────────────────────────────

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
    let n = this.zigzag()
    dst[to] = n / power / divisor
    for (let i = 1; i < count; i++) {
      n += this.zigzag()
      dst[to + i] = n / power / divisor
    }
    for (let i = 0; i < count; i++) {
      const byte = this.byte()
      if (byte === 0) continue
      floats[0] = dst[to + i]!
      words[0] = words[0]! + ((byte >> 1) ^ -(byte & 1))
      dst[to + i] = floats[0]!
    }
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
    assert(magnitude >= 0, 'a varint is not negative')
    return first & 1 ? -1 - magnitude : magnitude
  }
}
