/** Whole numbers to bits (number-format.ts has the layout). Measure first, then write what was measured. */

import { writeVarint } from './column-bytes.ts'
import {
  BITS_AT_ONCE,
  lowBitsOf,
  lowestOf,
  MANTISSA_MAX,
  SIGNED,
  spreadSymbols,
  STATE_BITS,
  STATES,
  symbolOf,
  SYMBOLS_MAX,
} from './number-format.ts'

/** c × log₂ c, for counts up to this many. */
const LOGARITHMS = Float64Array.from({ length: 4_097 }, (_, c) => (c === 0 ? 0 : c * Math.log2(c)))
/** What a symbol's share takes in the table. */
const SHARE_BITS = 9

function weighted(count: number): number {
  return count < LOGARITHMS.length ? LOGARITHMS[count]! : count * Math.log2(count)
}

/** Scratch space is kept between calls. */
export class NumberEncoder {
  private magnitudes = new Float64Array(0)
  private symbols = new Uint16Array(0)
  private stateBits = new Uint16Array(0)
  private stateWidths = new Uint8Array(0)
  private count = 0
  private isSigned = false
  private mantissa = 0
  private readonly fine = new Uint32Array(SYMBOLS_MAX)
  private readonly merged = new Uint32Array(SYMBOLS_MAX)
  private readonly shares = new Uint16Array(SYMBOLS_MAX)
  private readonly starts = new Uint16Array(SYMBOLS_MAX)
  private readonly stateSymbols = new Uint16Array(STATES)
  private readonly states = new Uint16Array(STATES)
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
    const { magnitudes, fine } = this
    fine.fill(0)
    for (let i = 0; i < count; i++) {
      const n = numbers[i]!
      const magnitude = isSigned ? (n < 0 ? -2 * n - 1 : 2 * n) : n
      magnitudes[i] = magnitude
      const symbol = symbolOf(magnitude, MANTISSA_MAX)
      fine[symbol] = fine[symbol]! + 1
    }
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
    const { count, mantissa } = this
    if (count === 0) return at
    this.merge(mantissa)
    this.share()
    this.at = this.writeTable(dst, at)
    const state = this.walkBack()
    this.pending = 0
    this.pendingBits = 0
    this.put(dst, state, STATE_BITS)
    const { magnitudes, symbols, stateBits, stateWidths } = this
    for (let i = 0; i < count; i++) {
      this.put(dst, stateBits[i]!, stateWidths[i]!)
      const low = lowBitsOf(symbols[i]!, mantissa)
      if (low === 0) continue
      const magnitude = magnitudes[i]!
      if (low <= BITS_AT_ONCE) this.put(dst, lowWord(magnitude) & ((1 << low) - 1), low)
      else this.putLong(dst, magnitude % 2 ** low, low)
    }
    if (this.pendingBits > 0) dst[this.at++] = this.pending
    return this.at
  }

  /** Bits in all if symbols had so long a mantissa. */
  private bitsWith(mantissa: number): number {
    this.merge(mantissa)
    const { merged } = this
    let bits = weighted(this.count)
    for (let symbol = this.first; symbol <= this.last; symbol++) {
      const count = merged[symbol]!
      if (count > 0) bits += count * lowBitsOf(symbol, mantissa) - weighted(count) + SHARE_BITS
      else bits += 2
    }
    return bits + 40
  }

  /** Counts symbols of a shorter mantissa; finds the first and the last. */
  private merge(mantissa: number): void {
    const { fine, merged } = this
    merged.fill(0)
    this.first = -1
    for (let k = 0; k < fine.length; k++) {
      if (fine[k] === 0) continue
      const symbol = symbolOf(lowestOf(k, MANTISSA_MAX), mantissa)
      merged[symbol] = merged[symbol]! + fine[k]!
      if (this.first < 0) this.first = symbol
      this.last = symbol
    }
  }

  /** Each symbol's share of the states, by its count, at least one; the most frequent gets what is left. */
  private share(): void {
    const { merged, shares, first, last, count } = this
    let left = STATES
    let most = 0
    for (let k = 0; k <= last - first; k++) {
      const occurs = merged[first + k]!
      const share = occurs === 0 ? 0 : Math.max(1, Math.round((occurs * STATES) / count))
      shares[k] = share
      left -= share
      if (share > shares[most]!) most = k
    }
    // Rare symbols had too much: the frequent ones give, one after the other.
    while (left < 0) {
      for (let k = 0; k <= last - first && left < 0; k++) {
        if (shares[k]! < 2 || shares[k]! * 4 < shares[most]!) continue
        shares[k] = shares[k]! - 1
        left++
      }
      for (let k = 0; k <= last - first; k++) if (shares[k]! > shares[most]!) most = k
    }
    shares[most] = shares[most]! + left
  }

  private writeTable(dst: Uint8Array, at: number): number {
    const { shares, first, last } = this
    dst[at] = this.mantissa + (this.isSigned ? SIGNED : 0)
    let end = writeVarint(first, dst, at + 1)
    end = writeVarint(last - first, dst, end)
    for (let k = 0; k <= last - first; k++) end = writeVarint(shares[k]!, dst, end)
    return end
  }

  /** From the last number to the first, as states have to be found; answers the first one's state. */
  private walkBack(): number {
    const { shares, starts, states, stateSymbols, first, last, mantissa } = this
    const { count, magnitudes, symbols, stateBits, stateWidths } = this
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
      const symbol = symbolOf(magnitudes[i]!, mantissa)
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
  return magnitude < 2_147_483_648 ? magnitude | 0 : magnitude % 4_294_967_296 | 0
}
