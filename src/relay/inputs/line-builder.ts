/** Lines made of what came in another protocol: fields that cannot break out of their place. */

import type { ByteWriter } from '../../lib/bytes.ts'

const BLANK = 0x20
const UNDERSCORE = 0x5f

/** Appends the text, a byte a character (what is beyond latin1 becomes `_`), blanks and control bytes as `_`. */
export function appendField(dst: ByteWriter, text: string): void {
  const at = dst.skip(text.length)
  const { bytes } = dst
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    bytes[at + i] = code <= BLANK || code > 0xff ? UNDERSCORE : code
  }
}

/** As `appendField`, of `source[start, end)`. */
export function appendFieldBytes(
  dst: ByteWriter,
  source: Uint8Array,
  start: number,
  end: number,
): void {
  const at = dst.skip(end - start) - start
  const { bytes } = dst
  for (let i = start; i < end; i++) {
    const byte = source[i]!
    bytes[at + i] = byte <= BLANK ? UNDERSCORE : byte
  }
}
