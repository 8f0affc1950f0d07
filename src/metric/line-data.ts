/**
 * What follows the name in most lines, ` value time\n` in plain decimals, read in the one pass that finds its end.
 *
 * ```
 *   cpu.idle 98.123456 1800000000⏎
 *           ▲        ▲            neighbours mostly have the same time: ten digits that are those of the line
 *          blank     └─ places    before are not read again
 * ```
 *
 * Whole part and fraction are collected as 32-bit integers of at most nine digits (whole numbers: 15), 15 in all, so
 * that one division gives the exact value, as `parseValue` has it. Everything else is "not plain" and left to others.
 */

const BLANK = 0x20
const NEWLINE = 0x0a
const MINUS = 0x2d
const ZERO = 0x30
const DOT_DIGIT = 0x2e - ZERO
const BLANK_DIGIT = BLANK - ZERO

/** Digits that fit 32 bits. */
const WORD_DIGITS = 9
const DIGITS_MAX = 15
const TIME_DIGITS = 10
const POWERS_OF_TEN = Float64Array.from({ length: WORD_DIGITS + 1 }, (_, i) => Number(`1e${i}`))

export class LineData {
  value = 0
  /** Unix seconds. */
  time = 0
  /** Where the newline of the line is that was read last; −1 when that was not plain. */
  end = -1
  /** The digits of `time`. */
  private high = 0
  private middle = 0
  private low = 0

  /** The newline of a plain line whose name ends at `blank`, or −1; `view` is of `bytes`, which end with a newline. */
  read(bytes: Uint8Array, view: DataView, blank: number): number {
    this.end = -1
    if (bytes[blank] !== BLANK) return -1
    let at = blank + 1
    const isNegative = bytes[at] === MINUS
    if (isNegative) at++
    const start = at
    let digit = bytes[at]! - ZERO
    let whole = 0
    for (const last = start + WORD_DIGITS; digit >= 0 && digit <= 9 && at < last;) {
      whole = Math.imul(whole, 10) + digit
      digit = bytes[++at]! - ZERO
    }
    let value = whole
    for (; digit >= 0 && digit <= 9; digit = bytes[++at]! - ZERO) value = value * 10 + digit
    let digits = at - start
    if (digits === 0) return -1
    if (digit === DOT_DIGIT && digits <= WORD_DIGITS) {
      const point = at
      let fraction = 0
      digit = bytes[++at]! - ZERO
      for (const last = at + WORD_DIGITS; digit >= 0 && digit <= 9 && at < last;) {
        fraction = Math.imul(fraction, 10) + digit
        digit = bytes[++at]! - ZERO
      }
      const places = at - point - 1
      if (places === 0) return -1
      const power = POWERS_OF_TEN[places]!
      value = (whole * power + fraction) / power
      digits += places
    }
    if (digit !== BLANK_DIGIT || digits > DIGITS_MAX) return -1
    this.value = isNegative ? -value : value
    return this.readTime(bytes, view, at + 1)
  }

  /** The same of a line that others have read. */
  put(value: number, time: number, end: number): void {
    this.value = value
    this.time = time
    this.end = end
    this.high = 0
  }

  /** What was read does not count any more: its bytes are others now. */
  forget(): void {
    this.end = -1
  }

  private readTime(bytes: Uint8Array, view: DataView, start: number): number {
    const end = start + TIME_DIGITS
    if (bytes[end] !== NEWLINE) return -1
    const high = view.getInt32(start)
    const middle = view.getInt32(start + 4)
    const low = view.getInt16(start + 8)
    if (low !== this.low || middle !== this.middle || high !== this.high) {
      let time = 0
      for (let at = start; at < end; at++) {
        const digit = bytes[at]! - ZERO
        if (digit < 0 || digit > 9) return -1
        time = time * 10 + digit
      }
      this.time = time
      this.high = high
      this.middle = middle
      this.low = low
    }
    this.end = end
    return end
  }
}
