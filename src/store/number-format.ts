/**
 * Whole numbers as bits, each as short as it is frequent: columns of measurements are mostly noise, in which a
 * dictionary compressor finds nothing to repeat, but small numbers are more frequent than large ones. A number
 * is a symbol (how long it is, and its `mantissa` bits behind the leading one) and its remaining low bits as
 * they are. Symbols are coded by a table of states (tANS: Duda, "Asymmetric numeral systems", 2013; the layout
 * of states is FSE's, RFC 8878 §4.1), so a symbol of probability p costs −log₂ p bits, also less than one.
 *
 * ```
 * numbers = u8 mantissa + 16 × signed, varint first symbol, varint last − first,
 *           varint share of each of these in 1,024 states (0: does not occur),
 *           bits, lowest first: 10 of the first state; a number: those that lead to the next state, its low bits
 * signed  = n ≥ 0: 2n, n < 0: −2n − 1
 * ```
 */

export const STATE_BITS = 10
export const STATES = 1 << STATE_BITS
export const MANTISSA_MAX = 3
export const SIGNED = 16
/** Magnitudes are below 2^53. */
const LENGTH_MAX = 53
/** One more than the highest symbol. */
export const SYMBOLS_MAX = (LENGTH_MAX << MANTISSA_MAX) + (1 << MANTISSA_MAX)
/** Bits that one read yields, wherever it starts in a byte. */
export const BITS_AT_ONCE = 24

const SPREAD = (STATES >> 1) + (STATES >> 3) + 3

/** The most bytes that `count` numbers can take. */
export function numbersBytesMax(count: number): number {
  return 16 + 2 * SYMBOLS_MAX + count * 8
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
  if (magnitude < 2 << mantissa) return magnitude
  if (magnitude < 2_147_483_648) {
    const low = 31 - Math.clz32(magnitude) - mantissa
    return (low << mantissa) + (magnitude >>> low)
  }
  const low = 63 - Math.clz32(Math.floor(magnitude / 4_294_967_296)) - mantissa
  if (magnitude < 4_294_967_296) return ((31 - mantissa) << mantissa) + Math.floor(magnitude / 2 ** (31 - mantissa))
  return (low << mantissa) + Math.floor(magnitude / 2 ** low)
}

/** Which symbol each state stands for; `shares` of symbols [first, first + count) are 1,024 in all. */
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
