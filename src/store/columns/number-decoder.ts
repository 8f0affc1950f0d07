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

/** Scratch space is kept between calls. */
export class NumberDecoder {
  private readonly weights = new Uint8Array(SYMBOLS_MAX)
  private readonly shares = new Uint16Array(SYMBOLS_MAX)
  private readonly next = new Uint16Array(SYMBOLS_MAX)
  private readonly symbols = new Uint16Array(STATES)
  private readonly lowest = new Float64Array(STATES)
  private readonly lowBits = new Uint8Array(STATES)
  private readonly stateBits = new Uint8Array(STATES)
  private readonly stateBase = new Uint16Array(STATES)
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
    const end = this.walk(bytes, dst, count)
    if (isSigned) unfold(dst, count)
    return end
  }

  private walk(bytes: Uint8Array, dst: Float64Array, count: number): number {
    const { lowest, lowBits, stateBits, stateBase } = this
    let bit = this.at * 8
    let state = peek(bytes, bit) & (STATES - 1)
    bit += STATE_BITS
    for (let i = 0; i < count; i++) {
      const low = lowBits[state]!
      const width = stateBits[state]!
      let value = lowest[state]!
      if (low + width <= BITS_AT_ONCE) {
        const word = peek(bytes, bit)
        bit += low + width
        state = stateBase[state]! + (word & ((1 << width) - 1))
        value += (word >>> width) & ((1 << low) - 1)
      } else {
        state = stateBase[state]! + (peek(bytes, bit) & ((1 << width) - 1))
        bit += width
        let scale = 1
        for (let left = low; left > 0; left -= BITS_AT_ONCE) {
          const taken = left < BITS_AT_ONCE ? left : BITS_AT_ONCE
          value += (peek(bytes, bit) & ((1 << taken) - 1)) * scale
          bit += taken
          scale *= 2 ** BITS_AT_ONCE
        }
      }
      dst[i] = value
    }
    const end = (bit + 7) >> 3
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
      this.stateBits[state] = width
      this.stateBase[state] = (x << width) - STATES
      this.lowBits[state] = lowBitsOf(symbol, mantissa)
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

/** Magnitudes back to signed numbers. */
function unfold(dst: Float64Array, count: number): void {
  for (let i = 0; i < count; i++) {
    const magnitude = dst[i]!
    if (magnitude < 2_147_483_648) dst[i] = (magnitude >>> 1) ^ -(magnitude & 1)
    else dst[i] = magnitude % 2 === 1 ? -(magnitude + 1) / 2 : magnitude / 2
  }
}
