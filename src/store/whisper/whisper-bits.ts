/**
 * Bits as go-whisper packs them (compress.go bitsReader): most significant first within a byte, and fields of
 * more than 8 bits as bytes with the low one first, a last part of less than 8 bits being the highest.
 */

export interface Xor {
  readonly high: number
  readonly low: number
}

const NO_CHANGE: Xor = { high: 0, low: 0 }

export class BitReader {
  private readonly bytes: Uint8Array
  private at: number
  private bitsLeft: number
  isPastEnd: boolean

  constructor(bytes: Uint8Array, start: number) {
    this.bytes = bytes
    this.at = start
    this.bitsLeft = 8
    this.isPastEnd = false
  }

  bit(): number {
    return this.upTo8(1)
  }

  /** A field of at most 32 bits. */
  number(width: number): number {
    return this.field(width).low
  }

  /** How the next value differs from the last, which differed from the one before by `high`, `low`. */
  nextXor(high: number, low: number): Xor {
    if (this.bit() === 0) return NO_CHANGE
    if (this.bit() === 0) {
      const leading = high !== 0 ? Math.clz32(high) : 32 + Math.clz32(low)
      const trailing = low !== 0 ? trailingZeros(low) : 32 + trailingZeros(high)
      return shiftLeft(this.field(Math.max(0, 64 - leading - trailing)), trailing)
    }
    const leading = this.number(5)
    const length = this.number(6)
    if (length === 63) return this.field(64)
    return shiftLeft(this.field(length), 64 - leading - length)
  }

  private field(width: number): Xor {
    let high = 0
    let low = 0
    for (let shift = 0; shift < width; shift += 8) {
      const part = this.upTo8(Math.min(8, width - shift))
      if (shift < 32) low = (low | (part << shift)) >>> 0
      else high = (high | (part << (shift - 32))) >>> 0
    }
    return { high, low }
  }

  private upTo8(width: number): number {
    let value = 0
    let wanted = width
    while (wanted > 0) {
      if (this.at >= this.bytes.length) {
        this.isPastEnd = true
        return 0
      }
      const taken = Math.min(wanted, this.bitsLeft)
      const rest = this.bitsLeft - taken
      value = (value << taken) | ((this.bytes[this.at]! >>> rest) & ((1 << taken) - 1))
      wanted -= taken
      this.bitsLeft = rest
      if (rest === 0) {
        this.at++
        this.bitsLeft = 8
      }
    }
    return value
  }
}

function trailingZeros(word: number): number {
  return word === 0 ? 32 : 31 - Math.clz32(word & -word)
}

function shiftLeft({ high, low }: Xor, by: number): Xor {
  if (by === 0) return { high, low }
  if (by >= 64) return NO_CHANGE
  if (by >= 32) return { high: (low << (by - 32)) >>> 0, low: 0 }
  return { high: ((high << by) | (low >>> (32 - by))) >>> 0, low: (low << by) >>> 0 }
}
