/**
 * Snappy's raw blocks (format_description.txt), one after the other with no framing, as carbon-c-relay sends
 * them. The length that a block begins with says when it is whole, so a stream of them can be read after all.
 *
 * Limits: a block of at most 1 MiB; what breaks the format throws `RangeError`.
 */

import { ByteReader, ByteWriter, copyOf } from '../../lib/bytes.ts'

const BLOCK_BYTES_MAX = 1024 * 1024
const TABLE_BITS = 12
const MATCH_MIN = 4
const COPY_MAX = 64

const table = new Int32Array(1 << TABLE_BITS)

/** Appends one block of at most 65,536 bytes. */
export function encodeSnappyBlock(dst: ByteWriter, src: Uint8Array): void {
  dst.varint(src.length)
  table.fill(-1)
  const view = new DataView(src.buffer, src.byteOffset, src.byteLength)
  let anchor = 0
  let at = 0
  while (at + MATCH_MIN <= src.length) {
    const word = view.getUint32(at, true)
    const slot = Math.imul(word, 0x1e35a7bd) >>> (32 - TABLE_BITS)
    const candidate = table[slot]!
    table[slot] = at
    if (candidate < 0 || view.getUint32(candidate, true) !== word) {
      at++
      continue
    }
    let end = at + MATCH_MIN
    while (end < src.length && src[end] === src[candidate + end - at]) end++
    appendLiteral(dst, src.subarray(anchor, at))
    appendCopies(dst, at - candidate, end - at)
    at = end
    anchor = end
  }
  appendLiteral(dst, src.subarray(anchor))
}

function appendLiteral(dst: ByteWriter, bytes: Uint8Array): void {
  const { length } = bytes
  if (length === 0) return
  if (length <= 60) dst.u8((length - 1) << 2)
  else if (length <= 256) {
    dst.u8(60 << 2)
    dst.u8(length - 1)
  } else {
    dst.u8(61 << 2)
    dst.u16(length - 1)
  }
  dst.raw(bytes)
}

/** Copies with a two-byte offset. */
function appendCopies(dst: ByteWriter, offset: number, length: number): void {
  for (let rest = length; rest > 0; rest -= COPY_MAX) {
    dst.u8(((Math.min(rest, COPY_MAX) - 1) << 2) | 2)
    dst.u16(offset)
  }
}

/** A stream of blocks. */
export class SnappyDecoder {
  private pending: Uint8Array
  private readonly out: ByteWriter

  constructor() {
    this.pending = new Uint8Array(0)
    this.out = new ByteWriter(64 * 1024)
  }

  /** Calls `onPlain` for each whole block; a view, valid until it returns. */
  feed(bytes: Uint8Array, onPlain: (plain: Uint8Array) => void): void {
    const all = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes])
    const reader = new ByteReader(all)
    let done = 0
    while (reader.remaining > 0 && this.readBlock(reader)) {
      done = reader.offset
      onPlain(this.out.written())
    }
    if (all.length - done > 2 * BLOCK_BYTES_MAX) throw new RangeError('snappy block without an end')
    this.pending = copyOf(all.subarray(done))
  }

  /** False when the block is not whole yet. */
  private readBlock(reader: ByteReader): boolean {
    const { out } = this
    out.reset()
    const length = readVarint(reader)
    if (length === undefined) return false
    if (length > BLOCK_BYTES_MAX) throw new RangeError(`snappy block of ${length} bytes`)
    while (out.length < length) {
      if (reader.remaining < 1) return false
      const tag = reader.u8()
      if (!((tag & 3) === 0 ? readLiteral(out, reader, tag) : readCopy(out, reader, tag)))
        return false
    }
    if (out.length > length) throw new RangeError('snappy block longer than it says')
    return true
  }
}

function readVarint(reader: ByteReader): number | undefined {
  let value = 0
  for (let shift = 0; shift < 35; shift += 7) {
    if (reader.remaining < 1) return undefined
    const byte = reader.u8()
    value += (byte & 0x7f) * 2 ** shift
    if (byte < 0x80) return value
  }
  throw new RangeError('snappy length too long')
}

function readLiteral(out: ByteWriter, reader: ByteReader, tag: number): boolean {
  let length = (tag >> 2) + 1
  if (length > 60) {
    const extra = length - 60
    if (reader.remaining < extra) return false
    length = 1
    for (let i = 0; i < extra; i++) length += reader.u8() * 256 ** i
  }
  if (length > BLOCK_BYTES_MAX) throw new RangeError('snappy literal too long')
  if (reader.remaining < length) return false
  out.raw(reader.raw(length))
  return true
}

function readCopy(out: ByteWriter, reader: ByteReader, tag: number): boolean {
  const kind = tag & 3
  const extra = kind === 1 ? 1 : kind === 2 ? 2 : 4
  if (reader.remaining < extra) return false
  let length = (tag >> 2) + 1
  let offset: number
  if (kind === 1) {
    length = ((tag >> 2) & 7) + 4
    offset = (tag >> 5) * 256 + reader.u8()
  } else offset = kind === 2 ? reader.u16() : reader.u32()
  if (offset === 0 || offset > out.length) throw new RangeError('snappy copy out of bounds')
  const at = out.skip(length)
  const { bytes } = out
  for (let i = 0; i < length; i++) bytes[at + i] = bytes[at - offset + i]!
  return true
}
