/**
 * Numbers as Python prints and rounds them, because the names of series hold them: `constantLine(100)` is
 * called `100.0`, `scale(a,0.5)` is `scale(a,0.5)`, and clients match on such names.
 *
 * Sources: Python's `repr` and `str` of floats, the `%g`, `%d` and `%.2f` conversions, and `round`, which
 * takes the exact binary value and sends ties to the even digit.
 */

/** `repr(float)`: shortest digits, always with a point or an exponent; an exponent from 1e16 and below 1e-4. */
export function pythonFloat(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0'
  const magnitude = Math.abs(value)
  if (magnitude >= 1e16 || magnitude < 1e-4) return exponential(value.toExponential())
  // JavaScript writes plain digits from 1e-6 to 1e21, so here it never uses an exponent.
  const text = String(value)
  return text.includes('.') ? text : `${text}.0`
}

/** `1.5e-7` → `1.5e-07`: Python's exponents have two digits. */
function exponential(text: string): string {
  return text.replace(/e([+-])(\d)$/, 'e$10$2')
}

/** A number as `str()` shows it: `5` for an int, `5.0` for a float. */
export function pythonNumber(value: number, isInteger: boolean): string {
  return isInteger ? integerText(value) : pythonFloat(value)
}

function integerText(value: number): string {
  if (!Number.isFinite(value)) return pythonFloat(value)
  return Math.abs(value) < 1e21 ? String(value) : BigInt(value).toString()
}

/** `'%g' % value`: six significant digits, no trailing zeros, an exponent below 1e-4 and from 1e6. */
export function formatG(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  if (value === 0) return Object.is(value, -0) ? '-0' : '0'
  const magnitude = Number(/e(.*)$/.exec(value.toExponential())![1])
  const rounded = roundTo(value, 5 - magnitude).toExponential(5)
  const at = rounded.indexOf('e')
  const exponent = Number(rounded.slice(at + 1))
  if (exponent < -4 || exponent >= 6) {
    return exponential(trimZeros(rounded.slice(0, at)) + rounded.slice(at))
  }
  return trimZeros(Number(rounded).toFixed(5 - exponent))
}

function trimZeros(text: string): string {
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text
}

/** `'%d' % value`: the fraction is cut. */
export function formatD(value: number): string {
  return integerText(Math.trunc(value) + 0)
}

/** `'%.2f' % value`. */
export function formatTwoDecimals(value: number): string {
  if (Number.isNaN(value)) return 'nan'
  if (!Number.isFinite(value)) return value > 0 ? 'inf' : '-inf'
  return roundTo(value, 2).toFixed(2)
}

/** More decimals than that no double is rounded to; toFixed takes 100. */
const ROUND_DIGITS_MAX = 99

/** `round(value, digits)`: to the nearest decimal by the exact value, ties to even; digits may be negative. */
export function roundTo(value: number, digits: number): number {
  if (!Number.isFinite(value) || digits > ROUND_DIGITS_MAX) return value
  if (digits < 0) return roundWhole(value, digits)
  const magnitude = Math.abs(value)
  // From 2^53 on there are no fractions.
  if (magnitude >= 9_007_199_254_740_992) return value
  const text = magnitude.toFixed(digits)
  const rounded = Number(isTie(magnitude, digits) ? towardsEven(text, digits) : text)
  return value < 0 || Object.is(value, -0) ? -rounded : rounded
}

/**
 * Whether the exact value lies in the middle of two decimals of so many digits. A binary fraction has as many
 * decimals as bits, so a tie has at most one bit more than digits, and its decimals end in 5.
 */
function isTie(magnitude: number, digits: number): boolean {
  if (!Number.isInteger(magnitude * 2 ** (digits + 1))) return false
  return magnitude.toFixed(digits + 1).endsWith('5')
}

/** `toFixed` goes up at a tie; one down when that made the last digit odd. */
function towardsEven(text: string, digits: number): string {
  const last = text.charCodeAt(text.length - 1) - 48
  return last % 2 === 0 ? text : (Number(text) - 10 ** -digits).toFixed(digits)
}

/** Rounding to tens, hundreds…: 10^n is exact up to 22. */
function roundWhole(value: number, digits: number): number {
  if (digits < -22) return Math.abs(value) < 1e22 ? 0 : value
  const unit = 10 ** -digits
  const quotient = Math.floor(value / unit)
  const rest = value - quotient * unit
  const up = rest > unit / 2 || (rest === unit / 2 && quotient % 2 !== 0)
  return (quotient + (up ? 1 : 0)) * unit
}

/**
 * `round(value, 6)`, fast: away from ties one multiplication tells the nearest, and dividing a whole number
 * by 10⁶ rounds right. All else takes the slow way.
 */
export function roundToMicro(value: number): number {
  if (value !== value) return value
  const scaled = value * 1e6
  const whole = Math.floor(scaled + 0.5)
  const distance = scaled - whole
  if (distance < 0.499 && distance > -0.499 && scaled < 1e12 && scaled > -1e12) return whole / 1e6
  return roundTo(value, 6)
}
