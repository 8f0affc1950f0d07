/**
 * What can be said of a text without looking at its bytes: two words of marks (Bloom's filter), one for the bytes
 * that it has and one for the pairs of neighbours among them. A text that lacks a mark of a wildcard's literals
 * does not fit it.
 *
 * ```
 * marks[2 × text]       bytes: a bit for each letter of either case, six for the digits
 * marks[2 × text + 1]   pairs: each is one of 32 bits
 * ```
 */

/** 2³² / φ: spreads what differs little over the highest bits. */
const SPREAD = 0x9e3779b1
const BITS_SHIFT = 27

const FIRST_LETTER = 0x61
const LETTERS = 26
const LETTER_CASE = 0x20
const FIRST_DIGIT = 0x30

const BYTE_MARKS = Int32Array.from({ length: 256 }, (_, byte) => {
  const letter = (byte | LETTER_CASE) - FIRST_LETTER
  if (letter >= 0 && letter < LETTERS) return 1 << letter
  const digit = byte - FIRST_DIGIT
  return digit >= 0 && digit <= 9 ? 1 << (LETTERS + (digit % 6)) : 1 << (byte & 31)
})

export function byteMark(byte: number): number {
  return BYTE_MARKS[byte]!
}

export function pairMark(first: number, second: number): number {
  return 1 << (Math.imul((first << 8) | second, SPREAD) >>> BITS_SHIFT)
}

/** Puts both words of a text to `marks[at, at + 2)`. */
export function markText(
  marks: Int32Array,
  at: number,
  text: Uint8Array,
  from: number,
  to: number,
): void {
  let bytes = 0
  let pairs = 0
  let before = -1
  for (let i = from; i < to; i++) {
    const byte = text[i]!
    bytes |= byteMark(byte)
    if (before >= 0) pairs |= pairMark(before, byte)
    before = byte
  }
  marks[at] = bytes
  marks[at + 1] = pairs
}
