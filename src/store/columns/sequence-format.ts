/**
 * A sequence: the whole numbers of a column, as what is left of them when one knows the number before, or the
 * same column of a *sibling*, an earlier series of the same extent (free and used, received and delivered, what two
 * plugins count of one thing).
 *
 * ```
 * sequence = u8 kind + 16 × relation, varint how many columns back the sibling is (with a relation only),
 *            zigzag start(s), varint unit, numbers (number-format.ts): what is below, by the unit
 * kind       DIFFERENCES n₀, then nᵢ − nᵢ₋₁   CHANGES n₀, n₁ − n₀, then differences of differences
 *            OFFSETS lowest n, then nᵢ − lowest   DISTANCES a typical n, then nᵢ − that
 * relation   0 none   1 n is more than the sibling's by what is coded   2 both together are what is coded
 * ```
 */

export const Kind = { differences: 0, changes: 1, offsets: 2, distances: 3 } as const
export const Relation = { none: 0, difference: 1, sum: 2 } as const

/** Numbers beyond ±2^49 have no sibling and are not told by differences of differences, which may be inexact. */
export const RELATED_MAX = 562_949_953_421_312
