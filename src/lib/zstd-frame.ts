/**
 * One zstd frame that says how many bytes it holds, as those do that were compressed in one go (RFC 8878 §3.1.1.1):
 * `Bun.zstdDecompressSync` allocates what a frame says, so that is looked at before. Throws `RangeError` for a frame
 * that says more than is wanted, or nothing.
 *
 * ```
 * magic u32, u8 descriptor: size of the content's size (bits 6, 7), single segment (bit 5), 2 bits, size of the
 * dictionary's id (bits 0, 1); u8 window, not for a single segment; id, content's size
 * ```
 */

import { ByteReader } from './bytes.ts'

const MAGIC = 0xfd2fb528
const ID_BYTES = [0, 1, 2, 4] as const

/** The content of at most `bytesMax` bytes. */
export function unpackZstd(frame: Uint8Array, bytesMax: number): Uint8Array {
  const bytes = contentBytes(frame)
  if (bytes > bytesMax) throw new RangeError(`zstd frame of ${bytes} bytes`)
  return Bun.zstdDecompressSync(frame)
}

function contentBytes(frame: Uint8Array): number {
  const reader = new ByteReader(frame)
  if (reader.u32() !== MAGIC) throw new RangeError('no zstd frame')
  const descriptor = reader.u8()
  const isSingleSegment = (descriptor & 0x20) !== 0
  if (!isSingleSegment) reader.u8()
  reader.raw(ID_BYTES[descriptor & 3]!)
  switch (descriptor >> 6) {
    case 0:
      if (!isSingleSegment) throw new RangeError('zstd frame of unknown length')
      return reader.u8()
    case 1:
      return reader.u16() + 256
    case 2:
      return reader.u32()
    default:
      return reader.u64()
  }
}
