/** Numbers as bytes inside columns (column-codec.ts): floats, varints, zigzags. What writes answers the end. */

import { EXPONENT_MAX, POWERS } from './column-codec.ts'

const floats = new Float64Array(1)
const words = new Int32Array(floats.buffer)

export function writeFloat(value: number, dst: Uint8Array, at: number): number {
  floats[0] = value
  writeWord(words[0]!, dst, at)
  writeWord(words[1]!, dst, at + 4)
  return at + 8
}

function writeWord(word: number, dst: Uint8Array, at: number): void {
  dst[at] = word
  dst[at + 1] = word >> 8
  dst[at + 2] = word >> 16
  dst[at + 3] = word >> 24
}

export function writeVarint(value: number, dst: Uint8Array, at: number): number {
  let end = at
  let rest = value
  while (rest >= 0x80) {
    dst[end++] = (rest % 0x80) | 0x80
    rest = Math.floor(rest / 0x80)
  }
  dst[end++] = rest
  return end
}

/** Zigzag of a whole number below 2^53. */
export function writeZigzag(value: number, dst: Uint8Array, at: number): number {
  if (value < 64 && value >= -64) {
    const small = value | 0
    dst[at] = (small << 1) ^ (small >> 31)
    return at + 1
  }
  if (value < 1_073_741_824 && value >= -1_073_741_824) {
    const small = value | 0
    let rest = (small << 1) ^ (small >> 31)
    let end = at
    while (rest > 0x7f) {
      dst[end++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    dst[end++] = rest
    return end
  }
  return writeLongZigzag(value, dst, at)
}

/** Sign in the lowest bit of the first byte, six bits beside it, then seven a byte: no doubling, so nothing is lost. */
function writeLongZigzag(value: number, dst: Uint8Array, at: number): number {
  const negative = value < 0 ? 1 : 0
  // Zigzag's −1 − x keeps small and large numbers on one scale.
  let rest = negative ? -1 - value : value
  dst[at] = 0x80 | ((rest % 64) << 1) | negative
  rest = Math.floor(rest / 64)
  return writeVarint(rest, dst, at + 1)
}

/** Reads them one after the other; throws `RangeError` past the end. */
export class ColumnBytes {
  bytes: Uint8Array = new Uint8Array(0)
  at = 0

  byte(): number {
    const byte = this.bytes[this.at++]
    if (byte === undefined) throw new RangeError('column is cut short')
    return byte
  }

  float(): number {
    for (let i = 0; i < 2; i++) {
      words[i] = this.byte() | (this.byte() << 8) | (this.byte() << 16) | (this.byte() << 24)
    }
    return floats[0]!
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.byte()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
    throw new RangeError('varint longer than 8 bytes')
  }

  zigzag(): number {
    const first = this.byte()
    let magnitude = (first & 0x7f) >> 1
    if (first >= 0x80) magnitude += this.varint() * 64
    return first & 1 ? -1 - magnitude : magnitude
  }
}

/** The u8 e of a decimal codec, as 10^e. */
export function readPower(source: ColumnBytes): number {
  const exponent = source.byte()
  if (exponent > EXPONENT_MAX) throw new RangeError(`exponent ${exponent}`)
  return POWERS[exponent]!
}
