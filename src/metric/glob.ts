/**
 * Graphite's globs (graphite-web finders/__init__.py, standard.py): in each node `*`, `?`, `[abc]`,
 * `[a-z]`, `[!a]`, and `{a,b}`, nested; a node `**` stands for any number of nodes. Case counts.
 *
 * A pattern is matched node by node against a tree of names, so what is compiled is one node.
 * Limits: 64 KiB a pattern, 1,000 alternatives a node; matching is linear in practice because `*` never
 * crosses a node and nodes are at most 255 bytes.
 */

import { err, ok, type Result } from '../lib/result.ts'

export const PATTERN_BYTES_MAX = 65_536
const ALTERNATIVES_MAX = 1_000

export type NodeGlob =
  | { readonly kind: 'literal'; readonly text: string }
  /** Any one node. */
  | { readonly kind: 'any' }
  /** `**`: any number of nodes, none included. */
  | { readonly kind: 'walk' }
  /** Exactly one of these. */
  | { readonly kind: 'oneOf'; readonly texts: ReadonlySet<string> }
  | {
      readonly kind: 'match'
      readonly test: (node: string) => boolean
      /** The alternatives that it tries: without braces, with `*`, `?` and `[…]`. */
      readonly wildcards: readonly string[]
    }

/** A path with any of `*?[{`. */
export function isGlob(text: string): boolean {
  return /[*?[{]/.test(text)
}

/** The nodes of a pattern, each compiled. Dots inside braces do not split. */
export function compileGlob(pattern: string): Result<NodeGlob[]> {
  if (pattern.length > PATTERN_BYTES_MAX) {
    return err(`pattern of ${pattern.length} bytes: at most ${PATTERN_BYTES_MAX} are taken`)
  }
  const nodes: NodeGlob[] = []
  for (const node of splitPattern(pattern)) {
    const compiled = compileNode(node)
    if (!compiled.ok)
      return err(`cannot parse pattern ${JSON.stringify(pattern)}: ${compiled.error}`)
    nodes.push(compiled.value)
  }
  return ok(nodes)
}

/** Splits at dots outside braces. */
export function splitPattern(pattern: string): string[] {
  const nodes: string[] = []
  let depth = 0
  let start = 0
  for (let i = 0; i < pattern.length; i++) {
    const char = pattern[i]
    if (char === '{') depth++
    else if (char === '}' && depth > 0) depth--
    else if (char === '.' && depth === 0) {
      nodes.push(pattern.slice(start, i))
      start = i + 1
    }
  }
  nodes.push(pattern.slice(start))
  return nodes
}

export function compileNode(node: string): Result<NodeGlob> {
  if (node === '*') return ok({ kind: 'any' })
  if (node === '**') return ok({ kind: 'walk' })
  if (!isGlob(node)) return ok({ kind: 'literal', text: node })
  const expanded = expandBraces(node)
  if (!expanded.ok) return expanded
  const texts = expanded.value
  if (texts.every((text) => !isGlob(text))) return ok({ kind: 'oneOf', texts: new Set(texts) })
  const regex = new RegExp(`^(?:${texts.map(wildcardRegex).join('|')})$`, 's')
  return ok({ kind: 'match', test: (name) => regex.test(name), wildcards: texts })
}

/** `a{b,c{d,e}}` → `ab`, `acd`, `ace`. Unbalanced braces stand for themselves. */
export function expandBraces(text: string): Result<string[]> {
  let pending = [text]
  for (;;) {
    const next: string[] = []
    let changed = false
    for (const item of pending) {
      const inner = /\{([^{}]*)\}/.exec(item)
      if (!inner) {
        next.push(item)
        continue
      }
      changed = true
      const before = item.slice(0, inner.index)
      const after = item.slice(inner.index + inner[0].length)
      for (const choice of inner[1]!.split(',')) next.push(before + choice + after)
      if (next.length > ALTERNATIVES_MAX)
        return err(`more than ${ALTERNATIVES_MAX} alternatives in braces`)
    }
    if (!changed) return ok([...new Set(next)])
    pending = next
  }
}

/** One brace-free node as a regular expression's source; runs of `*` count as one. */
function wildcardRegex(text: string): string {
  let source = ''
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (char === '*') {
      if (text[i - 1] !== '*') source += '.*'
    } else if (char === '?') source += '.'
    else if (char === '[') {
      const end = text.indexOf(']', i + (text[i + 1] === '!' ? 3 : 2))
      if (end < 0) {
        source += '\\['
        continue
      }
      source += characterClass(text.slice(i + 1, end))
      i = end
    } else source += char.replace(/[\\^$.|+(){}\]/-]/, '\\$&')
  }
  return source
}

/** fnmatch's rules: `!` first negates, `a-z` is a range, a range that runs backwards matches nothing. */
function characterClass(body: string): string {
  const negated = body.startsWith('!')
  const chars = negated ? body.slice(1) : body
  let source = ''
  for (let i = 0; i < chars.length; i++) {
    const low = chars[i]!
    const high = chars[i + 2]
    if (chars[i + 1] === '-' && high !== undefined) {
      if (low <= high) source += `${escapeInClass(low)}-${escapeInClass(high)}`
      i += 2
    } else source += escapeInClass(low)
  }
  if (source === '') return negated ? '.' : '(?!)'
  return `[${negated ? '^' : ''}${source}]`
}

function escapeInClass(char: string): string {
  return char.replace(/[\\\]^-]/, '\\$&')
}

/** Whether one node's name fits; `walk` is the caller's to unroll. */
export function matchesNode(glob: NodeGlob, name: string): boolean {
  switch (glob.kind) {
    case 'literal':
      return glob.text === name
    case 'oneOf':
      return glob.texts.has(name)
    case 'match':
      return glob.test(name)
    default:
      return true
  }
}
