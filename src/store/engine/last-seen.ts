/**
 * When each series was last seen, kept over restarts: a snapshot every ten minutes and at the end. It is advice
 * (what to hide as dead): a file that is damaged or missing is no error, and points in the log come over it.
 *
 * ```
 * magic u32 "ESEE", u16 version, u16 0, u32 crc32 of the rest, zstd: u32 time of the newest point, by id
 * ```
 */

import { ByteReader, ByteWriter, crc32 } from '../../lib/bytes.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import { type Disk, isMissing } from '../../lib/disk.ts'
import { lastSeenPath } from '../files/filenames.ts'
import type { SeriesTable } from './series-table.ts'

const MAGIC = 0x45455345
const VERSION = 1
const HEADER_BYTES = 12

export async function saveLastSeen(disk: Disk, dir: string, table: SeriesTable): Promise<void> {
  const times = table.lastSeen.subarray(0, table.length)
  const packed = Bun.zstdCompressSync(new Uint8Array(times.buffer, 0, times.byteLength))
  const dst = new ByteWriter(HEADER_BYTES + packed.length)
  dst.u32(MAGIC)
  dst.u16(VERSION)
  dst.u16(0)
  dst.u32(crc32(packed))
  dst.raw(packed)
  await disk.replaceFileAsync(lastSeenPath(dir), dst.written())
}

/** Fills the table in where it knows nothing newer. Throws `CorruptionError`. */
export function loadLastSeen(disk: Disk, dir: string, table: SeriesTable): void {
  const times = readLastSeen(disk, dir)
  for (let id = 0; id < Math.min(times.length, table.length); id++) {
    if (table.has(id) && times[id]! > table.lastSeen[id]!) table.lastSeen[id] = times[id]!
  }
}

/** Times by id; none when there is no file. Throws `CorruptionError`. */
export function readLastSeen(disk: Disk, dir: string): Uint32Array {
  const path = lastSeenPath(dir)
  let bytes: Uint8Array
  try {
    bytes = disk.readFile(path)
  } catch (error) {
    if (isMissing(error)) return new Uint32Array(0)
    throw error
  }
  const reader = new ByteReader(bytes)
  const packed = bytes.subarray(HEADER_BYTES)
  if (bytes.length < HEADER_BYTES || reader.u32() !== MAGIC || reader.u16() !== VERSION)
    throw new CorruptionError(path, 0, 'no header of such a file')
  reader.u16()
  if (reader.u32() !== crc32(packed)) throw new CorruptionError(path, 0, 'wrong checksum')
  const raw = Bun.zstdDecompressSync(packed).slice()
  return new Uint32Array(raw.buffer, 0, Math.floor(raw.length / 4))
}
