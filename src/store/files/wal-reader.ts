/**
 * Reads a log file record by record. It stops at the first record that is not whole: `whole` then says
 * how far the file is good, and `torn` that something lies behind it.
 */

import { crc32, u32At } from '../../lib/bytes.ts'
import type { Disk } from '../../lib/disk.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'
import {
  checkFileHeader,
  FILE_HEADER_BYTES,
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
} from './wal-format.ts'

const CHUNK_BYTES = 1024 * 1024
/** Some hundred definitions of series: a millisecond's work. */
const YIELD_BYTES = 16 * 1024

export interface ReadLog {
  /** Bytes up to the end of the last whole record. */
  readonly whole: number
  readonly torn: boolean
  readonly records: number
}

/** The first record of `path`, if it is whole. */
export function readFirstRecord(
  disk: Disk,
  path: string,
  magic: number,
): { type: number; payload: Uint8Array } | undefined {
  const file = disk.open(path, 'read')
  try {
    const header = file.read(0, FILE_HEADER_BYTES)
    if (header.length < FILE_HEADER_BYTES) return undefined
    checkFileHeader(header, magic, path)
    const record = file.read(FILE_HEADER_BYTES, RECORD_HEADER_BYTES)
    if (record.length < RECORD_HEADER_BYTES) return undefined
    const length = u32At(record, 0)
    if (length < 1 || length > RECORD_BYTES_MAX) return undefined
    const body = file.read(FILE_HEADER_BYTES + RECORD_HEADER_BYTES, length)
    if (body.length < length || crc32(body) !== u32At(record, 4)) return undefined
    return { type: body[0]!, payload: body.subarray(1) }
  } finally {
    file.close()
  }
}

type EachRecord = (type: number, payload: Uint8Array, offset: number) => void

/**
 * Calls `each` with every whole record of `path` up to byte `end`; the payload is valid until it returns.
 * Throws `CorruptionError` or `NewerVersionError` for a header that cannot be read.
 */
export function readLog(
  disk: Disk,
  path: string,
  magic: number,
  each: EachRecord,
  end = Infinity,
): ReadLog {
  const records = readRecords(disk, path, magic, each, end)
  for (;;) {
    const step = records.next()
    if (step.done) return step.value
  }
}

/** As `readLog`, resting between records; `onRead` is told how many bytes were read since it was told last. */
export async function readLogInSlices(
  disk: Disk,
  path: string,
  options: {
    readonly magic: number
    readonly each: EachRecord
    readonly end?: number
    readonly slice: TimeSlice
    readonly onRead: (bytes: number) => void
  },
): Promise<ReadLog> {
  const { slice, onRead } = options
  const records = readRecords(disk, path, options.magic, options.each, options.end ?? Infinity)
  let told = 0
  for (;;) {
    const step = records.next()
    const at = step.done ? step.value.whole : step.value
    onRead(at - told)
    told = at
    if (step.done) return step.value
    if (slice.isOver()) await slice.rest()
  }
}

/** Yields now and then how far it has read. */
function* readRecords(
  disk: Disk,
  path: string,
  magic: number,
  each: EachRecord,
  end: number,
): Generator<number, ReadLog> {
  const file = disk.open(path, 'read')
  try {
    const size = Math.min(file.size(), end)
    checkFileHeader(file.read(0, FILE_HEADER_BYTES), magic, path)
    let at = FILE_HEADER_BYTES
    let yieldAt = at + YIELD_BYTES
    let records = 0
    let chunk: Uint8Array = new Uint8Array(0)
    let chunkAt = at
    /** Has the next so many bytes in the chunk, if the file has them. */
    const hasNext = (count: number): boolean => {
      if (at + count > size) return false
      if (at + count > chunkAt + chunk.length) {
        chunk = file.read(at, Math.min(size - at, Math.max(CHUNK_BYTES, count)))
        chunkAt = at
      }
      return at + count <= chunkAt + chunk.length
    }
    for (;;) {
      if (!hasNext(RECORD_HEADER_BYTES)) break
      const length = u32At(chunk, at - chunkAt)
      const checksum = u32At(chunk, at - chunkAt + 4)
      if (length < 1 || length > RECORD_BYTES_MAX || !hasNext(RECORD_HEADER_BYTES + length)) break
      const from = at - chunkAt + RECORD_HEADER_BYTES
      const body = chunk.subarray(from, from + length)
      if (crc32(body) !== checksum) break
      each(body[0]!, body.subarray(1), at)
      at += RECORD_HEADER_BYTES + body.length
      records++
      if (at >= yieldAt) {
        yield at
        yieldAt = at + YIELD_BYTES
      }
    }
    return { whole: at, torn: at < size, records }
  } finally {
    file.close()
  }
}
