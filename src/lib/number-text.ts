/**
 * Numbers as the very digits that `String(value)` gives, written as bytes, without a string for each: it is
 * what most of the time goes into when millions of points are printed.
 *
 * What has at most three decimals, which metrics mostly have, is found by one division and written from tables
 * of three digits. All others, such as averages, need the shortest decimal that reads back as the same number
 * (ECMA-262, Number::toString). It is found exactly, in doubles: with `k` so that value × 10^k has seventeen
 * digits before the point, that product is `product + error` (T. J. Dekker, 1971), and a decimal reads back as
 * the value when it lies within half a unit in the last place of it. A unit is at most 23 at that scale, so at
 * most one multiple of 100 can be so near; else a multiple of 10 is looked for, else the nearest whole number.
 *
 * Powers of two, whose lower neighbour is nearer, and what lies outside [1e-6, 1e17) go through `String`.
 */

const ZERO = 0x30
const DOT = 0x2e
const MINUS = 0x2d

/** Room that a call needs behind `at`: the longest text, and what is stored beyond its end. */
export const NUMBER_BYTES_MAX = 40

/** Below this every integer is exact, and a decimal of that many digits is the shortest for its number. */
const EXACT_MAX = 1e15

/** Texts of at most four characters as little-endian words. */
function words(count: number, text: (i: number) => string): Uint32Array {
  return Uint32Array.from({ length: count }, (_, i) => {
    const characters = text(i)
    let word = 0
    for (let j = 0; j < characters.length; j++) word += characters.charCodeAt(j) * 256 ** j
    return word
  })
}

function digits(value: number, count: number): string {
  return String(value).padStart(count, '0')
}

/** Without zeros in front. */
const LEADING = words(1_000, String)
const LEADING_LENGTHS = Uint8Array.from({ length: 1_000 }, (_, i) => String(i).length)
const THREE = words(1_000, (i) => digits(i, 3))
const FOUR = words(10_000, (i) => digits(i, 4))
/** Thousandths behind a point; how long they are without zeros at the end, nothing for none. */
const FRACTIONS = words(1_000, (i) => `.${digits(i, 3)}`)
const FRACTION_LENGTHS = Uint8Array.from({ length: 1_000 }, (_, i) =>
  i === 0 ? 0 : 1 + digits(i, 3).replace(/0+$/, '').length,
)

/** Writes a number at `at`; returns where it ends. -0 is written as 0. */
export function writeNumber(view: DataView, at: number, value: number): number {
  let size = value
  let start = at
  if (value < 0) {
    view.setUint8(start++, MINUS)
    size = -value
  }
  const thousandths = Math.round(size * 1e3)
  if (thousandths / 1e3 === size && thousandths < EXACT_MAX) {
    const whole = Math.floor(size)
    const end = writeInteger(view, start, whole)
    const fraction = (thousandths - whole * 1e3) | 0
    view.setUint32(end, FRACTIONS[fraction]!, true)
    return end + FRACTION_LENGTHS[fraction]!
  }
  // Below 1e-6 `String` changes to exponents; a whole number of millionths is never below it.
  const millionths = Math.round(size * 1e6)
  if (millionths / 1e6 === size && millionths < EXACT_MAX) {
    return writeMillionths(view, start, Math.floor(size), millionths)
  }
  if (size < EXACT_MAX && Math.floor(size) === size) return writeInteger(view, start, size)
  return writeShortest(view, start, size)
}

function writeMillionths(view: DataView, at: number, whole: number, millionths: number): number {
  const point = writeInteger(view, at, whole)
  const fraction = (millionths - whole * 1e6) | 0
  const high = (fraction / 1e3) | 0
  view.setUint32(point, FRACTIONS[high]!, true)
  view.setUint32(point + 4, THREE[fraction - high * 1e3]!, true)
  return trimZeros(view, point + 7)
}

function trimZeros(view: DataView, end: number): number {
  let last = end
  while (view.getUint8(last - 1) === ZERO) last--
  return last
}

/** Digits of a whole number from 0 to 1e15; returns where they end. */
export function writeInteger(view: DataView, at: number, value: number): number {
  if (value < 1e3) return writeLeading(view, at, value)
  if (value < 1e6) {
    const high = (value / 1e3) | 0
    const end = writeLeading(view, at, high)
    view.setUint32(end, THREE[value - high * 1e3]!, true)
    return end + 3
  }
  const high = Math.floor(value / 1e6)
  const low = (value - high * 1e6) | 0
  const middle = (low / 1e3) | 0
  const end = writeInteger(view, at, high)
  view.setUint32(end, THREE[middle]!, true)
  view.setUint32(end + 3, THREE[low - middle * 1e3]!, true)
  return end + 6
}

function writeLeading(view: DataView, at: number, value: number): number {
  view.setUint32(at, LEADING[value]!, true)
  return at + LEADING_LENGTHS[value]!
}

// ── the shortest decimal ────────────────────────────────────────────────────────────────────────────

/** Exact in a double up to the last. */
const POWERS = Float64Array.from({ length: 23 }, (_, i) => Number(`1e${i}`))
/** Splits a double into two halves of 26 bits, whose products are exact. */
const SPLITTER = 2 ** 27 + 1
const POWERS_HIGH = POWERS.map(upperHalf)
const POWERS_LOW = POWERS.map((power) => power - upperHalf(power))
/** By a double's exponent bits: half of a unit in its last place. */
const HALF_UNITS = Float64Array.from({ length: 2_048 }, (_, bits) => 2 ** (bits - 1_076))
const LOG10_OF_2 = Math.log10(2)

const float = new Float64Array(1)
const floatWords = new Int32Array(float.buffer)

function upperHalf(value: number): number {
  const spread = SPLITTER * value
  return spread - (spread - value)
}

function writeShortest(view: DataView, at: number, value: number): number {
  if (!(value >= 1e-6 && value < 1e17)) return writeText(view, at, String(value))
  float[0] = value
  const low = floatWords[0]!
  const high = floatWords[1]!
  if (low === 0 && (high & 0xf_ffff) === 0) return writeText(view, at, String(value))
  const exponent = high >>> 20
  // Power of ten of the first digit: this, or one more.
  let decade = Math.floor((exponent - 1_023) * LOG10_OF_2)
  if (value >= (decade < -1 ? 1 / POWERS[-decade - 1]! : POWERS[decade + 1]!)) decade++
  const scale = 16 - decade
  const power = POWERS[scale]!
  const product = value * power
  const valueHigh = upperHalf(value)
  const valueLow = value - valueHigh
  const powerHigh = POWERS_HIGH[scale]!
  const powerLow = POWERS_LOW[scale]!
  const error =
    valueHigh * powerHigh -
    product +
    valueHigh * powerLow +
    valueLow * powerHigh +
    valueLow * powerLow
  // The first nine digits, and what the others have to come near: `rest + error`.
  let upper = (product / 1e8) | 0
  const rest = product - upper * 1e8
  const halfUnit = HALF_UNITS[exponent]! * power
  let lower = lowerDigits(rest, error, halfUnit, (low & 1) === 0)
  if (lower >= 1e8) {
    lower -= 1e8
    upper++
  } else if (lower < 0) {
    lower += 1e8
    upper--
  }
  return writeSeventeen(view, at, upper, lower, decade)
}

/**
 * The multiple of 100, else of 10, else of 1 that is nearest to `rest + error`, the first of them that is
 * near enough; exactly half a unit away is near enough when the number's last bit is even. Of two that are
 * equally near, the even one.
 */
function lowerDigits(rest: number, error: number, halfUnit: number, isEven: boolean): number {
  const hundreds = (Math.floor((rest + error) / 100 + 0.5) * 100) | 0
  const farOfHundreds = Math.abs(hundreds - rest - error)
  if (farOfHundreds < halfUnit || (isEven && farOfHundreds === halfUnit)) return hundreds
  const tens = (Math.floor((rest + error) / 10 + 0.5) * 10) | 0
  const farOfTens = Math.abs(tens - rest - error)
  if (farOfTens < halfUnit || (isEven && farOfTens === halfUnit)) {
    return tens - rest - error === 5 && (tens / 10) % 2 !== 0 ? tens - 10 : tens
  }
  const wholeError = Math.floor(error)
  const fraction = error - wholeError
  const below = rest + wholeError
  return fraction > 0.5 || (fraction === 0.5 && below % 2 !== 0) ? below + 1 : below
}

/** Nine and eight digits of which the first stands for 10^decade, without zeros at the end. */
function writeSeventeen(
  view: DataView,
  at: number,
  upper: number,
  lower: number,
  decade: number,
): number {
  const first = (upper / 1e8) | 0
  const middle = (upper - first * 1e8) | 0
  const left = (middle / 1e4) | 0
  const right = (lower / 1e4) | 0
  let start = at + 1
  if (decade < 0) {
    view.setUint32(at, ZERO_POINT, true)
    view.setUint32(at + 4, ZEROS, true)
    start = at + 1 - decade
  }
  view.setUint8(start, ZERO + first)
  view.setUint32(start + 1, FOUR[left]!, true)
  view.setUint32(start + 5, FOUR[(middle - left * 1e4) | 0]!, true)
  view.setUint32(start + 9, FOUR[right]!, true)
  view.setUint32(start + 13, FOUR[(lower - right * 1e4) | 0]!, true)
  if (decade >= 0) {
    // What stands before the point moves up by one.
    for (let i = 0; i <= decade; i++) view.setUint8(at + i, view.getUint8(start + i))
    view.setUint8(start + decade, DOT)
  }
  const end = trimZeros(view, start + 17)
  return view.getUint8(end - 1) === DOT ? end - 1 : end
}

/** `0.00` and `0000`. */
const ZERO_POINT = words(1, () => '0.00')[0]!
const ZEROS = words(1, () => '0000')[0]!

function writeText(view: DataView, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) view.setUint8(at + i, text.charCodeAt(i))
  return at + text.length
}
