/** Bits to whole numbers (number-format.ts has the layout). What no encoder writes throws `RangeError`. */

import {
  BITS_AT_ONCE,
  lowBitsOf,
  lowestOf,
  MANTISSA_MAX,
  shareStates,
  SIGNED,
  spreadSymbols,
  STATE_BITS,
  STATES,
  SYMBOLS_MAX,
  WEIGHT_MAX,
} from './number-format.ts'

const WIDTH_AT = STATE_BITS
const WIDTH_MASK = 15
const LOW_AT = WIDTH_AT + 4

/** Scratch space is kept between calls. */
export class NumberDecoder {
  private readonly weights = new Uint8Array(SYMBOLS_MAX)
  private readonly shares = new Uint16Array(SYMBOLS_MAX)
  private readonly next = new Uint16Array(SYMBOLS_MAX)
  private readonly symbols = new Uint16Array(STATES)
  private readonly lowest = new Float64Array(STATES)
  /** By state: the next state's base, how many bits are added to it, and the number's low bits. */
  private readonly steps = new Uint32Array(STATES)
  private at = 0

  /** Puts the `count` numbers that start at `from` to `dst[0 …]`; returns where they end. */
  decode(bytes: Uint8Array, from: number, dst: Float64Array, count: number): number {
    if (count === 0) return from
    const shape = bytes[from]
    if (shape === undefined) throw new RangeError('numbers are cut short')
    const isSigned = (shape & SIGNED) !== 0
    const mantissa = shape & (SIGNED - 1)
    if (mantissa > MANTISSA_MAX) throw new RangeError(`mantissa of ${mantissa} bits`)
    this.at = from + 1
    this.readTable(bytes, mantissa)
    return isSigned ? this.walk(bytes, dst, count, 1) : this.walk(bytes, dst, count, 0)
  }

  /** `sign`: 1 when a number's lowest bit is its sign. */
  private walk(bytes: Uint8Array, dst: Float64Array, count: number, sign: number): number {
    const { lowest, steps } = this
    let bit = this.at * 8
    let state = peek(bytes, bit) & (STATES - 1)
    bit += STATE_BITS
    for (let i = 0; i < count; i++) {
      const step = steps[state]!
      const width = (step >>> WIDTH_AT) & WIDTH_MASK
      const low = step >>> LOW_AT
      if (low + width <= BITS_AT_ONCE) {
        // Such a number has at most 28 bits.
        const word = peek(bytes, bit)
        bit += low + width
        const value = (lowest[state]! | 0) + ((word >>> width) & ((1 << low) - 1))
        state = (step & (STATES - 1)) + (word & ((1 << width) - 1))
        dst[i] = (value >>> sign) ^ -(value & sign)
      } else {
        let value = lowest[state]!
        state = (step & (STATES - 1)) + (peek(bytes, bit) & ((1 << width) - 1))
        bit += width
        let scale = 1
        for (let left = low; left > 0; left -= BITS_AT_ONCE) {
          const taken = left < BITS_AT_ONCE ? left : BITS_AT_ONCE
          value += (peek(bytes, bit) & ((1 << taken) - 1)) * scale
          bit += taken
          scale *= 2 ** BITS_AT_ONCE
        }
        dst[i] = sign === 0 ? value : value % 2 === 1 ? -(value + 1) / 2 : value / 2
      }
    }
    const end = (bit + 7) >>> 3
    if (end > bytes.length) throw new RangeError('numbers are cut short')
    return end
  }

  private readTable(bytes: Uint8Array, mantissa: number): void {
    const { weights, shares, next, symbols } = this
    const first = this.varint(bytes)
    const count = this.varint(bytes) + 1
    if (first + count > SYMBOLS_MAX) throw new RangeError(`symbols up to ${first + count}`)
    const weightsEnd = this.at + ((count + 1) >> 1)
    if (weightsEnd > bytes.length) throw new RangeError('numbers are cut short')
    for (let k = 0; k < count; k++)
      weights[k] = (bytes[this.at + (k >> 1)]! >> ((k & 1) << 2)) & WEIGHT_MAX
    this.at = weightsEnd
    if (!shareStates(weights, count, shares)) throw new RangeError('table without symbols')
    next.set(shares.subarray(0, count))
    spreadSymbols(shares, { first, count }, symbols)
    for (let state = 0; state < STATES; state++) {
      const symbol = symbols[state]!
      const x = next[symbol - first]!
      next[symbol - first] = x + 1
      const width = STATE_BITS - 31 + Math.clz32(x)
      const low = lowBitsOf(symbol, mantissa)
      this.steps[state] = ((x << width) - STATES) | (width << WIDTH_AT) | (low << LOW_AT)
      this.lowest[state] = lowestOf(symbol, mantissa)
    }
  }

  /** Two bytes at most: nothing in a table is larger. */
  private varint(bytes: Uint8Array): number {
    const byte = bytes[this.at++]
    const more = byte !== undefined && byte >= 0x80 ? bytes[this.at++] : 0
    if (byte === undefined || more === undefined) throw new RangeError('numbers are cut short')
    return (byte & 0x7f) + more * 0x80
  }
}

/** At least 24 bits from here; zeros behind the end. */
function peek(bytes: Uint8Array, bit: number): number {
  const at = bit >>> 3
  if (at + 3 < bytes.length)
    return (
      (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>>
      (bit & 7)
    )
  let word = 0
  for (let k = at; k < bytes.length; k++) word |= bytes[k]! << (8 * (k - at))
  return word >>> (bit & 7)
}
