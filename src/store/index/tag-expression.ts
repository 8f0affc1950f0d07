/**
 * Tag expressions as graphite-web reads them (tags/base.py parse_tagspec, tags/localdatabase.py):
 * `tag=value`, `tag!=value`, `tag=~regex`, `tag!=~regex`. A regular expression is anchored at the start
 * only. A series without the tag counts as having it empty, so an expression that holds for the empty text
 * holds for it too; at least one of several must not.
 */

import { compilePythonRegex, type PythonRegex } from '../../lib/python-regex.ts'
import { err, ok, type Result } from '../../lib/result.ts'

const EXPRESSION_RE = /^([^;!=]+)(!?=~?)([^;]*)$/

const EXPRESSIONS_MAX = 100

export interface TagExpression {
  readonly tag: string
  /** The only value that it holds for, when it is a plain `=`. */
  readonly value: string | undefined
  readonly holds: (value: string) => boolean
  /** Holds for series without the tag. */
  readonly holdsForNone: boolean
}

export function parseTagExpressions(texts: readonly string[]): Result<TagExpression[]> {
  if (texts.length > EXPRESSIONS_MAX) return err(`more than ${EXPRESSIONS_MAX} tag expressions`)
  const expressions: TagExpression[] = []
  for (const text of texts) {
    const expression = parseTagExpression(text)
    if (!expression.ok) return expression
    expressions.push(expression.value)
  }
  if (expressions.every(({ holdsForNone }) => holdsForNone)) {
    return err('At least one tagspec must not match the empty string')
  }
  return ok(expressions)
}

export function parseTagExpression(text: string): Result<TagExpression> {
  const parts = EXPRESSION_RE.exec(text)
  if (!parts)
    return err(`cannot parse tag expression ${JSON.stringify(text)}: it must be tag=value`)
  const [, tag = '', operator = '', spec = ''] = parts
  const negated = operator.startsWith('!')
  if (!operator.endsWith('~')) {
    const holds = (value: string): boolean => (value === spec) !== negated
    return ok({
      tag,
      value: negated || spec === '' ? undefined : spec,
      holds,
      holdsForNone: holds(''),
    })
  }
  const pattern = compileTagPattern(spec)
  if (!pattern.ok)
    return err(`cannot parse tag expression ${JSON.stringify(text)}: ${pattern.error}`)
  const holds = (value: string): boolean => pattern.value.test(value) !== negated
  return ok({ tag, value: undefined, holds, holdsForNone: holds('') })
}

/** Anchored at the start, as graphite-web does it. */
export function compileTagPattern(spec: string): Result<PythonRegex> {
  return compilePythonRegex(spec, { anchored: true })
}
