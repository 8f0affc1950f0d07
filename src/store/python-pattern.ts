/**
 * Regular expressions as Python and Go users write them, for Bun's engine: leading flags `(?i)`, named groups
 * `(?P<name>…)`, `\A` and `\Z`.
 *
 * `compileSafePattern` is for what comes from outside: an expression whose backtracking may explode (a group that
 * is repeated, or more than two unbounded repetitions) runs on re2js, which takes linear time and refuses
 * back-references and look-around.
 */

import { RE2JS } from 're2js'
import { reason } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'

export interface Pattern {
  readonly source: string
  test(text: string): boolean
}

/** For a configuration, whose author is trusted. */
export function compilePattern(source: string): Result<RegExp> {
  const { body, flags } = translated(source)
  try {
    return ok(new RegExp(body, flags))
  } catch (error) {
    return err(`cannot parse ${JSON.stringify(source)}: ${reason(error)}`)
  }
}

export function compileSafePattern(source: string): Result<Pattern> {
  const regex = compilePattern(source)
  if (!regex.ok || isHarmless(source)) return regex
  const { body, flags } = translated(source)
  try {
    const linear = RE2JS.compile(flags === '' ? body : `(?${flags})${body}`)
    return ok({ source, test: (text) => linear.matcher(text).find() })
  } catch (error) {
    return err(`cannot use ${JSON.stringify(source)}: ${reason(error)}`)
  }
}

function translated(source: string): { body: string; flags: string } {
  const inline = /^(\^?\(?)\(\?([ims]+)\)/.exec(source)
  const body = inline ? inline[1]! + source.slice(inline[0].length) : source
  return {
    body: body
      .replaceAll('(?P<', '(?<')
      .replace(/^\\A/, '^')
      .replace(/\\[Zz]$/, '$'),
    flags: [...new Set(inline?.[2])].join(''),
  }
}

const REPETITIONS_MAX = 2

/** No group is repeated and few things are: the time is at worst the square of the text. */
function isHarmless(source: string): boolean {
  const outside = source.replaceAll(/\\.|\[\^?\]?(?:\\.|[^\]\\])*\]/g, 'x')
  if (/\)[*+{?]/.test(outside)) return false
  return (outside.match(/[*+]|\{\d+,\d*\}/g) ?? []).length <= REPETITIONS_MAX
}
