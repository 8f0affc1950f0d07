/**
 * Expressions of match, rewrite and aggregate rules. Most need no regular expression (router.c
 * determine_if_regex): `*` is everything, `^a_b` a prefix, `a_b$` a tail, `^a_b$` equality and `a_b` a part.
 * All others are Perl's dialect (regex-dialect.ts), tried on latin1 text, one character a byte, in bounded time
 * (lib/bounded-regex.ts): what cannot run in linear time does not fit names of more than 1,024 bytes, which
 * no store takes. At most 64 groups.
 */

import { type BoundedRegex, compileBounded, type RegexMatch } from '../../lib/bounded-regex.ts'
import { analyse } from '../../lib/regex-cost.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { PATH_BYTES_MAX } from '../../metric/path.ts'
import { translate } from './regex-dialect.ts'

export type ExpressionKind = 'all' | 'prefix' | 'suffix' | 'equal' | 'contains' | 'regex'

const GROUPS_MAX = 64

const NO_GROUPS: readonly undefined[] = []

export class Expression {
  /** As it is written in the configuration. */
  readonly source: string
  readonly kind: ExpressionKind
  /** What is compared; '' for `all` and `regex`. */
  readonly literal: string
  /** Set for `regex`. */
  private readonly regex: BoundedRegex | undefined
  /** What all text that a `regex` matches begins with. */
  private readonly head: string
  /** The literal, or the head. */
  private readonly bytes: Uint8Array
  /** Byte → how far the literal moves on when that byte is under its last one. */
  private readonly shifts: Uint8Array

  constructor(options: {
    source: string
    kind: ExpressionKind
    literal?: string
    regex?: BoundedRegex
    head?: string
  }) {
    this.source = options.source
    this.kind = options.kind
    this.literal = options.literal ?? ''
    this.regex = options.regex
    this.head = options.head ?? ''
    this.bytes = Buffer.from(this.literal + this.head, 'latin1')
    this.shifts = shiftsOf(this.bytes)
  }

  /** Whether its first group is all of every name. */
  get isWhole(): boolean {
    return this.kind === 'regex' && /^\^?\(\.[*+]\)\$?$/.test(this.source)
  }

  get groupCount(): number {
    return this.regex?.groupCount ?? 0
  }

  /** Whether the latin1 text matches. */
  test(text: string): boolean {
    switch (this.kind) {
      case 'all':
        return true
      case 'prefix':
        return text.startsWith(this.literal)
      case 'suffix':
        return text.endsWith(this.literal)
      case 'equal':
        return text === this.literal
      case 'contains':
        return text.includes(this.literal)
      case 'regex':
        return text.startsWith(this.head) && this.regex!.test(text)
    }
  }

  /** The same for the text `bytes[start, end)`, which has not been made yet; `regex`: whether it may match. */
  testBytes(bytes: Uint8Array, start: number, end: number): boolean {
    const literal = this.bytes
    const last = end - literal.length
    if (last < start) return this.kind === 'all'
    switch (this.kind) {
      case 'prefix':
      case 'regex':
        return isAt(bytes, start, literal)
      case 'suffix':
        return isAt(bytes, last, literal)
      case 'equal':
        return last === start && isAt(bytes, start, literal)
      case 'contains':
        return isWithin(bytes, start, last, literal, this.shifts)
      case 'all':
        return true
    }
  }

  /** The leftmost match. */
  exec(text: string): RegexMatch | undefined {
    if (this.regex) return text.startsWith(this.head) ? this.regex.exec(text) : undefined
    if (!this.test(text)) return undefined
    const length = this.kind === 'all' ? text.length : this.literal.length
    return {
      start: this.literalStart(text),
      end: this.literalStart(text) + length,
      groups: NO_GROUPS,
    }
  }

  private literalStart(text: string): number {
    if (this.kind === 'suffix') return text.length - this.literal.length
    return this.kind === 'contains' ? text.indexOf(this.literal) : 0
  }
}

/** Horspool, "Practical fast searching in strings", 1980. */
function isWithin(
  bytes: Uint8Array,
  start: number,
  last: number,
  literal: Uint8Array,
  shifts: Uint8Array,
): boolean {
  const end = literal.length - 1
  for (let at = start; at <= last; at += shifts[bytes[at + end]!]!) {
    if (isAt(bytes, at, literal)) return true
  }
  return false
}

function shiftsOf(literal: Uint8Array): Uint8Array {
  const { length } = literal
  const shifts = new Uint8Array(256).fill(Math.min(Math.max(length, 1), 255))
  for (let i = Math.max(0, length - 255); i < length - 1; i++) shifts[literal[i]!] = length - 1 - i
  return shifts
}

function isAt(bytes: Uint8Array, at: number, literal: Uint8Array): boolean {
  for (let i = 0; i < literal.length; i++) if (bytes[at + i] !== literal[i]) return false
  return true
}

/** Compiles an expression of the configuration. `warn` is told what a libc build would read differently. */
export function compileExpression(
  source: string,
  warn: (text: string) => void = () => {},
): Result<Expression> {
  if (source === '*') return ok(new Expression({ source, kind: 'all' }))
  const literal = literalExpression(source)
  if (literal) return ok(literal)
  const compiled = compileRegex(source, warn)
  return compiled.ok ? compiled : err(`invalid expression '${source}': ${compiled.error}`)
}

/** The expression as a plain comparison, if it has nothing but letters, digits, `_`, `-` and escaped `.^*+\`. */
function literalExpression(source: string): Expression | undefined {
  const anchored = source.startsWith('^')
  const tail = /^((?:[^\\$]|\\[^])*)\$$/.exec(source)
  const body = (tail ? tail[1]! : source).slice(anchored ? 1 : 0)
  if (!/^(?:[A-Za-z0-9_-]|\\[\\.^*+])*$/.test(body)) return undefined
  const literal = body.replaceAll(/\\(.)/g, '$1')
  const kind = anchored ? (tail ? 'equal' : 'prefix') : tail ? 'suffix' : 'contains'
  return new Expression({ source, kind, literal })
}

function compileRegex(source: string, warn: (text: string) => void): Result<Expression> {
  const translated = translate(source)
  if (!translated.ok) return translated
  const { ignoreCase, highestReference, differences } = translated.value
  const pattern = anchored(translated.value.pattern)
  const compiled = compileBounded(pattern, {
    flags: ignoreCase ? 'i' : '',
    backtrackLengthMax: PATH_BYTES_MAX,
    degreeMax: Infinity,
  })
  if (!compiled.ok) return compiled
  const regex = compiled.value
  if (regex.groupCount > GROUPS_MAX) return err(`more than ${GROUPS_MAX} groups`)
  if (highestReference > regex.groupCount) return err(`there is no group ${highestReference}`)
  for (const difference of differences) warn(`expression '${source}': ${difference}`)
  if (regex.groupCount > 0 && analyse(pattern).prefixAlternatives) {
    warn(
      `expression '${source}': the first alternative that fits is taken, not the longest as in a libc build`,
    )
  }
  const head = ignoreCase ? '' : literalHead(pattern)
  return ok(new Expression({ source, kind: 'regex', regex, head }))
}

/** The plain characters at the beginning of a pattern that is tried at the start only. */
function literalHead(pattern: string): string {
  if (!pattern.startsWith('^') || pattern.includes('|')) return ''
  const [head] = /^(?:[A-Za-z0-9_-](?![*?{])|\\[.^*+](?![*?{]))*/.exec(pattern.slice(1))!
  return head.replaceAll(/\\(.)/g, '$1')
}

/** What begins with `.*` fits from the start of a name or not at all, so it need not be tried elsewhere. */
function anchored(pattern: string): string {
  return /^\(?\.\*/.test(pattern) && !pattern.includes('|') ? `^${pattern}` : pattern
}
