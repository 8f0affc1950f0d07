/**
 * A sealed window: every series' slots of it, once, in extents of few series and many slots. Written once,
 * never changed.
 *
 * ```
 * magic u32 "EBLK", u16 version, u16 0
 * extent (extent-format.ts) …                         lowest ids rise, no id is in two extents
 *                                                     version 1: 16 series each, codecs up to DICTIONARY
 * index: u32 extents, columns u32[]: offsets, bytes, first slots, slots, lowest ids, highest ids
 *        (extents lie without gaps: of offsets beyond 4 GiB the low 32 bits are enough)
 * u32 bytes of the index, u32 crc32 of the index, u32 step, magic u32 "EEND"
 * ```
 */

import { ByteReader, ByteWriter, crc32 } from '../../lib/bytes.ts'
import { CorruptionError, NewerVersionError } from '../../lib/corruption.ts'
import { ExtentIndex } from './extent-format.ts'

export const BLOCK_MAGIC = 0x4b4c4245
export const BLOCK_END_MAGIC = 0x444e4545
export const BLOCK_VERSION = 2
export const BLOCK_HEADER_BYTES = 8
export const BLOCK_TRAILER_BYTES = 16
const INDEX_HEADER_BYTES = 4
const INDEX_ENTRY_BYTES = 24
const TWO_32 = 4_294_967_296

export function blockHeader(): Uint8Array {
  const header = new ByteWriter(BLOCK_HEADER_BYTES)
  header.u32(BLOCK_MAGIC)
  header.u16(BLOCK_VERSION)
  header.u16(0)
  return header.copy()
}

export function checkBlockHeader(bytes: Uint8Array, file: string): void {
  if (bytes.length < BLOCK_HEADER_BYTES) throw new CorruptionError(file, 0, 'no header')
  const reader = new ByteReader(bytes)
  if (reader.u32() !== BLOCK_MAGIC) throw new CorruptionError(file, 0, 'wrong magic number')
  const version = reader.u16()
  if (version > BLOCK_VERSION) throw new NewerVersionError(file, version, BLOCK_VERSION)
}

/** Index and trailer. */
export function encodeBlockEnd(index: ExtentIndex, step: number): Uint8Array {
  const { length } = index
  const indexBytes = INDEX_HEADER_BYTES + length * INDEX_ENTRY_BYTES
  const dst = new ByteWriter(indexBytes + BLOCK_TRAILER_BYTES)
  dst.u32(length)
  for (const column of columnsOf(index)) {
    for (let i = 0; i < length; i++) dst.u32(column[i]!)
  }
  const checksum = crc32(dst.written())
  dst.u32(indexBytes)
  dst.u32(checksum)
  dst.u32(step)
  dst.u32(BLOCK_END_MAGIC)
  return dst.copy()
}

/** The index's length and checksum. */
export function decodeBlockTrailer(
  bytes: Uint8Array,
  file: string,
  fileBytes: number,
): { indexBytes: number; checksum: number } {
  const at = fileBytes - BLOCK_TRAILER_BYTES
  if (bytes.length < BLOCK_TRAILER_BYTES) throw new CorruptionError(file, at, 'no trailer')
  const reader = new ByteReader(bytes)
  const indexBytes = reader.u32()
  const checksum = reader.u32()
  reader.u32()
  if (reader.u32() !== BLOCK_END_MAGIC)
    throw new CorruptionError(file, at, 'wrong magic number at the end')
  if (indexBytes < INDEX_HEADER_BYTES || indexBytes > at - BLOCK_HEADER_BYTES)
    throw new CorruptionError(file, at, `index of ${indexBytes} bytes`)
  return { indexBytes, checksum }
}

/** `offset`: where it starts, behind the last extent. */
export function decodeBlockIndex(
  bytes: Uint8Array,
  checksum: number,
  file: string,
  offset: number,
): ExtentIndex {
  if (crc32(bytes) !== checksum)
    throw new CorruptionError(file, offset, 'wrong checksum of the index')
  const reader = new ByteReader(bytes)
  const length = reader.u32()
  if (bytes.length !== INDEX_HEADER_BYTES + length * INDEX_ENTRY_BYTES)
    throw new CorruptionError(file, offset, 'index of a wrong length')
  const index = new ExtentIndex(length)
  index.length = length
  for (const column of columnsOf(index)) {
    for (let i = 0; i < length; i++) column[i] = reader.u32()
  }
  if (!completeOffsets(index, offset))
    throw new CorruptionError(file, offset, 'index of extents that do not lie one behind the other')
  return index
}

/** Makes low halves of offsets whole; false when extents do not fill the file up to `end` without gaps. */
function completeOffsets({ offsets, bytes, length }: ExtentIndex, end: number): boolean {
  let at = BLOCK_HEADER_BYTES
  for (let i = 0; i < length; i++) {
    if (offsets[i] !== at % TWO_32) return false
    offsets[i] = at
    at += bytes[i]!
  }
  return at === end
}

function columnsOf(index: ExtentIndex): (Uint32Array | Float64Array)[] {
  return [index.offsets, index.bytes, index.firstSlots, index.slots, index.firstIds, index.lastIds]
}
