/**
 * Regular expressions as users of Graphite write them, which is Python's dialect, on Bun's engine.
 *
 * Translated: `(?P<name>…)`, `(?P=name)`, `\A`, `\Z`, inline flags `(?i)` at the start, and POSIX-free
 * classes as they are. In replacements `\1`, `\g<1>` and `\g<name>` stand for groups, and a dollar for
 * itself. A pattern that cannot be compiled, or that repeats a group which repeats or alternates itself
 * (and so may take exponential time), is refused with a plain text.
 *
 * Limits: 4 KiB a pattern, names are at most 64 KiB where this is used.
 */

import { err, ok, type Result } from '../lib/result.ts'

const PATTERN_BYTES_MAX = 4_096

export interface PythonRegex {
  /** `re.search`. */
  test(text: string): boolean
  /** `re.sub`: every match is replaced. */
  replace(text: string, replacement: string): string
}

export function compilePythonRegex(pattern: string): Result<PythonRegex> {
  const problem = findProblem(pattern)
  if (problem !== undefined) return err(`cannot use pattern ${JSON.stringify(pattern)}: ${problem}`)
  const { source, flags } = translate(pattern)
  let regex: RegExp
  try {
    regex = new RegExp(source, `g${flags}`)
  } catch (error) {
    const why = error instanceof Error ? error.message.replace(/^.*: /, '') : 'syntax error'
    return err(`cannot compile pattern ${JSON.stringify(pattern)}: ${why}`)
  }
  return ok({
    test(text) {
      regex.lastIndex = 0
      return regex.test(text)
    },
    replace(text, replacement) {
      const parts = parseReplacement(replacement)
      return text.replace(regex, (...match: unknown[]) => expand(parts, match))
    },
  })
}

function findProblem(pattern: string): string | undefined {
  if (pattern.length > PATTERN_BYTES_MAX) return `it is longer than ${PATTERN_BYTES_MAX} bytes`
  if (repeatsInsideRepeat(pattern)) {
    return 'a repeated group that repeats or alternates inside itself may take forever'
  }
  return undefined
}

/** One pass over the groups: a group with a quantifier or `|` in it, itself under `*`, `+` or `{n,}`. */
function repeatsInsideRepeat(pattern: string): boolean {
  const groups: { risky: boolean }[] = [{ risky: false }]
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]
    if (char === '\\') i++
    else if (char === '[') i = classEnd(pattern, i)
    else if (char === '(') groups.push({ risky: false })
    else if (char === ')' && groups.length > 1) {
      const inner = groups.pop()!
      const repeated = isUnboundedRepeat(pattern, i + 1)
      if (repeated && inner.risky) return true
      if (inner.risky || repeated) groups.at(-1)!.risky = true
    } else if (char === '|' || isUnboundedRepeat(pattern, i)) groups.at(-1)!.risky = true
  }
  return false
}

function isUnboundedRepeat(pattern: string, at: number): boolean {
  return /^(?:[*+]|\{\d*,(?:\d{3,})?\})/.test(pattern.slice(at, at + 16))
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
  const inline = /^\(\?([ims]+)\)/.exec(body)
  if (inline) {
    flags = [...new Set(inline[1])].join('')
    body = body.slice(inline[0].length)
  }
  let source = ''
  for (let i = 0; i < body.length; i++) {
    const rest = body.slice(i, i + 4)
    if (rest.startsWith('\\A') || rest.startsWith('\\Z')) {
      source += rest[1] === 'A' ? '^' : '$'
      i++
    } else if (body[i] === '\\') source += body[i] + (body[++i] ?? '')
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

type ReplacementPart = string | { readonly group: number | string }

function parseReplacement(replacement: string): ReplacementPart[] {
  const parts: ReplacementPart[] = []
  let literal = ''
  for (let i = 0; i < replacement.length; i++) {
    if (replacement[i] !== '\\') {
      literal += replacement[i]
      continue
    }
    const reference = /^\\(?:(\d{1,2})|g<(\w+)>|(.))/s.exec(replacement.slice(i))
    if (!reference) {
      literal += '\\'
      continue
    }
    i += reference[0].length - 1
    const [, index, name, escaped] = reference
    if (escaped !== undefined) {
      literal += ESCAPES[escaped] ?? (escaped === '\\' ? '\\' : `\\${escaped}`)
      continue
    }
    parts.push(literal, { group: groupName(index ?? name!) })
    literal = ''
  }
  parts.push(literal)
  return parts
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r' }

function groupName(text: string): number | string {
  return /^\d+$/.test(text) ? Number(text) : text
}

/** `match` is what String.replace hands its callback: match, groups…, offset, text[, named groups]. */
function expand(parts: readonly ReplacementPart[], match: readonly unknown[]): string {
  let text = ''
  for (const part of parts) {
    if (typeof part === 'string') text += part
    else text += groupText(match, part.group)
  }
  return text
}

function groupText(match: readonly unknown[], group: number | string): string {
  const last = match.at(-1)
  if (typeof group === 'string') {
    const named =
      typeof last === 'object' && last !== null ? (last as Record<string, string>)[group] : ''
    return named ?? ''
  }
  const groups = match.length - (typeof last === 'object' ? 3 : 2)
  const value = group < groups ? match[group] : ''
  return typeof value === 'string' ? value : ''
}
