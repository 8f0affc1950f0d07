/**
 * Whole numbers as bits, each as short as it is frequent: columns of measurements are mostly noise, in which a
 * dictionary compressor finds nothing to repeat, but small numbers are more frequent than large ones. A number
 * is a symbol (how long it is, and its `mantissa` bits behind the leading one) and its remaining low bits as
 * they are. Symbols are coded by a table of states (tANS: Duda, "Asymmetric numeral systems", 2013; the layout
 * of states is FSE's, RFC 8878 §4.1), so a symbol of probability p costs −log₂ p bits, also less than one.
 *
 * ```
 * numbers = u8 mantissa + 16 × signed, varint first symbol, varint last − first,
 *           half a byte for each of these, low half first: its weight (0: does not occur, else 1.6^(weight − 1)),
 *           bits, lowest first: 9 of the first state; a number: those that lead to the next state, its low bits
 * signed  = n ≥ 0: 2n, n < 0: −2n − 1
 * ```
 *
 * 512 states are shared out by weight. Weights are coarse: that costs a hundredth of a bit a number, and exact
 * ones would cost five bits more for every symbol.
 */

export const STATE_BITS = 9
export const STATES = 1 << STATE_BITS
export const MANTISSA_MAX = 3
export const SIGNED = 16
/** Magnitudes are below 2^53. */
const LENGTH_MAX = 53
/** One more than the highest symbol. */
export const SYMBOLS_MAX = (LENGTH_MAX << MANTISSA_MAX) + (1 << MANTISSA_MAX)
/** Bits that one read yields, wherever it starts in a byte. */
export const BITS_AT_ONCE = 24

export const WEIGHT_MAX = 15
/** What weights stand for. */
export const WEIGHTS = Float64Array.from({ length: WEIGHT_MAX + 1 }, (_, weight) =>
  weight === 0 ? 0 : 1.6 ** (weight - 1),
)

const SPREAD = (STATES >> 1) + (STATES >> 3) + 3

/** The most bytes that `count` numbers can take. */
export function numbersBytesMax(count: number): number {
  return 16 + SYMBOLS_MAX + count * 8
}

/** Magnitudes of a symbol: `lowestOf` … with `lowBitsOf` bits free. */
export function lowBitsOf(symbol: number, mantissa: number): number {
  return symbol < 2 << mantissa ? 0 : (symbol >> mantissa) - 1
}

export function lowestOf(symbol: number, mantissa: number): number {
  const low = lowBitsOf(symbol, mantissa)
  return (symbol - (low << mantissa)) * 2 ** low
}

export function symbolOf(magnitude: number, mantissa: number): number {
  if (magnitude < 2_147_483_648) {
    const whole = magnitude | 0
    if (whole < 2 << mantissa) return whole
    const low = 31 - Math.clz32(whole) - mantissa
    return (low << mantissa) + (whole >>> low)
  }
  const high = Math.floor(magnitude / 4_294_967_296)
  const low = (high === 0 ? 31 : 63 - Math.clz32(high)) - mantissa
  return (low << mantissa) + Math.floor(magnitude / 2 ** low)
}

/** Shares 512 states out among `count` weights: each that is not 0 gets at least one. False when all are 0. */
export function shareStates(weights: Uint8Array, count: number, shares: Uint16Array): boolean {
  let sum = 0
  for (let k = 0; k < count; k++) sum += WEIGHTS[weights[k]!]!
  if (sum === 0) return false
  let left = STATES
  let most = 0
  for (let k = 0; k < count; k++) {
    const weight = WEIGHTS[weights[k]!]!
    const share = weight === 0 ? 0 : Math.max(1, Math.round((weight * STATES) / sum))
    shares[k] = share
    left -= share
    if (share > shares[most]!) most = k
  }
  // Those that got one at least took it from all others.
  for (let k = 0; left < 0; k = k + 1 < count ? k + 1 : 0) {
    if (shares[k]! < 2) continue
    shares[k] = shares[k]! - 1
    left++
  }
  shares[most] = shares[most]! + left
  return true
}

/** Which symbol each state stands for; `shares` of symbols [first, first + count) are 512 in all. */
export function spreadSymbols(
  shares: Uint16Array,
  { first, count }: { first: number; count: number },
  symbols: Uint16Array,
): void {
  let state = 0
  for (let k = 0; k < count; k++) {
    for (let i = 0; i < shares[k]!; i++) {
      symbols[state] = first + k
      state = (state + SPREAD) & (STATES - 1)
    }
  }
}
