/**
 * Cleans what comes in over the line protocol, as carbon-c-relay does (dispatcher.c
 * dispatch_received_metrics), so that a name can be a path of files:
 *
 * ```
 *   .lead..trail.  1 2  →  lead.trail 1 2        cpu%user 1 2  →  cpu_user 1 2      ä  →  __ (a byte each)
 *   a..b;host=x%y 1 2   →  a.b;host=x%y 1 2      tags are copied as they are
 * ```
 *
 * Allowed in names are letters, digits and a set of more (`-c`, default `-_:#`). A `;` in that set makes
 * tags a part of the name. Value and timestamp are not looked at. Departure: dots in the data stay as they
 * are (there `.5` became `5`).
 */

const BLANK = 0x20
const TAB = 0x09
const DOT = 0x2e
const SEMICOLON = 0x3b
const UNDERSCORE = 0x5f

export const ALLOWED_DEFAULT = '-_:#'
export const UNCLEAN = -1

/** They part lines, words and nodes, whatever is allowed. */
const SEPARATORS: ReadonlySet<number> = new Set([BLANK, TAB, DOT, 0x0a, 0x0d])

export class Cleaner {
  /** Tags begin at the first `;`. */
  readonly tagsApart: boolean
  /** Byte → what stands for it in a name. */
  private readonly table: Uint8Array
  /** Byte → 1 when it may stand anywhere in a name. */
  private readonly allowed: Uint8Array
  private readonly nameBytesMax: number
  /** Of the name that `nameEnd` was asked for last: where its tags begin, or where it ends. */
  tagsStart: number

  /** `nameBytesMax` (`-m`): a cleaned name of more, without its tags, makes its line none. */
  constructor(allowed = ALLOWED_DEFAULT, nameBytesMax = Infinity) {
    this.nameBytesMax = nameBytesMax
    this.tagsStart = 0
    this.tagsApart = !allowed.includes(';')
    this.table = new Uint8Array(256).fill(UNDERSCORE)
    const letters = 'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789'
    for (const byte of Buffer.from(letters + allowed)) this.table[byte] = byte
    this.allowed = this.table.map((stands, byte) =>
      Number(stands === byte && !SEPARATORS.has(byte)),
    )
  }

  /**
   * Where the name that begins at `start` ends, with its tags, when `cleanLine` would leave it as it is and a blank
   * follows; else UNCLEAN. Its line has a newline.
   */
  nameEnd(bytes: Uint8Array, start: number): number {
    const { allowed } = this
    let at = start
    let node = start
    for (;;) {
      while (allowed[bytes[at]!] !== 0) at++
      if (bytes[at] !== DOT || at === node) break
      node = ++at
    }
    this.tagsStart = at
    if (at === start || at - start > this.nameBytesMax) return UNCLEAN
    if (bytes[at] === BLANK) return at === node ? UNCLEAN : at
    if (bytes[at] !== SEMICOLON || !this.tagsApart) return UNCLEAN
    while (bytes[at]! > BLANK) at++
    return bytes[at] === BLANK ? at : UNCLEAN
  }

  /**
   * Writes the line `src[start, end)` (no line end in it) cleaned to `dst` from `at` on, where there must be
   * room for as many bytes and one more; returns where it ends, or `at` when the line is none: no name, too
   * long a name, or no blank behind it.
   */
  cleanLine(src: Uint8Array, start: number, end: number, dst: Uint8Array, at: number): number {
    let from = start
    while (from < end && isSeparator(src[from]!)) from++
    let to = at
    let previous = DOT
    for (; from < end; from++) {
      const byte = src[from]!
      if (byte === BLANK || byte === TAB) break
      if (byte === SEMICOLON && this.tagsApart) break
      if (byte !== DOT) dst[to++] = this.table[byte]!
      else if (previous !== DOT) dst[to++] = DOT
      previous = byte
    }
    if (to === at || from === end) return at
    if (to - at > this.nameBytesMax) return at
    if (src[from] === SEMICOLON && this.tagsApart) {
      for (; from < end && src[from] !== BLANK && src[from] !== TAB; from++) {
        dst[to++] = src[from] === 0 ? UNDERSCORE : src[from]!
      }
      if (from === end) return at
    } else if (dst[to - 1] === DOT) to--
    return copyData(src, from, end, dst, to)
  }
}

/** One blank, then the data with each run of blanks and tabs as one blank. */
function copyData(
  src: Uint8Array,
  start: number,
  end: number,
  dst: Uint8Array,
  at: number,
): number {
  let to = at
  dst[to++] = BLANK
  for (let from = start; from < end; from++) {
    const byte = src[from]!
    if (byte === BLANK || byte === TAB) {
      if (dst[to - 1] !== BLANK) dst[to++] = BLANK
    } else dst[to++] = byte === 0 ? UNDERSCORE : byte
  }
  return to
}

function isSeparator(byte: number): boolean {
  return byte === BLANK || byte === TAB || byte === DOT
}
