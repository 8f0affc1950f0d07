/**
 * One series' slots as bytes: a column. The codec is chosen by looking at the values; what it makes is
 * meant to be compressed with zstd together with its neighbours (VictoriaMetrics' idea; no timestamps,
 * because slots have none).
 *
 * ```
 * column   = u8 presence × 16 + codec, presence, body          (an EMPTY column is the one byte)
 * presence = FULL: –   RUNS: varint count, then varint known, varint missing …   BITMAP: ⌈slots / 8⌉ bytes
 * body     = CONSTANT  f64
 *            DELTA     u8 e, zigzag n₀, zigzag nᵢ − nᵢ₋₁                     value = n / 10^e
 *            DELTA2    u8 e, zigzag n₀, zigzag n₁ − n₀, zigzag second differences
 *            SCALED    u8 e, varint m, offsets, zigzag ulps                         value = n / 10^e / m + ulps
 *            XOR       8 planes: byte k of every value's bits XOR its predecessor's, most significant first
 *            OFFSET    u8 e, offsets                                                value = n / 10^e
 *            DICTION.  varint count, f64 values, rising; planes of each value's position
 *            SEQUENCE  u8 e, sequence                                               value = n / 10^e
 *            RATE      u8 e, varint seconds a slot, varint how far back the reference is (0: none), sequence,
 *                      numbers: a correction for each n > 0, misfits               value = n / time (rate-clock.ts)
 *            AVERAGE   u8 e, varint m, sequence, numbers: ulps                      value = n / 10^e / m + ulps
 *            CHOICE    varint count, f64 values, rising; numbers: each value's position
 * misfits  = varint count, each: varint how many fit before it, zigzag what is to be added to the rate × 10^e
 * offsets  = zigzag lowest n, u8 bytes a number, planes of n − lowest, lowest byte first
 * ```
 *
 * Lossless to the bit for every value but NaN, which means "no value". A decimal codec is taken only if
 * it gives each value back; a negative zero, an infinity or an n beyond 2^51 does not. SCALED is for
 * averages: m is how many values were averaged, `ulps` corrects what rounding did to their sum.
 *
 * The codecs from SEQUENCE on (sequence-format.ts, number-format.ts) are for sealed blocks: their numbers are as
 * short as they are frequent and need no compressor, and a column may be told by an earlier one of its frame.
 */

import { SYMBOLS_MAX } from './number-format.ts'

export const Codec = {
  constant: 0,
  delta: 1,
  delta2: 2,
  scaled: 3,
  xor: 4,
  offset: 5,
  dictionary: 6,
  sequence: 7,
  rate: 8,
  average: 9,
  choice: 10,
} as const
export const Presence = { full: 0, runs: 1, bitmap: 2, empty: 3 } as const

export const EXPONENT_MAX = 9
/** 10^e. */
export const POWERS = Float64Array.from({ length: EXPONENT_MAX + 1 }, (_, i) => Number(`1e${i}`))

/** The most bytes that a column of `slots` values can take: with two tables of symbols, the longest of all. */
export function columnBytesMax(slots: number): number {
  return 64 + 2 * (SYMBOLS_MAX + 16) + slots * 21
}
