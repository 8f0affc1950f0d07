/**
 * Mail addresses as they stand in an envelope: `local@domain`, local part quoted or not, domain a name
 * or a literal in brackets (RFC 5321 §4.1.2, RFC 6531). Only what can be written back into a command
 * safely is taken: no blanks, control characters or angle brackets.
 */

import { err, ok, type Result } from '../lib/result.ts'

const LOCAL_BYTES_MAX = 64
const DOMAIN_BYTES_MAX = 255

const ATOMS = /^[^\s"(),:;<>@[\\\]\p{Cc}]+$/u
const QUOTED = /^"(?:[^"\\\p{Cc}]|\\[^\p{Cc}])*"$/u
const DOMAIN = /^(?!-)[\p{L}\p{N}_-]+(?:\.[\p{L}\p{N}_-]+)*\.?$/u
const LITERAL = /^\[[\w.:-]+\]$/

/** `bareDomain` completes an address without one, such as cron's `root`. The domain is put in small letters. */
export function parseAddress(text: string, bareDomain: string): Result<string> {
  const at = text.lastIndexOf('@')
  const local = at < 0 ? text : text.slice(0, at)
  const domain = (at < 0 ? bareDomain : text.slice(at + 1)).toLowerCase()
  const quoted = JSON.stringify(text.slice(0, 100))
  if (!(ATOMS.test(local) || QUOTED.test(local)) || byteLength(local) > LOCAL_BYTES_MAX) {
    return err(`cannot take address ${quoted}: bad local part`)
  }
  if (!(DOMAIN.test(domain) || LITERAL.test(domain)) || byteLength(domain) > DOMAIN_BYTES_MAX) {
    return err(`cannot take address ${quoted}: bad domain`)
  }
  return ok(`${local}@${domain.replace(/\.$/, '')}`)
}

export function localPart(address: string): string {
  return address.slice(0, address.lastIndexOf('@'))
}

export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1)
}

/** The addresses of a header such as To: or of a list in the configuration, without names and comments. */
export function addressesIn(header: string): string[] {
  const found: string[] = []
  for (const entry of splitList(withoutComments(header))) {
    const inBrackets = /<([^<>]*)>\s*$/.exec(entry)
    // "group: a, b;" of RFC 5322 §3.4: the name goes, the members stay.
    const plain = (inBrackets?.[1] ?? entry.replace(/^[^"@]*:/, '')).trim()
    if (plain !== '') found.push(plain)
  }
  return found
}

function splitList(text: string): string[] {
  return text.match(/(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,;"<]|["<])+/g) ?? []
}

function withoutComments(text: string): string {
  let result = ''
  let depth = 0
  let quoted = false
  for (let i = 0; i < text.length; i++) {
    const char = text[i]!
    if (char === '\\') {
      if (depth === 0) result += char + (text[i + 1] ?? '')
      i++
    } else if (char === '"' && depth === 0) {
      quoted = !quoted
      result += char
    } else if (char === '(' && !quoted) depth++
    else if (char === ')' && !quoted && depth > 0) depth--
    else if (depth === 0) result += char
  }
  return result
}

function byteLength(text: string): number {
  return Buffer.byteLength(text)
}
