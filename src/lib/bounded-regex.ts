/**
 * Regular expressions whose time is bounded, whatever they are and whatever they are tried on.
 *
 * Bun's engine backtracks, which may take about length^degree steps (regex-cost.ts): half a second for
 * `x.*x.*y`, of degree 3, on 1,024 characters. So from a length on that depends on the degree (LINEAR_FROM) an
 * expression runs on re2js, which takes linear time but is slower on ordinary texts; always when a repeated
 * group repeats or alternates inside itself.
 *
 * What re2js cannot do, back-references and look-around, is refused in the latter case and above `degreeMax`;
 * else it fits no text of more than `backtrackLengthMax` characters.
 */

import { createRequire } from 'node:module'
import type { RE2JS } from 're2js'
import { reason } from './log.ts'
import { analyse } from './regex-cost.ts'
import { err, ok, type Result } from './result.ts'

/** By degree, the last for that or more: lengths at which re2js takes over. */
const LINEAR_FROM = [Infinity, Infinity, 700, 120, 40] as const

export interface BoundedRegexOptions {
  /** Of `i`, `m` and `s`. */
  readonly flags: string
  /** For what cannot run in linear time: the longest text that it may fit. */
  readonly backtrackLengthMax: number
  /** For what cannot run in linear time: the highest degree that is taken. */
  readonly degreeMax: number
}

/** Where an expression matched; groups are numbered from 1, `groups[0]` is the first. */
export interface RegexMatch {
  readonly start: number
  readonly end: number
  /** Those that took no part are undefined. */
  readonly groups: readonly (string | undefined)[]
}

export class BoundedRegex {
  readonly groupCount: number
  /** Name → number of the group. */
  readonly groupNames: ReadonlyMap<string, number>
  private readonly regex: RegExp
  private readonly linear: LinearRegex
  /** Longer texts go to `linear`. */
  private readonly shortMax: number
  /** What `linear` cannot run fits no longer text than this. */
  private readonly backtrackMax: number

  constructor(options: {
    regex: RegExp
    linear: LinearRegex
    shortMax: number
    backtrackMax: number
  }) {
    this.regex = options.regex
    this.linear = options.linear
    this.shortMax = options.shortMax
    this.backtrackMax = options.backtrackMax
    this.groupCount = new RegExp(`${options.regex.source}|`).exec('')!.length - 1
    this.groupNames = namesOf(options.regex.source)
  }

  /** Whether it matches anywhere. */
  test(text: string): boolean {
    if (text.length > this.shortMax) {
      const linear = this.linear.compiled
      if (linear.ok) return linear.value.matcher(text).find()
      if (text.length > this.backtrackMax) return false
    }
    this.regex.lastIndex = 0
    return this.regex.test(text)
  }

  /** The leftmost match. */
  exec(text: string): RegexMatch | undefined {
    if (text.length > this.shortMax) return this.matches(text).next().value
    this.regex.lastIndex = 0
    const found = this.regex.exec(text)
    return found ? matchOf(found) : undefined
  }

  /** All matches from left to right, none of which overlap. */
  *matches(text: string): Generator<RegexMatch, undefined> {
    if (text.length > this.shortMax) {
      const linear = this.linear.compiled
      if (linear.ok) return yield* this.linearMatches(linear.value, text)
      if (text.length > this.backtrackMax) return
    }
    this.regex.lastIndex = 0
    for (const found of text.matchAll(this.regex)) yield matchOf(found)
  }

  private *linearMatches(linear: RE2JS, text: string): Generator<RegexMatch, undefined> {
    const matcher = linear.matcher(text)
    while (matcher.find()) {
      const groups: (string | undefined)[] = []
      for (let i = 1; i <= this.groupCount; i++) groups.push(matcher.group(i) ?? undefined)
      yield { start: matcher.start(), end: matcher.end(), groups }
    }
  }
}

function matchOf(found: RegExpExecArray): RegexMatch {
  return { start: found.index, end: found.index + found[0].length, groups: found.slice(1) }
}

/** Compiles a pattern in Bun's own dialect; errors are why it is none, or why it is refused. */
export function compileBounded(
  pattern: string,
  { flags, backtrackLengthMax, degreeMax }: BoundedRegexOptions,
): Result<BoundedRegex> {
  let regex: RegExp
  try {
    regex = new RegExp(pattern, `g${flags}`)
  } catch (error) {
    return err(reason(error).replace(/^.*: /, ''))
  }
  const linear = new LinearRegex(pattern, flags)
  const { explosive, degree } = analyse(pattern)
  const usual = LINEAR_FROM[Math.min(degree, LINEAR_FROM.length - 1)]!
  if ((explosive || degree > degreeMax) && !linear.compiled.ok) {
    const why = explosive
      ? 'a repeated group repeats or alternates inside itself'
      : `its ${degree} repetitions multiply`
    return err(`it may take forever: ${why}, and ${linear.compiled.error}`)
  }
  const shortMax = explosive ? -1 : usual
  return ok(new BoundedRegex({ regex, linear, shortMax, backtrackMax: backtrackLengthMax }))
}

/** The pattern on re2js, compiled when it is first needed. */
class LinearRegex {
  private readonly pattern: string
  private readonly flags: string
  private result: Result<RE2JS> | undefined

  constructor(pattern: string, flags: string) {
    this.pattern = pattern
    this.flags = flags
    this.result = undefined
  }

  /** An error says what of it a linear engine cannot do. */
  get compiled(): Result<RE2JS> {
    this.result ??= compileLinear(this.pattern, this.flags)
    return this.result
  }
}

function compileLinear(pattern: string, flags: string): Result<RE2JS> {
  if (/\\[1-9]|\\k</.test(pattern)) return err('it has a back-reference')
  if (/\(\?<?[=!]/.test(pattern)) return err('it looks ahead or behind')
  const engine = loadLinearEngine()
  let bits = 0
  if (flags.includes('i')) bits |= engine.CASE_INSENSITIVE
  if (flags.includes('m')) bits |= engine.MULTILINE
  if (flags.includes('s')) bits |= engine.DOTALL
  try {
    return ok(engine.compile(pattern, bits))
  } catch (error) {
    return err(`re2js refuses it: ${reason(error)}`)
  }
}

/** Five megabytes that most processes do not need, so it is loaded with the first pattern that does. */
function loadLinearEngine(): typeof RE2JS {
  const module = createRequire(import.meta.url)('re2js') as { RE2JS: typeof RE2JS }
  return module.RE2JS
}

/** Named groups by number: escapes and classes are stepped over, other groups counted. */
function namesOf(pattern: string): Map<string, number> {
  const names = new Map<string, number>()
  let number = 0
  for (const [text, name] of pattern.matchAll(
    /\\.|\[(?:\\.|[^\]\\])*\]|\((?:\?<(\w+)>|(?!\?))/gs,
  )) {
    if (!text.startsWith('(')) continue
    number++
    if (name !== undefined) names.set(name, number)
  }
  return names
}
