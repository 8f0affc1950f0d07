/**
 * Text that is built as bytes: JSON, CSV and raw answers of millions of numbers without a string for each.
 *
 * Numbers with at most six decimals, which is what metrics are, are printed by integer arithmetic; it is
 * taken only where it gives the very digits that `String(value)` gives. All others go through `String`.
 */

const encoder = new TextEncoder()

const ZERO = 0x30
const DOT = 0x2e
const MINUS = 0x2d

/** The longest text that `number` and `integer` write. */
const NUMBER_BYTES_MAX = 32

/** Below this every integer is exact, and a decimal of that many digits is the shortest for its number. */
const EXACT_MAX = 1e15

export class TextBuffer {
  bytes: Uint8Array<ArrayBuffer>
  length: number

  constructor(capacity = 4_096) {
    this.bytes = new Uint8Array(capacity)
    this.length = 0
  }

  /** Hands out what was written, valid until the next write; the buffer starts anew. */
  take(): Uint8Array<ArrayBuffer> {
    const written = this.bytes.subarray(0, this.length)
    this.length = 0
    return written
  }

  /** Room for `count` more bytes at `length`. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  text(text: string): void {
    this.reserve(text.length * 3)
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written
  }

  /** A text in quotes, as JSON has it. */
  json(value: unknown): void {
    this.text(JSON.stringify(value))
  }

  number(value: number): void {
    this.reserve(NUMBER_BYTES_MAX)
    const length = writeDecimal(this.bytes, this.length, value)
    if (length === 0) this.text(String(value))
    else this.length = length
  }
}

/** The three digits of 0 to 999, one after the other. */
const DIGITS = Uint8Array.from({ length: 3_000 }, (_, i) => {
  const number = Math.floor(i / 3)
  return ZERO + [Math.floor(number / 100), Math.floor(number / 10) % 10, number % 10][i % 3]!
})

/** Writes `value` at `at` if integer arithmetic can: where it ends, else 0. There must be room for 32 bytes. */
export function writeDecimal(bytes: Uint8Array, at: number, value: number): number {
  let end = at
  let size = value
  if (value < 0) {
    bytes[end++] = MINUS
    size = -value
  }
  const whole = Math.floor(size)
  if (size === whole) return size < EXACT_MAX ? writeInteger(bytes, end, size) : 0
  const thousandths = Math.round(size * 1e3)
  if (thousandths / 1e3 === size) {
    if (thousandths >= EXACT_MAX) return 0
    end = writeInteger(bytes, end, whole)
    bytes[end] = DOT
    return trimZeros(bytes, writeThree(bytes, end + 1, thousandths - whole * 1e3))
  }
  // Below 1e-6 `String` changes to exponents; a whole number of millionths is never below it.
  const millionths = Math.round(size * 1e6)
  if (millionths / 1e6 !== size || millionths >= EXACT_MAX) return 0
  end = writeInteger(bytes, end, whole)
  bytes[end] = DOT
  const fraction = (millionths - whole * 1e6) | 0
  const high = (fraction / 1e3) | 0
  return trimZeros(
    bytes,
    writeThree(bytes, writeThree(bytes, end + 1, high), fraction - high * 1e3),
  )
}

/** Digits of a whole number from 0 to 1e15; returns where they end. */
export function writeInteger(bytes: Uint8Array, at: number, value: number): number {
  if (value < 1e3) return writeLeading(bytes, at, value)
  if (value < 1e6) {
    const high = (value / 1e3) | 0
    return writeThree(bytes, writeLeading(bytes, at, high), value - high * 1e3)
  }
  const high = Math.floor(value / 1e6)
  const low = (value - high * 1e6) | 0
  const middle = (low / 1e3) | 0
  const end = writeThree(bytes, writeInteger(bytes, at, high), middle)
  return writeThree(bytes, end, low - middle * 1e3)
}

/** Three digits of 0 to 999, zeros in front. */
export function writeThree(bytes: Uint8Array, at: number, value: number): number {
  const digits = value * 3
  bytes[at] = DIGITS[digits]!
  bytes[at + 1] = DIGITS[digits + 1]!
  bytes[at + 2] = DIGITS[digits + 2]!
  return at + 3
}

/** One to three digits. */
function writeLeading(bytes: Uint8Array, at: number, value: number): number {
  if (value >= 100) return writeThree(bytes, at, value)
  const digits = value * 3
  if (value < 10) {
    bytes[at] = DIGITS[digits + 2]!
    return at + 1
  }
  bytes[at] = DIGITS[digits + 1]!
  bytes[at + 1] = DIGITS[digits + 2]!
  return at + 2
}

function trimZeros(bytes: Uint8Array, end: number): number {
  let last = end
  while (bytes[last - 1] === ZERO) last--
  return last
}
