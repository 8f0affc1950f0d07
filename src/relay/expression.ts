/**
 * Expressions of match, rewrite and aggregate rules. Most need no regular expression (router.c
 * determine_if_regex): `*` is everything, `^a_b` a prefix, `a_b$` a tail, `^a_b$` equality and `a_b` a part.
 * All others are Perl's dialect, tried on latin1 text, one character a byte (regex-dialect.ts).
 *
 * Backtracking costs length^degree in the worst case (regex-cost.ts): half a second for `x.*x.*y`, of degree 3,
 * on 1,024 bytes. So from a length on that depends on the degree (LINEAR_FROM) an expression runs on re2js, which
 * takes linear time but is slower on ordinary names; always when a repeated group repeats or alternates inside
 * itself. What re2js cannot do, back-references and look-around, is refused in the latter case; else it does not
 * fit names of more than 1,024 bytes, which no store takes. At most 64 groups.
 */

import { RE2JS } from 're2js'
import { err, ok, type Result } from '../lib/result.ts'
import { PATH_BYTES_MAX } from '../metric/path.ts'
import { analyse } from './regex-cost.ts'
import { translate } from './regex-dialect.ts'

export type ExpressionKind = 'all' | 'prefix' | 'suffix' | 'equal' | 'contains' | 'regex'

const GROUPS_MAX = 64
/** By degree, the last for that or more: lengths at which re2js takes over. */
const LINEAR_FROM = [Infinity, Infinity, 700, 120, 40] as const

/** Where an expression matched; groups are numbered from 1, those that took no part are undefined. */
export interface Match {
  readonly start: number
  readonly end: number
  readonly groups: readonly (string | undefined)[]
}

const NO_GROUPS: readonly undefined[] = []

export class Expression {
  /** As it is written in the configuration. */
  readonly source: string
  readonly kind: ExpressionKind
  /** What is compared; '' for `all` and `regex`. */
  readonly literal: string
  readonly groupCount: number
  private readonly regex: RegExp | undefined
  private readonly linear: RE2JS | undefined
  /** From this length on `linear` is used; without it nothing so long fits. */
  private readonly linearFrom: number

  constructor(options: {
    source: string
    kind: ExpressionKind
    literal?: string
    groupCount?: number
    regex?: RegExp | undefined
    linear?: RE2JS | undefined
    linearFrom?: number
  }) {
    this.source = options.source
    this.kind = options.kind
    this.literal = options.literal ?? ''
    this.groupCount = options.groupCount ?? 0
    this.regex = options.regex
    this.linear = options.linear
    this.linearFrom = options.linearFrom ?? Infinity
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
        if (text.length < this.linearFrom) return this.regex!.test(text)
        return this.linear !== undefined && this.linear.matcher(text).find()
    }
  }

  /** The leftmost match. */
  exec(text: string): Match | undefined {
    if (this.kind === 'regex') {
      return text.length < this.linearFrom ? this.execRegex(text) : this.execLinear(text)
    }
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

  private execRegex(text: string): Match | undefined {
    const found = this.regex!.exec(text)
    if (!found) return undefined
    return { start: found.index, end: found.index + found[0].length, groups: found.slice(1) }
  }

  private execLinear(text: string): Match | undefined {
    const matcher = this.linear?.matcher(text)
    if (!matcher?.find()) return undefined
    const groups: (string | undefined)[] = []
    for (let i = 1; i <= this.groupCount; i++) groups.push(matcher.group(i) ?? undefined)
    return { start: matcher.start(), end: matcher.end(), groups }
  }
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
  const { pattern, ignoreCase } = translated.value
  let regex: RegExp
  try {
    regex = new RegExp(pattern, ignoreCase ? 'i' : '')
  } catch (error) {
    return err(error instanceof Error ? error.message.replace(/^.*: /, '') : String(error))
  }
  const groupCount = new RegExp(`${pattern}|`).exec('')!.length - 1
  if (groupCount > GROUPS_MAX) return err(`more than ${GROUPS_MAX} groups`)
  const { highestReference } = translated.value
  if (highestReference > groupCount) return err(`there is no group ${highestReference}`)
  const traits = analyse(pattern)
  for (const difference of translated.value.differences) {
    warn(`expression '${source}': ${difference}`)
  }
  if (traits.prefixAlternatives && groupCount > 0) {
    warn(
      `expression '${source}': the first alternative that fits is taken, not the longest as in a libc build`,
    )
  }
  const base = { source, kind: 'regex', groupCount, regex } as const
  if (traits.degree <= 1 && !traits.explosive) return ok(new Expression(base))
  const linear = compileLinear(pattern, ignoreCase)
  if (linear.ok) {
    const usual = LINEAR_FROM[Math.min(traits.degree, LINEAR_FROM.length - 1)]!
    const linearFrom = traits.explosive ? 0 : usual
    return ok(new Expression({ ...base, linear: linear.value, linearFrom }))
  }
  if (!traits.explosive) return ok(new Expression({ ...base, linearFrom: PATH_BYTES_MAX + 1 }))
  return err(
    `it may take forever: a repeated group repeats or alternates inside itself, and ${linear.error}`,
  )
}

function compileLinear(pattern: string, ignoreCase: boolean): Result<RE2JS> {
  if (/\\[1-9]|\\k</.test(pattern)) return err('it has a back-reference')
  if (/\(\?<?[=!]/.test(pattern)) return err('it looks ahead or behind')
  try {
    return ok(RE2JS.compile(pattern, ignoreCase ? RE2JS.CASE_INSENSITIVE : 0))
  } catch (error) {
    return err(`re2js refuses it: ${error instanceof Error ? error.message : String(error)}`)
  }
}
