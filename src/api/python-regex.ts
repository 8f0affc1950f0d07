/**
 * Regular expressions as users of Graphite write them, which is Python's dialect, on Bun's engine.
 *
 * Translated: `(?P<name>…)`, `(?P=name)`, `\A`, `\Z`, inline flags such as `(?i)` at the start, and a class that
 * begins with `]`. In replacements `\1`, `\g<1>` and `\g<name>` stand for groups, and a dollar for itself.
 *
 * A pattern that may take exponential time, because a repeated group repeats or alternates inside itself,
 * runs on re2js, which is linear; so does one with three or more unbounded repetitions on texts longer than
 * 256 characters. What re2js cannot do (back-references, look-around) is refused there with a plain text.
 * Texts of over 4,096 characters run there with any pattern, where that is possible.
 *
 * Limits: 4 KiB a pattern; of a text the first 16 KiB are searched.
 */

import { RE2JS } from 're2js'
import { err, ok, type Result } from '../lib/result.ts'

const PATTERN_LENGTH_MAX = 4_096
const TEXT_LENGTH_MAX = 16_384
/** Up to where any one repetition, or two, and three or more are quick on Bun's engine. */
const SHORT_TEXT_LENGTH = 4_096
const SAFE_TEXT_LENGTH = 256
const REPETITIONS_MAX = 2

export interface PythonRegex {
  /** `re.search`. */
  test(text: string): boolean
}

/** `re.sub` with a fixed replacement: every match is replaced. */
export type Replacer = (text: string) => string

export function compilePythonRegex(pattern: string): Result<PythonRegex> {
  return compile(pattern)
}

export function compileReplacer(pattern: string, replacement: string): Result<Replacer> {
  const compiled = compile(pattern)
  if (!compiled.ok) return compiled
  const regex = compiled.value
  const parts = parseReplacement(replacement)
  for (const part of parts) {
    if (typeof part === 'string' || regex.hasGroup(part.group)) continue
    return err(
      `cannot use replacement ${JSON.stringify(replacement)}: the pattern has no group ${part.group}`,
    )
  }
  return ok((text) => regex.replace(text, parts))
}

// ── two engines ─────────────────────────────────────────────────────────────────────────────────────

interface Match {
  readonly start: number
  readonly end: number
  group(key: number | string): string
}

class CompiledRegex implements PythonRegex {
  readonly #regex: RegExp
  readonly #linear: LazyLinear
  /** Texts from this length on go to the linear engine. */
  readonly #linearFrom: number
  readonly #groupCount: number
  readonly #groupNames: ReadonlySet<string>

  constructor(regex: RegExp, linear: LazyLinear, linearFrom: number) {
    this.#regex = regex
    this.#linear = linear
    this.#linearFrom = linearFrom
    const probe = new RegExp(`${regex.source}|`, regex.flags.replace('g', '')).exec('')!
    this.#groupCount = probe.length - 1
    this.#groupNames = new Set(Object.keys(probe.groups ?? {}))
  }

  hasGroup(group: number | string): boolean {
    return typeof group === 'number' ? group <= this.#groupCount : this.#groupNames.has(group)
  }

  test(text: string): boolean {
    const searched = text.slice(0, TEXT_LENGTH_MAX)
    const linear = searched.length > this.#linearFrom ? this.#linear.get() : undefined
    if (linear) return linear.matcher(searched).find()
    this.#regex.lastIndex = 0
    return this.#regex.test(searched)
  }

  replace(text: string, parts: readonly ReplacementPart[]): string {
    let replaced = ''
    let at = 0
    for (const match of this.#matches(text.slice(0, TEXT_LENGTH_MAX))) {
      replaced += text.slice(at, match.start)
      for (const part of parts)
        replaced += typeof part === 'string' ? part : match.group(part.group)
      at = match.end
      if (replaced.length > TEXT_LENGTH_MAX) break
    }
    return replaced + text.slice(at)
  }

  *#matches(text: string): Generator<Match> {
    const linear = text.length > this.#linearFrom ? this.#linear.get() : undefined
    if (linear) {
      const matcher = linear.matcher(text)
      while (matcher.find()) {
        const group = (key: number | string): string => matcher.group(key) ?? ''
        yield { start: matcher.start(), end: matcher.end(), group }
      }
      return
    }
    for (const found of text.matchAll(this.#regex)) {
      const group = (key: number | string): string =>
        (typeof key === 'number' ? found[key] : found.groups?.[key]) ?? ''
      yield { start: found.index, end: found.index + found[0].length, group }
    }
  }
}

function compile(pattern: string): Result<CompiledRegex> {
  const quoted = JSON.stringify(pattern.slice(0, 200))
  if (pattern.length > PATTERN_LENGTH_MAX) {
    return err(`cannot use pattern ${quoted}: it is longer than ${PATTERN_LENGTH_MAX} characters`)
  }
  const { source, flags } = translate(pattern)
  let regex: RegExp
  try {
    regex = new RegExp(source, `g${flags}`)
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^.*: /, '') : 'syntax error'
    return err(`cannot compile pattern ${quoted}: ${why}`)
  }
  const { nested, repetitions } = analyse(pattern)
  const linear = new LazyLinear(pattern)
  if (!nested && repetitions <= REPETITIONS_MAX) {
    return ok(new CompiledRegex(regex, linear, SHORT_TEXT_LENGTH))
  }
  if (linear.get()) return ok(new CompiledRegex(regex, linear, nested ? -1 : SAFE_TEXT_LENGTH))
  return err(
    `cannot use pattern ${quoted}: with so many repetitions it may take forever, and with look-around or ` +
      'back-references it cannot be run in linear time',
  )
}

/** Compiled when it is first needed. */
class LazyLinear {
  readonly #pattern: string
  #compiled: RE2JS | undefined
  #tried = false

  constructor(pattern: string) {
    this.#pattern = pattern
  }

  /** Undefined when the pattern needs what a linear engine cannot do. */
  get(): RE2JS | undefined {
    if (!this.#tried) this.#compiled = this.#compile()
    this.#tried = true
    return this.#compiled
  }

  #compile(): RE2JS | undefined {
    try {
      return RE2JS.compile(this.#pattern.replaceAll('\\Z', '\\z'))
    } catch {
      return undefined
    }
  }
}

// ── the pattern ─────────────────────────────────────────────────────────────────────────────────────

interface Analysis {
  /** A group with a repetition or an alternation in it is itself repeated. */
  readonly nested: boolean
  /** Unbounded ones. */
  readonly repetitions: number
}

function analyse(pattern: string): Analysis {
  const groups: { risky: boolean }[] = [{ risky: false }]
  let nested = false
  let repetitions = 0
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]
    if (char === '\\') i++
    else if (char === '[') i = classEnd(pattern, i)
    else if (char === '(') groups.push({ risky: false })
    else if (char === ')' && groups.length > 1) {
      const { risky } = groups.pop()!
      const repeated = repeatsAt(pattern, i + 1)
      nested ||= risky && repeated
      if (risky || repeated) groups.at(-1)!.risky = true
    } else if (char === '|') groups.at(-1)!.risky = true
    if (repeatsAt(pattern, i + 1)) {
      repetitions++
      if (char !== ')') groups.at(-1)!.risky = true
    }
  }
  return { nested, repetitions }
}

/** `*`, `+`, or braces without an upper bound or with a high one. */
function repeatsAt(pattern: string, at: number): boolean {
  return /^(?:[*+]|\{\d*,(?:\d{2,})?\}|\{\d{2,}\})/.test(pattern.slice(at, at + 16))
}

/** Index of the `]` that closes the class at `open`. */
function classEnd(pattern: string, open: number): number {
  let i = open + 1
  if (pattern[i] === '^') i++
  if (pattern[i] === ']') i++
  for (; i < pattern.length; i++) {
    if (pattern[i] === '\\') i++
    else if (pattern[i] === ']') return i
  }
  return pattern.length
}

function translate(pattern: string): { source: string; flags: string } {
  let flags = ''
  let body = pattern
  const inline = /^\(\?([imsux]+)\)/.exec(body)
  if (inline) {
    flags = [...new Set(inline[1]!.replaceAll(/[ux]/g, ''))].join('')
    body = body.slice(inline[0].length)
  }
  let source = ''
  for (let i = 0; i < body.length; i++) {
    const rest = body.slice(i, i + 4)
    if (rest.startsWith('\\A') || rest.startsWith('\\Z')) {
      source += rest[1] === 'A' ? '^' : '$'
      i++
    } else if (body[i] === '\\') source += body[i]! + (body[++i] ?? '')
    else if (body[i] === '[') {
      const end = classEnd(body, i)
      source += translateClass(body.slice(i, end + 1))
      i = end
    } else if (rest === '(?P<') {
      source += '(?<'
      i += 3
    } else if (rest === '(?P=') {
      const end = body.indexOf(')', i)
      source += `\\k<${body.slice(i + 4, end < 0 ? undefined : end)}>`
      i = end < 0 ? body.length : end
    } else source += body[i]
  }
  return { source, flags }
}

/** A `]` that comes first is itself in Python. */
function translateClass(text: string): string {
  return text.replace(/^\[(\^?)\]/, '[$1\\]')
}

// ── the replacement ─────────────────────────────────────────────────────────────────────────────────

type ReplacementPart = string | { readonly group: number | string }

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\\': '\\' }

function parseReplacement(replacement: string): ReplacementPart[] {
  const parts: ReplacementPart[] = []
  let literal = ''
  for (let i = 0; i < replacement.length; i++) {
    const reference =
      replacement[i] === '\\' && /^\\(?:(\d{1,2})|g<(\w+)>|(.))/s.exec(replacement.slice(i, i + 80))
    if (!reference) {
      literal += replacement[i]
      continue
    }
    i += reference[0].length - 1
    const [, index, name, escaped] = reference
    if (escaped !== undefined) {
      literal += ESCAPES[escaped] ?? `\\${escaped}`
      continue
    }
    parts.push(literal, { group: groupKey(index ?? name!) })
    literal = ''
  }
  parts.push(literal)
  return parts
}

function groupKey(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text
}
