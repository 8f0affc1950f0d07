/**
 * Little-endian cursors over byte arrays, and the checksum that every file and frame carries.
 *
 * `ByteWriter` grows its buffer and hands out views of it; `ByteReader` reads and throws
 * `RangeError` past the end, which readers of files turn into a `CorruptionError`.
 * 64-bit numbers are two 32-bit halves: safe integers only (BigInt is ten times slower).
 */

import { crc32 as zlibCrc32 } from 'node:zlib'
import { assert } from './assert.ts'
import { NUMBER_BYTES_MAX, writeNumber } from './number-text.ts'

const TWO_32 = 4294967296

const utf8Encoder = new TextEncoder()
const utf8Decoder = new TextDecoder()

export const NEWLINE = 0x0a

/** CRC-32 (IEEE 802.3) of `bytes`; pass the previous result as `seed` to continue one. */
export function crc32(bytes: Uint8Array, seed = 0): number {
  return zlibCrc32(bytes, seed)
}

export function toUtf8(text: string): Uint8Array {
  return utf8Encoder.encode(text)
}

export function fromUtf8(bytes: Uint8Array): string {
  return utf8Decoder.decode(bytes)
}

/**
 * A copy with memory of its own. `slice()` of a Buffer is none, and sockets, files and zlib hand out Buffers: what
 * is kept for long would keep all that came with it.
 */
export function copyOf(bytes: Uint8Array): Uint8Array {
  return new Uint8Array(bytes)
}

/** Less is not worth the call. */
const LET_GO_BYTES_MIN = 4096

/**
 * Lets the memory of bytes that came from a socket go, which nobody looks at any more. Each read has memory of its
 * own; left to the garbage collector, megabytes of it pile up, and every page of the next read has to be mapped anew.
 */
export function letGo(bytes: Uint8Array): void {
  const { buffer, length } = bytes
  if (length >= LET_GO_BYTES_MIN && length === buffer.byteLength)
    (buffer as ArrayBuffer).transfer(0)
}

/** The u32 at `at`, for where a reader a number would be too much. */
export function u32At(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
  )
}

/** Same bytes, same length. */
export function bytesEqual(a: Uint8Array, b: Uint8Array): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

export class ByteWriter {
  bytes: Uint8Array
  length: number
  private view: DataView

  constructor(capacity = 256) {
    this.bytes = new Uint8Array(capacity)
    this.length = 0
    this.view = new DataView(this.bytes.buffer)
  }

  reset(): void {
    this.length = 0
  }

  /** As `reset`; a buffer of more than `bytesMax` is given up, for writers that were large once. */
  resetTo(bytesMax: number): void {
    this.length = 0
    if (this.bytes.length <= bytesMax) return
    this.bytes = new Uint8Array(bytesMax)
    this.view = new DataView(this.bytes.buffer)
  }

  /** Takes the first `count` bytes away; what follows them moves to the front. */
  drop(count: number): void {
    this.bytes.copyWithin(0, count, this.length)
    this.length -= count
  }

  /** Makes room for `count` more bytes; returns where they start. The length is moved past them. */
  skip(count: number): number {
    const at = this.length
    const needed = at + count
    if (needed > this.bytes.length) this.grow(needed)
    this.length = needed
    return at
  }

  u8(value: number): void {
    const at = this.skip(1)
    this.bytes[at] = value
  }

  u16(value: number): void {
    const at = this.skip(2)
    this.view.setUint16(at, value, true)
  }

  u32(value: number): void {
    const at = this.skip(4)
    this.view.setUint32(at, value, true)
  }

  /** A safe, non-negative integer as 8 bytes. */
  u64(value: number): void {
    const at = this.skip(8)
    this.view.setUint32(at, value % TWO_32, true)
    this.view.setUint32(at + 4, Math.floor(value / TWO_32), true)
  }

  f32(value: number): void {
    const at = this.skip(4)
    this.view.setFloat32(at, value, true)
  }

  f64(value: number): void {
    const at = this.skip(8)
    this.view.setFloat64(at, value, true)
  }

  /** LEB128 of a safe, non-negative integer. */
  varint(value: number): void {
    let rest = value
    while (rest >= 0x80) {
      this.u8((rest % 0x80) | 0x80)
      rest = Math.floor(rest / 0x80)
    }
    this.u8(rest)
  }

  raw(bytes: Uint8Array): void {
    const at = this.skip(bytes.length)
    this.bytes.set(bytes, at)
  }

  /** u16 length, then UTF-8. */
  text16(text: string): void {
    const bytes = toUtf8(text)
    assert(bytes.length <= 0xffff, 'text16() takes at most 65,535 bytes')
    this.u16(bytes.length)
    this.raw(bytes)
  }

  /** A number as `String(value)` shows it. */
  decimal(value: number): void {
    const at = this.skip(NUMBER_BYTES_MAX)
    this.length = writeNumber(this.view, at, value)
  }

  patchU32(at: number, value: number): void {
    this.view.setUint32(at, value, true)
  }

  /** What was written: a view, valid until the next write or reset. */
  written(): Uint8Array {
    return this.bytes.subarray(0, this.length)
  }

  /** What was written, as a copy of its own. */
  copy(): Uint8Array {
    return this.bytes.slice(0, this.length)
  }

  private grow(needed: number): void {
    let capacity = this.bytes.length * 2
    if (capacity < needed) capacity = needed
    const bytes = new Uint8Array(capacity)
    bytes.set(this.bytes)
    this.bytes = bytes
    this.view = new DataView(bytes.buffer)
  }
}

export class ByteReader {
  readonly bytes: Uint8Array
  offset: number
  private readonly view: DataView

  constructor(bytes: Uint8Array, offset = 0) {
    this.bytes = bytes
    this.offset = offset
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  }

  get remaining(): number {
    return this.bytes.length - this.offset
  }

  u8(): number {
    const value = this.view.getUint8(this.offset)
    this.offset += 1
    return value
  }

  u16(): number {
    const value = this.view.getUint16(this.offset, true)
    this.offset += 2
    return value
  }

  u32(): number {
    const value = this.view.getUint32(this.offset, true)
    this.offset += 4
    return value
  }

  u64(): number {
    const low = this.view.getUint32(this.offset, true)
    const high = this.view.getUint32(this.offset + 4, true)
    this.offset += 8
    return high * TWO_32 + low
  }

  f32(): number {
    const value = this.view.getFloat32(this.offset, true)
    this.offset += 4
    return value
  }

  f64(): number {
    const value = this.view.getFloat64(this.offset, true)
    this.offset += 8
    return value
  }

  varint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 8; i++) {
      const byte = this.u8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) return value
      scale *= 0x80
    }
    throw new RangeError('varint longer than 8 bytes')
  }

  /** A view of the next `count` bytes, valid as long as the buffer is. */
  raw(count: number): Uint8Array {
    const end = this.offset + count
    if (end > this.bytes.length)
      throw new RangeError(`${count} bytes wanted, ${this.remaining} left`)
    const part = this.bytes.subarray(this.offset, end)
    this.offset = end
    return part
  }

  text16(): string {
    return fromUtf8(this.raw(this.u16()))
  }
}
