/**
 * LZ4 (lz4_Block_format.md, lz4_Frame_format.md): frames of independent blocks out, any frame in. The encoder
 * is the plain one, a table of the last place of each four bytes; the relay's lines repeat enough for it.
 *
 * Limits: a block of at most 4 MiB; what breaks the format, or reaches before its beginning, throws `RangeError`.
 */

import { ByteReader, ByteWriter, copyOf } from '../../lib/bytes.ts'

const MAGIC = 0x184d2204
const SKIPPABLE = 0x184d2a50
const VERSION_INDEPENDENT = 0x60
const BLOCK_64K = 0x40
const BLOCK_BYTES = 64 * 1024
const HISTORY_BYTES = 64 * 1024
const UNCOMPRESSED = 0x80000000

/** Appends one frame that holds `bytes`. */
export function encodeLz4Frame(dst: ByteWriter, bytes: Uint8Array): void {
  dst.u32(MAGIC)
  const descriptor = Uint8Array.of(VERSION_INDEPENDENT, BLOCK_64K)
  dst.raw(descriptor)
  dst.u8(headerChecksum(descriptor))
  for (let at = 0; at < bytes.length; at += BLOCK_BYTES) {
    encodeBlock(dst, bytes.subarray(at, at + BLOCK_BYTES))
  }
  dst.u32(0)
}

function headerChecksum(descriptor: Uint8Array): number {
  return (Bun.hash.xxHash32(descriptor) >>> 8) & 0xff
}

function encodeBlock(dst: ByteWriter, block: Uint8Array): void {
  const sizeAt = dst.skip(4)
  const start = dst.length
  compressBlock(dst, block)
  const size = dst.length - start
  if (size < block.length) return dst.patchU32(sizeAt, size)
  dst.length = start
  dst.raw(block)
  dst.patchU32(sizeAt, (block.length | UNCOMPRESSED) >>> 0)
}

const TABLE_BITS = 12
const MATCH_MIN = 4
/** The last five bytes are literals, and no match begins in the last twelve. */
const LITERALS_AT_END = 5
const MATCH_LIMIT = 12
const OFFSET_MAX = 65_535

const table = new Int32Array(1 << TABLE_BITS)

function compressBlock(dst: ByteWriter, src: Uint8Array): void {
  table.fill(-1)
  const view = new DataView(src.buffer, src.byteOffset, src.byteLength)
  const matchEnd = src.length - LITERALS_AT_END
  let anchor = 0
  let at = 0
  while (at < src.length - MATCH_LIMIT) {
    const word = view.getUint32(at, true)
    const slot = Math.imul(word, 2654435761) >>> (32 - TABLE_BITS)
    const candidate = table[slot]!
    table[slot] = at
    if (candidate < 0 || at - candidate > OFFSET_MAX || view.getUint32(candidate, true) !== word) {
      at++
      continue
    }
    let end = at + MATCH_MIN
    while (end < matchEnd && src[end] === src[candidate + end - at]) end++
    appendSequence(dst, src.subarray(anchor, at), { offset: at - candidate, length: end - at })
    at = end
    anchor = end
  }
  appendSequence(dst, src.subarray(anchor), undefined)
}

function appendSequence(
  dst: ByteWriter,
  literals: Uint8Array,
  match: { offset: number; length: number } | undefined,
): void {
  const literalCode = Math.min(literals.length, 15)
  const matchCode = match ? Math.min(match.length - MATCH_MIN, 15) : 0
  dst.u8((literalCode << 4) | matchCode)
  if (literalCode === 15) appendLength(dst, literals.length - 15)
  dst.raw(literals)
  if (!match) return
  dst.u16(match.offset)
  if (matchCode === 15) appendLength(dst, match.length - MATCH_MIN - 15)
}

function appendLength(dst: ByteWriter, length: number): void {
  let rest = length
  for (; rest >= 255; rest -= 255) dst.u8(255)
  dst.u8(rest)
}

/** A stream of frames. */
export class Lz4Decoder {
  private pending: Uint8Array
  private readonly out: ByteWriter
  /** Of the frame that is being read; undefined between frames. */
  private frame: { blockChecksums: boolean; contentChecksum: boolean } | undefined

  constructor() {
    this.pending = new Uint8Array(0)
    this.out = new ByteWriter(BLOCK_BYTES * 2)
    this.frame = undefined
  }

  /** Calls `onPlain` with what can be decoded by now; a view, valid until it returns. */
  feed(bytes: Uint8Array, onPlain: (plain: Uint8Array) => void): void {
    const all = this.pending.length === 0 ? bytes : Buffer.concat([this.pending, bytes])
    const reader = new ByteReader(all)
    let done = 0
    while (this.frame ? this.readBlock(reader, onPlain) : this.readHeader(reader)) {
      done = reader.offset
    }
    this.pending = copyOf(all.subarray(done))
  }

  private readHeader(reader: ByteReader): boolean {
    if (reader.remaining < 7) return false
    const magic = reader.u32()
    if ((magic & 0xfffffff0) >>> 0 === SKIPPABLE) {
      const length = reader.u32()
      if (length > BLOCK_BYTES * 64) throw new RangeError('skippable frame too long')
      if (reader.remaining < length) return false
      reader.raw(length)
      return true
    }
    if (magic !== MAGIC) throw new RangeError('not an LZ4 frame')
    const flags = reader.u8()
    reader.u8()
    if (flags >> 6 !== 1) throw new RangeError('unknown LZ4 version')
    if ((flags & 1) !== 0) throw new RangeError('LZ4 dictionaries are not known here')
    const more = ((flags & 8) === 0 ? 0 : 8) + 1
    if (reader.remaining < more) return false
    reader.raw(more)
    this.frame = { blockChecksums: (flags & 0x10) !== 0, contentChecksum: (flags & 4) !== 0 }
    this.out.reset()
    return true
  }

  private readBlock(reader: ByteReader, onPlain: (plain: Uint8Array) => void): boolean {
    const { blockChecksums, contentChecksum } = this.frame!
    if (reader.remaining < 4) return false
    const size = reader.u32()
    if (size === 0) {
      if (reader.remaining < (contentChecksum ? 4 : 0)) return false
      if (contentChecksum) reader.u32()
      this.frame = undefined
      return true
    }
    const length = size & 0x7fffffff
    if (length > 4 * 1024 * 1024) throw new RangeError(`LZ4 block of ${length} bytes`)
    if (reader.remaining < length + (blockChecksums ? 4 : 0)) return false
    const block = reader.raw(length)
    if (blockChecksums) reader.u32()
    this.trimHistory()
    const start = this.out.length
    if (size >>> 31 === 1) this.out.raw(block)
    else decompressBlock(this.out, block)
    onPlain(this.out.bytes.subarray(start, this.out.length))
    return true
  }

  /** Later blocks of a frame may refer to the last 64 KiB before them. */
  private trimHistory(): void {
    const { out } = this
    if (out.length < HISTORY_BYTES * 4) return
    out.bytes.copyWithin(0, out.length - HISTORY_BYTES, out.length)
    out.length = HISTORY_BYTES
  }
}

function decompressBlock(dst: ByteWriter, block: Uint8Array): void {
  const reader = new ByteReader(block)
  const limit = dst.length + 4 * 1024 * 1024
  while (reader.remaining > 0) {
    const token = reader.u8()
    dst.raw(reader.raw(readLength(reader, token >> 4)))
    if (reader.remaining === 0) return
    const offset = reader.u16()
    const length = readLength(reader, token & 15) + MATCH_MIN
    if (offset === 0 || offset > dst.length || dst.length + length > limit) {
      throw new RangeError('LZ4 match out of bounds')
    }
    const at = dst.skip(length)
    const { bytes } = dst
    for (let i = 0; i < length; i++) bytes[at + i] = bytes[at - offset + i]!
  }
}

function readLength(reader: ByteReader, code: number): number {
  if (code < 15) return code
  let length = 15
  for (;;) {
    const more = reader.u8()
    length += more
    if (more < 255) return length
  }
}
