/**
 * Templates of rewrite, route using, aggregate and statistics rules: `\1` to `\99` and `\g{1}` stand for
 * what a group matched. Between backslash and number may stand `_` (lower case), `^` (upper case) and `.`
 * (dots become underscores). What lies outside the match is kept.
 *
 * The reading is router.c's router_rewrite_metric, with its ways: a backslash is never part of the result,
 * a group that took no part is nothing, and a modifier behind another reference (`\_1\_2`) is text.
 * `\g{…}` is of version 3.9.
 */

import type { RegexMatch } from '../../lib/bounded-regex.ts'

type Part = string | Reference

interface Reference {
  readonly group: number
  readonly case: 'keep' | 'lower' | 'upper'
  readonly dots: boolean
}

export class Replacement {
  readonly source: string
  private readonly parts: readonly Part[]

  constructor(source: string) {
    this.source = source
    this.parts = parse(source)
  }

  /** What comes to stand before the first group, when that is all that changes. */
  get front(): string | undefined {
    const [first, ...others] = this.parts
    if (typeof first !== 'string') return isPlain(first) && others.length === 0 ? '' : undefined
    return isPlain(others[0]) && others.length === 1 ? first : undefined
  }

  /** `text` with the matched part replaced. */
  apply(text: string, match: RegexMatch): string {
    return text.slice(0, match.start) + this.expand(match) + text.slice(match.end)
  }

  /** What stands in for the matched part. */
  expand(match: RegexMatch): string {
    let result = ''
    for (const part of this.parts) {
      result += typeof part === 'string' ? part : insert(part, match.groups[part.group - 1])
    }
    return result
  }
}

function isPlain(part: Part | undefined): boolean {
  return typeof part === 'object' && part.group === 1 && part.case === 'keep' && !part.dots
}

function insert(reference: Reference, group: string | undefined): string {
  if (group === undefined) return ''
  const dotted = reference.dots ? group.replaceAll('.', '_') : group
  if (reference.case === 'keep') return dotted
  return reference.case === 'lower' ? lowerCase(dotted) : upperCase(dotted)
}

/** ASCII only: names are bytes. */
function lowerCase(text: string): string {
  return text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase())
}

function upperCase(text: string): string {
  return text.replaceAll(/[a-z]+/g, (letters) => letters.toUpperCase())
}

const BRACED = /\\g\{([_^]?)(\.?)(\d{1,2})\}/y

function parse(source: string): Part[] {
  const parts: Part[] = []
  let literal = ''
  let state: 'text' | 'escape' | 'digits' = 'text'
  let group = 0
  let letterCase: Reference['case'] = 'keep'
  let dots = false

  const refer = (reference: Reference): void => {
    if (literal !== '') parts.push(literal)
    literal = ''
    parts.push(reference)
  }
  const endReference = (): void => {
    if (group > 0) refer({ group, case: letterCase, dots })
    group = 0
  }

  for (let at = 0; at < source.length; at++) {
    const char = source[at]!
    if (char === '\\') {
      const braced = bracedReference(source, at)
      if (braced) {
        endReference()
        refer(braced.reference)
        state = 'text'
        at += braced.length - 1
      } else if (state === 'text') {
        state = 'escape'
        letterCase = 'keep'
        dots = false
      } else endReference()
      continue
    }
    const plain = state === 'escape' && letterCase === 'keep' && !dots
    if (plain && char === '_') letterCase = 'lower'
    else if (plain && char === '^') letterCase = 'upper'
    else if (state === 'escape' && char === '.') {
      if (dots) letterCase = 'keep'
      dots = true
    } else if (state !== 'text' && char >= '0' && char <= '9') {
      state = 'digits'
      group = group * 10 + Number(char)
    } else {
      if (state !== 'text') endReference()
      state = 'text'
      literal += char
    }
  }
  if (state !== 'text') endReference()
  if (literal !== '') parts.push(literal)
  return parts
}

function bracedReference(
  source: string,
  at: number,
): { reference: Reference; length: number } | undefined {
  BRACED.lastIndex = at
  const found = BRACED.exec(source)
  if (!found || Number(found[3]) === 0) return undefined
  const letterCase = found[1] === '_' ? 'lower' : found[1] === '^' ? 'upper' : 'keep'
  const reference = { group: Number(found[3]), case: letterCase, dots: found[2] === '.' } as const
  return { reference, length: found[0].length }
}
