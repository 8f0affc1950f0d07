/**
 * Regular expressions as users of Graphite write them, which is Python's dialect, on Bun's engine and in
 * bounded time (bounded-regex.ts).
 *
 * Translated: `(?P<name>…)`, `(?P=name)`, `\A`, `\Z`, `{,n}`, inline flags such as `(?i)` at the start, and a class
 * that begins with `]`. In replacements `\1`, `\g<1>` and `\g<name>` stand for groups, and a dollar for itself.
 *
 * Limits: 4 KiB a pattern; of a text the first 16 KiB are searched.
 */

import { type BoundedRegex, compileBounded } from './bounded-regex.ts'
import { err, ok, type Result } from './result.ts'

const PATTERN_LENGTH_MAX = 4_096
const TEXT_LENGTH_MAX = 16_384
/** With look-around or back-references: as much as takes some ten milliseconds. */
const BACKTRACK_LENGTH_MAX = 4_096
const DEGREE_MAX = 2

export interface PythonRegex {
  /** As it was written. */
  readonly source: string
  /** `re.search`. */
  test(text: string): boolean
}

export interface PythonRegexOptions {
  /** `re.match`: it must match from the text's start. */
  readonly anchored?: boolean
  /** Written by who runs the machine: it may be slow. */
  readonly trusted?: boolean
}

/** `re.sub` with a fixed replacement: every match is replaced. */
export type Replacer = (text: string) => string

export function compilePythonRegex(
  source: string,
  options: PythonRegexOptions = {},
): Result<PythonRegex> {
  const compiled = compile(source, options)
  if (!compiled.ok) return compiled
  const regex = compiled.value
  return ok({ source, test: (text) => regex.test(text.slice(0, TEXT_LENGTH_MAX)) })
}

export function compileReplacer(source: string, replacement: string): Result<Replacer> {
  const compiled = compile(source, {})
  if (!compiled.ok) return compiled
  const regex = compiled.value
  const parts: (string | number)[] = []
  for (const part of parseReplacement(replacement)) {
    const group = typeof part === 'string' ? part : groupNumber(regex, part.group)
    if (group === undefined) {
      const missing = typeof part === 'string' ? part : part.group
      return err(
        `cannot use replacement ${JSON.stringify(replacement)}: the pattern has no group ${missing}`,
      )
    }
    parts.push(group)
  }
  return ok((text) => replaceAll(regex, text, parts))
}

/** `parts` are texts, and numbers of groups: 0 is the whole match. */
function replaceAll(
  regex: BoundedRegex,
  text: string,
  parts: readonly (string | number)[],
): string {
  let replaced = ''
  let at = 0
  for (const { start, end, groups } of regex.matches(text.slice(0, TEXT_LENGTH_MAX))) {
    replaced += text.slice(at, start)
    for (const part of parts) {
      if (typeof part === 'string') replaced += part
      else replaced += part === 0 ? text.slice(start, end) : (groups[part - 1] ?? '')
    }
    at = end
    if (replaced.length > TEXT_LENGTH_MAX) break
  }
  return replaced + text.slice(at)
}

// ── the pattern ─────────────────────────────────────────────────────────────────────────────────────

function compile(source: string, { anchored, trusted }: PythonRegexOptions): Result<BoundedRegex> {
  const quoted = JSON.stringify(source.slice(0, 200))
  if (source.length > PATTERN_LENGTH_MAX) {
    return err(`cannot use pattern ${quoted}: it is longer than ${PATTERN_LENGTH_MAX} characters`)
  }
  const { pattern, flags } = translate(source)
  if (/[^imsu]/.test(flags)) {
    return err(
      `cannot use pattern ${quoted}: of flags only i, m, s and u are known, not "${flags}"`,
    )
  }
  const compiled = compileBounded(anchored ? `^(?:${pattern})` : pattern, {
    flags: [...new Set(flags.replaceAll('u', ''))].join(''),
    backtrackLengthMax: BACKTRACK_LENGTH_MAX,
    degreeMax: trusted ? Infinity : DEGREE_MAX,
  })
  return compiled.ok ? compiled : err(`cannot use pattern ${quoted}: ${compiled.error}`)
}

function translate(source: string): { pattern: string; flags: string } {
  const inline = /^\(\?([a-zA-Z]+)\)/.exec(source)
  const body = inline ? source.slice(inline[0].length) : source
  let pattern = ''
  for (let i = 0; i < body.length; i++) {
    const rest = body.slice(i, i + 4)
    if (rest.startsWith('\\A') || rest.startsWith('\\Z')) {
      pattern += rest[1] === 'A' ? '^' : '$'
      i++
    } else if (body[i] === '\\') pattern += body[i]! + (body[++i] ?? '')
    else if (body[i] === '[') {
      const end = classEnd(body, i)
      pattern += translateClass(body.slice(i, end + 1))
      i = end
    } else if (rest === '(?P<') {
      pattern += '(?<'
      i += 3
    } else if (rest === '(?P=') {
      const end = body.indexOf(')', i)
      pattern += `\\k<${body.slice(i + 4, end < 0 ? undefined : end)}>`
      i = end < 0 ? body.length : end
    } else if (/^\{,\d/.test(rest)) pattern += '{0'
    else pattern += body[i]
  }
  return { pattern, flags: inline?.[1] ?? '' }
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

/** A `]` that comes first is itself in Python. */
function translateClass(text: string): string {
  return text.replace(/^\[(\^?)\]/, '[$1\\]')
}

// ── the replacement ─────────────────────────────────────────────────────────────────────────────────

type ReplacementPart = string | { readonly group: string }

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
    parts.push(literal, { group: index ?? name! })
    literal = ''
  }
  parts.push(literal)
  return parts
}

/** The number of a group that is given by number or name; undefined when the pattern has none such. */
function groupNumber(regex: BoundedRegex, group: string): number | undefined {
  if (!/^\d+$/.test(group)) return regex.groupNames.get(group)
  return Number(group) <= regex.groupCount ? Number(group) : undefined
}
