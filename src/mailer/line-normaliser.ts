/**
 * Turns what a client sends into lines that all end with CRLF, so that no other server can see a line,
 * or the end of the message, where this one did not (SMTP smuggling; RFC 5321 §2.3.8, Postfix's
 * smtpd_forbid_bare_newline=normalize and cleanup_replace_stray_cr_lf).
 *
 * A bare LF becomes CRLF and a bare CR a blank. With `dots`, bytes are those after DATA: only
 * CRLF "." CRLF ends the message, and a dot that opens a line after a true CRLF is removed.
 */

import type { ByteWriter } from '../lib/bytes.ts'

const CR = 0x0d
const LF = 0x0a
const DOT = 0x2e
const BLANK = 0x20

/** Where in a line the next byte stands. */
const At = { lineStart: 0, dot: 1, dotCr: 2, middle: 3, cr: 4 } as const

export class LineNormaliser {
  private at: number
  private readonly dots: boolean

  constructor(options: { dots: boolean }) {
    this.dots = options.dots
    this.at = options.dots ? At.lineStart : At.middle
  }

  /** Appends the lines of `bytes` to `out`. Returns how many bytes were taken: fewer when the end was among them. */
  feed(bytes: Uint8Array, out: ByteWriter): { taken: number; ended: boolean } {
    let at: number = this.at
    let spanStart = 0
    for (let i = 0; i < bytes.length; i++) {
      const byte = bytes[i]!
      if (at === At.middle) {
        if (byte !== CR && byte !== LF) continue
        out.raw(bytes.subarray(spanStart, i))
        spanStart = i + 1
        if (byte === CR) at = At.cr
        else putLineEnd(out)
        continue
      }
      if (at === At.cr) {
        if (byte === LF) {
          putLineEnd(out)
          at = this.dots ? At.lineStart : At.middle
          spanStart = i + 1
          continue
        }
        out.u8(BLANK)
      } else if (at === At.dotCr) {
        if (byte === LF) {
          this.at = At.lineStart
          return { taken: i + 1, ended: true }
        }
        out.u8(BLANK)
      } else if (at === At.lineStart && byte === DOT) {
        at = At.dot
        spanStart = i + 1
        continue
      } else if (at === At.dot && byte === CR) {
        at = At.dotCr
        spanStart = i + 1
        continue
      }
      // The byte is one of a line's middle: look at it again as such.
      at = At.middle
      spanStart = i
      i--
    }
    if (at === At.middle && spanStart < bytes.length) out.raw(bytes.subarray(spanStart))
    this.at = at
    return { taken: bytes.length, ended: false }
  }

  /** For a stream without an end mark: a last line without an end gets one. */
  finish(out: ByteWriter): void {
    const last = out.length === 0 ? LF : out.bytes[out.length - 1]
    if (this.at === At.cr || last !== LF) putLineEnd(out)
    this.at = At.middle
  }
}

function putLineEnd(out: ByteWriter): void {
  out.u8(CR)
  out.u8(LF)
}
