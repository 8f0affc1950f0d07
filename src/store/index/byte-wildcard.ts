/**
 * Wildcards on the bytes of a node, without making a string of it: what lets a glob look at a million node
 * texts, and takes no more than the product of both lengths whatever the pattern. It agrees with the regular
 * expressions of metric/glob.ts.
 *
 * `*` is tried shortest first and only the last one is ever extended (the usual iterative matcher), after the
 * literal beginning and end of the pattern have been compared, which refuses most texts at once.
 */

import { toUtf8 } from '../../lib/bytes.ts'
import { byteMark, pairMark } from './text-marks.ts'

/** Tokens below 0; those from 0 to 255 are literal bytes, from FIRST_CLASS on classes. */
const STAR = -1
const ANY = -2
const END = -3
const FIRST_CLASS = 256

const HYPHEN = 0x2d

export interface ByteTest {
  readonly fits: (bytes: Uint8Array, from: number, to: number) => boolean
  /** What everything that fits has of both words of its marks (text-marks.ts). */
  readonly byteMarks: number
  readonly pairMarks: number
}

/** One test for several alternatives. */
export function compileByteWildcards(wildcards: readonly string[]): ByteTest {
  const compiled = wildcards.map((wildcard) => new ByteWildcard(tokensOf(wildcard)))
  const [only] = compiled
  const fits: ByteTest['fits'] =
    only && compiled.length === 1
      ? (bytes, from, to) => only.test(bytes, from, to)
      : (bytes, from, to) => compiled.some((one) => one.test(bytes, from, to))
  return {
    fits,
    byteMarks: compiled.reduce((marks, one) => marks & one.byteMarks, -1),
    pairMarks: compiled.reduce((marks, one) => marks & one.pairMarks, -1),
  }
}

/** `[…]`: the characters in any of the ranges, or, negated, in none. */
interface CharacterClass {
  readonly ranges: readonly (readonly [low: number, high: number])[]
  readonly isNegated: boolean
}

interface Tokens {
  readonly tokens: readonly number[]
  readonly classes: readonly CharacterClass[]
}

class ByteWildcard {
  private readonly tokens: Int32Array
  private readonly classes: readonly CharacterClass[]
  /** Literal bytes at the beginning and at the end, and how few bytes can match at all. */
  private readonly head: number
  private readonly tail: number
  private readonly lengthMin: number
  readonly byteMarks: number
  readonly pairMarks: number

  constructor({ tokens, classes }: Tokens) {
    this.tokens = Int32Array.from(tokens)
    this.classes = classes
    const head = tokens.findIndex((token) => !isLiteral(token))
    this.head = head < 0 ? tokens.length : head
    this.tail =
      head < 0 ? 0 : tokens.length - 1 - tokens.findLastIndex((token) => !isLiteral(token))
    this.lengthMin = tokens.filter((token) => token !== STAR).length
    let bytes = 0
    let pairs = 0
    let before = END
    for (const token of tokens) {
      if (isLiteral(token)) bytes |= byteMark(token)
      if (isLiteral(token) && isLiteral(before)) pairs |= pairMark(before, token)
      before = token
    }
    this.byteMarks = bytes
    this.pairMarks = pairs
  }

  test(bytes: Uint8Array, from: number, to: number): boolean {
    const { tokens, head, tail } = this
    if (to - from < this.lengthMin) return false
    for (let i = 0; i < head; i++) if (bytes[from + i] !== tokens[i]) return false
    const end = tokens.length
    for (let i = 1; i <= tail; i++) if (bytes[to - i] !== tokens[end - i]) return false
    return this.match(bytes, from + head, to)
  }

  /** From the first token that is no literal on. */
  private match(bytes: Uint8Array, from: number, to: number): boolean {
    const { tokens } = this
    const end = tokens.length
    let token = this.head
    let at = from
    /** The token after the last `*`, and where it is tried. */
    let afterStar = -1
    let starAt = from
    while (at < to) {
      const wanted = token < end ? tokens[token]! : END
      if (wanted === STAR) {
        afterStar = ++token
        if (token === end) return true
        starAt = at
      } else {
        const taken = wanted === bytes[at] ? 1 : this.one(wanted, bytes, at)
        if (taken > 0) {
          at += taken
          token++
          continue
        }
        if (afterStar < 0) return false
        token = afterStar
        starAt += characterBytes(bytes[starAt]!)
      }
      const literal = tokens[token]!
      if (isLiteral(literal)) {
        while (starAt < to && bytes[starAt] !== literal) starAt++
      }
      at = starAt
    }
    while (token < end && tokens[token] === STAR) token++
    return token === end
  }

  /** Bytes that one token that is no literal takes, 0 when it does not fit. */
  private one(token: number, bytes: Uint8Array, at: number): number {
    const byte = bytes[at]!
    if (token === ANY) return characterBytes(byte)
    if (token < FIRST_CLASS) return 0
    const { ranges, isNegated } = this.classes[token - FIRST_CLASS]!
    const point = codePointAt(bytes, at)
    const isIn = ranges.some(([low, high]) => point >= low && point <= high)
    return isIn === isNegated ? 0 : characterBytes(byte)
  }
}

function isLiteral(token: number): boolean {
  return token >= 0 && token < FIRST_CLASS
}

/** Length of the UTF-8 character that begins with this byte. */
function characterBytes(byte: number): number {
  if (byte < 0xc0) return 1
  if (byte < 0xe0) return 2
  return byte < 0xf0 ? 3 : 4
}

/** The code point of the UTF-8 character that begins there. */
function codePointAt(bytes: Uint8Array, at: number): number {
  const length = characterBytes(bytes[at]!)
  if (length === 1) return bytes[at]!
  let point = bytes[at]! & (0x7f >> length)
  for (let i = 1; i < length; i++) point = point * 64 + (bytes[at + i]! & 0x3f)
  return point
}

function tokensOf(wildcard: string): Tokens {
  const tokens: number[] = []
  const classes: CharacterClass[] = []
  for (let i = 0; i < wildcard.length;) {
    const char = wildcard[i]!
    const end = char === '[' ? wildcard.indexOf(']', i + (wildcard[i + 1] === '!' ? 3 : 2)) : -1
    if (end >= 0) {
      tokens.push(FIRST_CLASS + classes.length)
      classes.push(classOf(wildcard.slice(i + 1, end)))
      i = end + 1
    } else if (char === '*') {
      if (tokens.at(-1) !== STAR) tokens.push(STAR)
      i++
    } else if (char === '?') {
      tokens.push(ANY)
      i++
    } else {
      const point = String.fromCodePoint(wildcard.codePointAt(i)!)
      tokens.push(...toUtf8(point))
      i += point.length
    }
  }
  return { tokens, classes }
}

/** fnmatch's rules, as in metric/glob.ts. */
function classOf(body: string): CharacterClass {
  const isNegated = body.startsWith('!')
  const points = Array.from(isNegated ? body.slice(1) : body, (char) => char.codePointAt(0)!)
  const ranges: [number, number][] = []
  for (let i = 0; i < points.length; i++) {
    const isRange = points[i + 1] === HYPHEN && i + 2 < points.length
    ranges.push([points[i]!, isRange ? points[i + 2]! : points[i]!])
    if (isRange) i += 2
  }
  return { ranges, isNegated }
}
