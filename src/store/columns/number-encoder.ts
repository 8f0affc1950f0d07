/** Whole numbers to bits (number-format.ts has the layout). Measure first, then write what was measured. */

import { writeVarint } from './column-bytes.ts'
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
  symbolOf,
  SYMBOLS_MAX,
  WEIGHT_MAX,
  WEIGHTS,
} from './number-format.ts'

/** c × log₂ c, for counts up to this many. */
const LOGARITHMS = Float64Array.from({ length: 4_097 }, (_, c) => (c === 0 ? 0 : c * Math.log2(c)))
/** What a symbol takes in the table. */
const WEIGHT_BITS = 4
const LOG_RATIO = Math.log(WEIGHTS[2]!)

/** By mantissa: the symbol that one of the longest mantissa becomes. */
const MERGED = Array.from({ length: MANTISSA_MAX + 1 }, (_, mantissa) =>
  Uint16Array.from({ length: SYMBOLS_MAX }, (__, symbol) =>
    symbolOf(lowestOf(symbol, MANTISSA_MAX), mantissa),
  ),
)
/** By mantissa: the low bits of each symbol. */
const LOW_BITS = Array.from({ length: MANTISSA_MAX + 1 }, (_, mantissa) =>
  Uint8Array.from({ length: SYMBOLS_MAX }, (__, symbol) => lowBitsOf(symbol, mantissa)),
)

function weighted(count: number): number {
  return count < LOGARITHMS.length ? LOGARITHMS[count]! : count * Math.log2(count)
}

/** Scratch space is kept between calls. */
export class NumberEncoder {
  private magnitudes = new Float64Array(0)
  /** Of the longest mantissa when they were measured, of the chosen one while they are written. */
  private symbols = new Uint16Array(0)
  private stateBits = new Uint16Array(0)
  private stateWidths = new Uint8Array(0)
  private count = 0
  private isSigned = false
  private mantissa = 0
  private readonly fine = new Uint32Array(SYMBOLS_MAX)
  private readonly merged = new Uint32Array(SYMBOLS_MAX)
  private readonly weights = new Uint8Array(SYMBOLS_MAX)
  private readonly shares = new Uint16Array(SYMBOLS_MAX)
  private readonly starts = new Uint16Array(SYMBOLS_MAX)
  private readonly stateSymbols = new Uint16Array(STATES)
  private readonly states = new Uint16Array(STATES)
  /** Symbols of the longest mantissa are below this. */
  private fineEnd = 0
  private first = 0
  private last = 0
  // The bits that are not written yet.
  private pending = 0
  private pendingBits = 0
  private at = 0

  /** Takes the first `count` numbers; answers how many bytes they will take, about. */
  measure(numbers: Float64Array, count: number, isSigned: boolean): number {
    if (this.magnitudes.length < count) this.grow(count)
    this.count = count
    this.isSigned = isSigned
    if (count === 0) return 0
    const { magnitudes, symbols, fine } = this
    fine.fill(0)
    let last = 0
    for (let i = 0; i < count; i++) {
      const n = numbers[i]!
      const magnitude = isSigned ? foldSign(n) : n
      magnitudes[i] = magnitude
      const symbol = symbolOf(magnitude, MANTISSA_MAX)
      symbols[i] = symbol
      if (symbol > last) last = symbol
      fine[symbol] = fine[symbol]! + 1
    }
    this.fineEnd = last + 1
    let best = Infinity
    for (let mantissa = 0; mantissa <= MANTISSA_MAX; mantissa++) {
      const bits = this.bitsWith(mantissa)
      if (bits >= best) continue
      best = bits
      this.mantissa = mantissa
    }
    return best / 8
  }

  /** Writes what was measured last; returns the end. */
  write(dst: Uint8Array, at: number): number {
    if (this.count === 0) return at
    this.merge(this.mantissa)
    this.share()
    this.at = this.writeTable(dst, at)
    const state = this.walkBack()
    this.pending = 0
    this.pendingBits = 0
    this.put(dst, state, STATE_BITS)
    this.writeNumbers(dst)
    if (this.pendingBits > 0) dst[this.at++] = this.pending
    return this.at
  }

  private writeNumbers(dst: Uint8Array): void {
    const { magnitudes, symbols, stateBits, stateWidths, count } = this
    const lowBits = LOW_BITS[this.mantissa]!
    let { at, pending, pendingBits } = this
    for (let i = 0; i < count; i++) {
      const width = stateWidths[i]!
      const low = lowBits[symbols[i]!]!
      const magnitude = magnitudes[i]!
      pending |= stateBits[i]! << pendingBits
      pendingBits += width
      while (pendingBits >= 8) {
        dst[at++] = pending
        pending >>>= 8
        pendingBits -= 8
      }
      if (low > BITS_AT_ONCE) {
        this.at = at
        this.pending = pending
        this.pendingBits = pendingBits
        this.putLong(dst, magnitude % 2 ** low, low)
        at = this.at
        pending = this.pending
        pendingBits = this.pendingBits
      } else if (low > 0) {
        pending |= (lowWord(magnitude) & ((1 << low) - 1)) << pendingBits
        pendingBits += low
        while (pendingBits >= 8) {
          dst[at++] = pending
          pending >>>= 8
          pendingBits -= 8
        }
      }
    }
    this.at = at
    this.pending = pending
    this.pendingBits = pendingBits
  }

  /** Bits in all if symbols had so long a mantissa. */
  private bitsWith(mantissa: number): number {
    this.merge(mantissa)
    const { merged } = this
    const lowBits = LOW_BITS[mantissa]!
    let bits = weighted(this.count)
    for (let symbol = this.first; symbol <= this.last; symbol++) {
      const count = merged[symbol]!
      if (count > 0) bits += count * lowBits[symbol]! - weighted(count)
    }
    return bits + (this.last - this.first) * WEIGHT_BITS + 40
  }

  /** Counts symbols of a shorter mantissa; finds the first and the last. */
  private merge(mantissa: number): void {
    const { fine, merged, fineEnd } = this
    const symbols = MERGED[mantissa]!
    this.first = -1
    for (let k = 0; k < fineEnd; k++) merged[symbols[k]!] = 0
    for (let k = 0; k < fineEnd; k++) {
      const count = fine[k]!
      if (count === 0) continue
      const symbol = symbols[k]!
      merged[symbol] = merged[symbol]! + count
      if (this.first < 0) this.first = symbol
      this.last = symbol
    }
  }

  /** Each symbol's weight, by how often it occurs beside the most frequent one; its share of the states. */
  private share(): void {
    const { merged, weights, shares, first, last } = this
    let most = 0
    for (let symbol = first; symbol <= last; symbol++)
      if (merged[symbol]! > most) most = merged[symbol]!
    for (let symbol = first; symbol <= last; symbol++) {
      const count = merged[symbol]!
      weights[symbol - first] =
        count === 0 ? 0 : Math.max(1, WEIGHT_MAX - Math.round(Math.log(most / count) / LOG_RATIO))
    }
    shareStates(weights, last - first + 1, shares)
  }

  private writeTable(dst: Uint8Array, at: number): number {
    const { weights, first, last } = this
    dst[at] = this.mantissa + (this.isSigned ? SIGNED : 0)
    let end = writeVarint(first, dst, at + 1)
    end = writeVarint(last - first, dst, end)
    for (let k = 0; k <= last - first; k += 2)
      dst[end++] = weights[k]! + (k < last - first ? weights[k + 1]! << 4 : 0)
    return end
  }

  /** From the last number to the first, as states have to be found; answers the first one's state. */
  private walkBack(): number {
    const { shares, starts, states, stateSymbols, first, last, mantissa } = this
    const { count, symbols, stateBits, stateWidths } = this
    const merged = MERGED[mantissa]!
    spreadSymbols(shares, { first, count: last - first + 1 }, stateSymbols)
    let start = 0
    for (let k = 0; k <= last - first; k++) {
      starts[k] = start
      start += shares[k]!
    }
    for (let state = 0; state < STATES; state++) {
      const k = stateSymbols[state]! - first
      const next = starts[k]!
      states[next] = state
      starts[k] = next + 1
    }
    // `starts` are the ends now: the place of the x-th state of a symbol is its end − its share + x.
    let state = STATES
    for (let i = count - 1; i >= 0; i--) {
      const symbol = merged[symbols[i]!]!
      symbols[i] = symbol
      const k = symbol - first
      const share = shares[k]!
      let width = STATE_BITS - 31 + Math.clz32(share)
      if (state < share << width) width--
      stateBits[i] = state & ((1 << width) - 1)
      stateWidths[i] = width
      state = STATES + states[starts[k]! - 2 * share + (state >> width)]!
    }
    return state - STATES
  }

  private put(dst: Uint8Array, bits: number, width: number): void {
    let pending = this.pending | (bits << this.pendingBits)
    let pendingBits = this.pendingBits + width
    let { at } = this
    while (pendingBits >= 8) {
      dst[at++] = pending
      pending >>>= 8
      pendingBits -= 8
    }
    this.at = at
    this.pending = pending
    this.pendingBits = pendingBits
  }

  private putLong(dst: Uint8Array, bits: number, width: number): void {
    let rest = bits
    let left = width
    for (; left > BITS_AT_ONCE; left -= BITS_AT_ONCE) {
      this.put(dst, rest % 2 ** BITS_AT_ONCE, BITS_AT_ONCE)
      rest = Math.floor(rest / 2 ** BITS_AT_ONCE)
    }
    this.put(dst, rest, left)
  }

  private grow(count: number): void {
    this.magnitudes = new Float64Array(count)
    this.symbols = new Uint16Array(count)
    this.stateBits = new Uint16Array(count)
    this.stateWidths = new Uint8Array(count)
  }
}

function lowWord(magnitude: number): number {
  return magnitude < 2_147_483_648 ? magnitude | 0 : (magnitude % 4_294_967_296) | 0
}

/** Signed numbers as magnitudes. */
function foldSign(n: number): number {
  if (n < 1_073_741_824 && n > -1_073_741_824) {
    const whole = n | 0
    return (whole << 1) ^ (whole >> 31)
  }
  return n < 0 ? -2 * n - 1 : 2 * n
}
