/**
 * Wildcards on the bytes of a node, without making a string of it: what lets a glob look at a million node
 * texts. Only for patterns whose literals are any UTF-8 and whose classes are ASCII; for others there is the
 * regular expression of metric/glob.ts, with which this agrees.
 *
 * `*` is tried shortest first and only the last one is ever extended (the usual iterative matcher), after the
 * literal beginning and end of the pattern have been compared, which refuses most texts at once.
 */

import { toUtf8 } from '../lib/bytes.ts'

/** Tokens below 0; those from 0 to 255 are literal bytes, from FIRST_CLASS on classes. */
const STAR = -1
const ANY = -2
const END = -3
const FIRST_CLASS = 256

export type ByteTest = (bytes: Uint8Array, from: number, to: number) => boolean

/** One test for several alternatives; undefined when one of them needs the regular expression. */
export function compileByteWildcards(wildcards: readonly string[]): ByteTest | undefined {
  const tests: ByteTest[] = []
  for (const wildcard of wildcards) {
    const tokens = tokensOf(wildcard)
    if (!tokens) return undefined
    const compiled = new ByteWildcard(tokens.tokens, tokens.classes)
    tests.push((bytes, from, to) => compiled.test(bytes, from, to))
  }
  if (tests.length === 1) return tests[0]
  return (bytes, from, to) => tests.some((test) => test(bytes, from, to))
}

class ByteWildcard {
  private readonly tokens: Int32Array
  /** For each class, 128 flags and one for all bytes above. */
  private readonly classes: readonly Uint8Array[]
  /** Literal bytes at the beginning and at the end, and how few bytes can match at all. */
  private readonly head: number
  private readonly tail: number
  private readonly lengthMin: number

  constructor(tokens: readonly number[], classes: readonly Uint8Array[]) {
    this.tokens = Int32Array.from(tokens)
    this.classes = classes
    const isLiteral = (token: number): boolean => token >= 0 && token < FIRST_CLASS
    const head = tokens.findIndex((token) => !isLiteral(token))
    this.head = head < 0 ? tokens.length : head
    this.tail =
      head < 0 ? 0 : tokens.length - 1 - tokens.findLastIndex((token) => !isLiteral(token))
    this.lengthMin = tokens.filter((token) => token !== STAR).length
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
      if (literal >= 0 && literal < FIRST_CLASS) {
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
    const flags = this.classes[token - FIRST_CLASS]!
    return flags[byte < 128 ? byte : 128] === 1 ? characterBytes(byte) : 0
  }
}

/** Length of the UTF-8 character that begins with this byte. */
function characterBytes(byte: number): number {
  if (byte < 0xc0) return 1
  if (byte < 0xe0) return 2
  return byte < 0xf0 ? 3 : 4
}

function tokensOf(wildcard: string): { tokens: number[]; classes: Uint8Array[] } | undefined {
  const tokens: number[] = []
  const classes: Uint8Array[] = []
  for (let i = 0; i < wildcard.length;) {
    const char = wildcard[i]!
    const end = char === '[' ? wildcard.indexOf(']', i + (wildcard[i + 1] === '!' ? 3 : 2)) : -1
    if (end >= 0) {
      const flags = classFlags(wildcard.slice(i + 1, end))
      if (!flags) return undefined
      tokens.push(FIRST_CLASS + classes.length)
      classes.push(flags)
      i = end + 1
      continue
    }
    if (char === '*') {
      if (tokens.at(-1) !== STAR) tokens.push(STAR)
    } else if (char === '?') tokens.push(ANY)
    else {
      const point = String.fromCodePoint(wildcard.codePointAt(i)!)
      tokens.push(...toUtf8(point))
      i += point.length
      continue
    }
    i++
  }
  return { tokens, classes }
}

/** Undefined for a class with anything but ASCII. */
function classFlags(body: string): Uint8Array | undefined {
  if (/[^\x20-\x7e]/.test(body)) return undefined
  const isNegated = body.startsWith('!')
  const chars = isNegated ? body.slice(1) : body
  const flags = new Uint8Array(129).fill(Number(isNegated))
  for (let i = 0; i < chars.length; i++) {
    const low = chars.charCodeAt(i)
    const isRange = chars[i + 1] === '-' && i + 2 < chars.length
    const high = isRange ? chars.charCodeAt(i + 2) : low
    for (let byte = low; byte <= high; byte++) flags[byte] = Number(!isNegated)
    if (isRange) i += 2
  }
  return flags
}
