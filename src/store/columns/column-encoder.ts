/** Columns to bytes: looks at the values and takes the codec that fits (column-codec.ts has the layout). */

import { writeFloat, writeVarint, writeZigzag } from './column-bytes.ts'
import { prefersOffsets, writeDictionary, writeOffsets } from './column-planes.ts'
import { Codec, EXPONENT_MAX, POWERS, Presence } from './column-codec.ts'
import { Dictionary } from './dictionary.ts'

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
  /** Of few values that are no decimals. */
  readonly dictionary = new Dictionary()
  /** Slots from which on values are missing, known again, missing … : where each run of them ends. */
  runEnds = new Uint32Array(0)
  runs = 0
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
    this.takeKnown(values, from, slots)
    const { known, count } = this
    this.averagedOf = averagedOf
    this.codec = Codec.constant
    this.presence = count === 0 ? Presence.empty : Presence.full
    if (count === 0) return
    this.body = count === slots ? at + 1 : this.writePresence(slots, dst, at + 1)
    if (!isConstant(known, count)) this.codec = this.chooseCodec(count)
  }

  private takeKnown(values: Float64Array, from: number, slots: number): void {
    const { known, runEnds } = this
    const end = from + slots
    let count = 0
    let runs = 0
    for (let i = from; i < end;) {
      for (; i < end; i++) {
        const value = values[i]!
        if (value !== value) break
        known[count++] = value
      }
      runEnds[runs++] = i - from
      if (i === end) break
      while (i < end && values[i] !== values[i]) i++
      runEnds[runs++] = i - from
    }
    this.count = count
    this.runs = runs
  }

  /** Runs or, where that is shorter, a bitmap. */
  private writePresence(slots: number, dst: Uint8Array, at: number): number {
    const { runEnds, runs } = this
    const bitmapBytes = (slots + 7) >> 3
    if (runs + 1 >= bitmapBytes) {
      this.presence = Presence.bitmap
      dst.fill(0, at, at + bitmapBytes)
      for (let run = 0; run < runs; run += 2) {
        const start = run === 0 ? 0 : runEnds[run - 1]!
        for (let i = start; i < runEnds[run]!; i++) dst[at + (i >> 3)]! |= 1 << (i & 7)
      }
      return at + bitmapBytes
    }
    this.presence = Presence.runs
    let end = writeVarint(runs, dst, at)
    let start = 0
    for (let run = 0; run < runs; run++) {
      end = writeVarint(runEnds[run]! - start, dst, end)
      start = runEnds[run]!
    }
    return end
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
    if (!this.dictionary.take(known, count)) return writePlanes(known, count, dst, body)
    this.codec = Codec.dictionary
    return writeDictionary(this.dictionary, count, dst, body)
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
    this.runEnds = new Uint32Array(slots + 2)
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
