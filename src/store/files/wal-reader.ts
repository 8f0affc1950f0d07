/**
 * Reads a log file record by record. It stops at the first record that is not whole: `whole` then says
 * how far the file is good. With `onDamage` it looks for the next whole record behind that, tells of the gap and
 * goes on: for a file whose records stand for themselves. Otherwise `wholeRecordBehind` tells whether a crash tore
 * the file's end, or a disk damaged its middle.
 */

import { crc32, u32At } from '../../lib/bytes.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'
import {
  checkFileHeader,
  FILE_HEADER_BYTES,
  isRecordType,
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
} from './wal-format.ts'

const CHUNK_BYTES = 1024 * 1024
/** Some hundred definitions of series: a millisecond's work. */
const YIELD_BYTES = 16 * 1024
/** Longer records are not looked for behind damage, where every byte may be the start of one. */
const FOUND_BYTES_MAX = 128 * 1024
/** A record's checksum is over its type and its payload: the first part of it, by type. */
const CRC_OF_TYPE = Uint32Array.from({ length: 256 }, (_, type) => crc32(Uint8Array.of(type)))

export interface ReadLog {
  /** Bytes up to the end of the last whole record. */
  readonly whole: number
  readonly records: number
}

type EachRecord = (type: number, payload: Uint8Array, offset: number) => void

export interface LogReading {
  readonly magic: number
  readonly each: EachRecord
  /** Nothing from this byte on. */
  readonly end?: number
  /** Called with the bytes [from, to) that are no whole records; whole ones follow, or the file ends. */
  readonly onDamage?: (from: number, to: number) => void
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
    const cursor = new RecordCursor(file, FILE_HEADER_BYTES, Infinity)
    const payload = cursor.payload()
    return payload && { type: cursor.type, payload }
  } finally {
    file.close()
  }
}

/**
 * Calls `each` with every whole record of `path` up to byte `end`; the payload is valid until it returns.
 * Throws `CorruptionError` or `NewerVersionError` for a header that cannot be read.
 */
export function readLog(disk: Disk, path: string, reading: LogReading): ReadLog {
  const records = readRecords(disk, path, reading)
  for (;;) {
    const step = records.next()
    if (step.done) return step.value
  }
}

/** As `readLog`, resting between records; `onRead` is told how many bytes were read since it was told last. */
export async function readLogInSlices(
  disk: Disk,
  path: string,
  reading: LogReading & {
    readonly slice: TimeSlice
    readonly onRead?: (bytes: number) => void
  },
): Promise<ReadLog> {
  const { slice, onRead } = reading
  const records = readRecords(disk, path, reading)
  let told = 0
  for (;;) {
    const step = records.next()
    const at = step.done ? step.value.whole : step.value
    onRead?.(at - told)
    told = at
    if (step.done) return step.value
    if (slice.isOver()) await slice.rest()
  }
}

/** Where a whole record starts behind the one at `from`, which is none; up to byte `end`. */
export function wholeRecordBehind(
  disk: Disk,
  path: string,
  from: number,
  end = Infinity,
): number | undefined {
  const file = disk.open(path, 'read')
  try {
    return new RecordCursor(file, from, end).find()
  } finally {
    file.close()
  }
}

/** Yields now and then how far it has read. */
function* readRecords(
  disk: Disk,
  path: string,
  { magic, each, end = Infinity, onDamage }: LogReading,
): Generator<number, ReadLog> {
  const file = disk.open(path, 'read')
  try {
    try {
      checkFileHeader(file.read(0, FILE_HEADER_BYTES), magic, path)
    } catch (error) {
      if (!onDamage || !(error instanceof CorruptionError)) throw error
      onDamage(0, FILE_HEADER_BYTES)
    }
    const cursor = new RecordCursor(file, FILE_HEADER_BYTES, end)
    let whole = cursor.at
    let yieldAt = whole + YIELD_BYTES
    let records = 0
    for (;;) {
      const payload = cursor.payload()
      if (!payload) {
        if (!onDamage || cursor.isAtEnd) break
        const from = cursor.at
        const found = cursor.find()
        onDamage(from, found ?? cursor.end)
        if (found === undefined) break
        cursor.at = found
        continue
      }
      each(cursor.type, payload, cursor.at)
      cursor.at += RECORD_HEADER_BYTES + 1 + payload.length
      whole = cursor.at
      records++
      if (whole >= yieldAt) {
        yield whole
        yieldAt = whole + YIELD_BYTES
      }
    }
    return { whole, records }
  } finally {
    file.close()
  }
}

/** A place in a file, of which a chunk is in memory. */
class RecordCursor {
  at: number
  /** Of the record whose payload was read last. */
  type: number
  readonly end: number
  private readonly file: DiskFile
  private chunk: Uint8Array
  private chunkAt: number

  constructor(file: DiskFile, at: number, end: number) {
    this.file = file
    this.at = at
    this.type = 0
    this.end = Math.min(file.size(), end)
    this.chunk = new Uint8Array(0)
    this.chunkAt = at
  }

  get isAtEnd(): boolean {
    return this.at >= this.end
  }

  /** The payload of the record here, valid until the next call; undefined when the record is not whole. */
  payload(bytesMax = RECORD_BYTES_MAX): Uint8Array | undefined {
    if (!this.hasNext(RECORD_HEADER_BYTES)) return undefined
    const length = u32At(this.chunk, this.at - this.chunkAt)
    const checksum = u32At(this.chunk, this.at - this.chunkAt + 4)
    if (length < 1 || length > bytesMax || !this.hasNext(RECORD_HEADER_BYTES + length))
      return undefined
    const from = this.at - this.chunkAt + RECORD_HEADER_BYTES
    this.type = this.chunk[from]!
    const payload = this.chunk.subarray(from + 1, from + length)
    return crc32(payload, CRC_OF_TYPE[this.type]) === checksum ? payload : undefined
  }

  /** Where the next whole record starts, behind the place where it is; goes there byte by byte. */
  find(): number | undefined {
    while (++this.at < this.end) {
      // Else there would be a checksum to compute at most bytes.
      if (!this.hasNext(RECORD_HEADER_BYTES + 1)) return undefined
      const type = this.chunk[this.at - this.chunkAt + RECORD_HEADER_BYTES]!
      if (isRecordType(type) && this.payload(FOUND_BYTES_MAX)) return this.at
    }
    return undefined
  }

  /** Has the next so many bytes in the chunk, if the file has them. */
  private hasNext(count: number): boolean {
    const { at, end } = this
    if (at + count > end) return false
    if (at < this.chunkAt || at + count > this.chunkAt + this.chunk.length) {
      this.chunk = this.file.read(at, Math.min(end - at, Math.max(CHUNK_BYTES, count)))
      this.chunkAt = at
    }
    return at + count <= this.chunkAt + this.chunk.length
  }
}
