/**
 * Names of series: `node.node.node`, optionally with tags, `name;key=value;key=value`.
 *
 * Limits: 1 to 1,024 bytes, nodes of at most 255 bytes, no blanks and no control bytes. Tags follow
 * graphite-web's rules (tags/utils.py): no `;!^=` in a key, no `;` in a value, a value does not start with
 * `~`, neither is empty. The canonical form has its tags sorted by key; of two with one key the last wins.
 */

import { err, ok, type Result } from '../lib/result.ts'

export const PATH_BYTES_MAX = 1024
export const NODE_BYTES_MAX = 255

const SEMICOLON = 0x3b
const DOT = 0x2e
const BLANK = 0x20
const DELETE = 0x7f

/** True when the bytes may name a series: the check of the store, which rejects and never cleans. */
export function isValidPath(bytes: Uint8Array): boolean {
  const length = bytes.length
  if (length === 0 || length > PATH_BYTES_MAX || bytes[0] === SEMICOLON) return false
  let nodeStart = 0
  let tagged = false
  for (let i = 0; i < length; i++) {
    const byte = bytes[i]!
    if (byte <= BLANK || byte === DELETE) return false
    if (tagged) continue
    if (byte === DOT || byte === SEMICOLON) {
      if (i - nodeStart > NODE_BYTES_MAX) return false
      nodeStart = i + 1
      tagged = byte === SEMICOLON
    }
  }
  return tagged || length - nodeStart <= NODE_BYTES_MAX
}

export interface TaggedPath {
  /** Without tags. */
  readonly name: string
  /** Sorted by key, one per key. */
  readonly tags: readonly (readonly [key: string, value: string])[]
}

/** Splits `name;key=value…`; a path without tags has none. */
export function parseTaggedPath(path: string): Result<TaggedPath> {
  const [name = '', ...pairs] = path.split(';')
  if (name === '') return err(`cannot parse path ${JSON.stringify(path)}: the name is empty`)
  const tags = new Map<string, string>()
  for (const pair of pairs) {
    const equals = pair.indexOf('=')
    const key = pair.slice(0, Math.max(equals, 0))
    const value = pair.slice(equals + 1)
    if (key === '' || value === '' || /[!^]/.test(key) || value.startsWith('~')) {
      return err(
        `cannot parse path ${JSON.stringify(path)}: tag ${JSON.stringify(pair)} is not key=value`,
      )
    }
    tags.set(key, value)
  }
  return ok({ name, tags: [...tags].sort(([a], [b]) => (a < b ? -1 : 1)) })
}

export function formatTaggedPath({ name, tags }: TaggedPath): string {
  let path = name
  for (const [key, value] of tags) path += `;${key}=${value}`
  return path
}

/** The one spelling under which a series is stored. */
export function canonicalPath(path: string): Result<string> {
  if (!path.includes(';')) return ok(path)
  const parsed = parseTaggedPath(path)
  return parsed.ok ? ok(formatTaggedPath(parsed.value)) : parsed
}
