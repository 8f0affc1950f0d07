/**
 * Reads one segment of a spool (spool-format.ts), record by record, also one that is still being written.
 *
 * A record that is not whole yet reads as "no more for now". A checksum or length that is wrong throws
 * `CorruptionError`: what came before it is good, what comes after it cannot be found any more. A later
 * version throws `NewerVersionError`.
 */

import { bytesEqual, ByteReader, crc32 } from '../../lib/bytes.ts'
import { CorruptionError, NewerVersionError } from '../../lib/corruption.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import { NameTable } from '../../ipc/points-sender.ts'
import { decodeSources, type SourceSpan } from '../../ipc/sources-format.ts'
import { reason } from '../../lib/log.ts'
import {
  BATCH_HEADER_BYTES,
  type Batch,
  RECORD_BYTES_MAX,
  RECORD_HEADER_BYTES,
  RecordKind,
  SEGMENT_HEADER_BYTES,
  SPOOL_MAGIC,
  SPOOL_VERSION,
} from './spool-format.ts'

export class SpoolReader {
  readonly path: string
  private readonly file: DiskFile
  private offset: number
  private names: NameTable
  /** Of the next batch. */
  private sources: readonly SourceSpan[]
  pointsRead: number

  constructor(disk: Disk, path: string) {
    this.path = path
    this.file = disk.open(path, 'read')
    this.offset = 0
    this.names = new NameTable()
    this.sources = []
    this.pointsRead = 0
  }

  /** The next batch, its bytes its own; undefined when there is no whole one yet. */
  next(): Batch | undefined {
    for (;;) {
      const record = this.nextRecord()
      if (!record) return undefined
      if (record[0] === RecordKind.names) this.readNames(record)
      else if (record[0] === RecordKind.sources) this.readSources(record)
      else return this.readBatch(record)
    }
  }

  close(): void {
    this.file.close()
  }

  /** Kind and payload, checked. */
  private nextRecord(): Uint8Array | undefined {
    if (this.offset === 0 && !this.readHeader()) return undefined
    const header = this.file.read(this.offset, RECORD_HEADER_BYTES)
    if (header.length < RECORD_HEADER_BYTES) return undefined
    const reader = new ByteReader(header)
    const length = reader.u32()
    const checksum = reader.u32()
    if (length > RECORD_BYTES_MAX) throw this.damaged(`record of ${length} bytes`)
    const record = this.file.read(this.offset + 8, 1 + length)
    if (record.length < 1 + length) return undefined
    if (crc32(record) !== checksum) throw this.damaged('wrong checksum')
    this.offset += RECORD_HEADER_BYTES + length
    return record
  }

  private readHeader(): boolean {
    const header = this.file.read(0, SEGMENT_HEADER_BYTES)
    if (header.length < SEGMENT_HEADER_BYTES) return false
    if (!bytesEqual(header.subarray(0, 8), SPOOL_MAGIC)) throw this.damaged('not a spool segment')
    const version = new ByteReader(header, 8).u16()
    if (version > SPOOL_VERSION) throw new NewerVersionError(this.path, version, SPOOL_VERSION)
    this.offset = SEGMENT_HEADER_BYTES
    return true
  }

  private readNames(record: Uint8Array): void {
    const reader = new ByteReader(record, 1)
    if (reader.u8() === 1) this.names = new NameTable()
    while (reader.remaining > 0) this.names.add(reader.raw(reader.u16()))
  }

  private readSources(record: Uint8Array): void {
    try {
      this.sources = decodeSources(record.subarray(1))
    } catch (error) {
      throw this.damaged(reason(error))
    }
  }

  private readBatch(record: Uint8Array): Batch {
    const { sources } = this
    this.sources = []
    const kind = record[0]
    if (kind !== RecordKind.lines && kind !== RecordKind.points) {
      throw this.damaged(`record of kind ${kind}`)
    }
    const reader = new ByteReader(record, 1)
    const sequence = reader.u64()
    const count = reader.u32()
    const lines = kind === RecordKind.lines
    this.pointsRead += count
    return {
      sequence,
      count,
      bytes: record.subarray(lines ? 1 + BATCH_HEADER_BYTES : 1),
      names: lines ? undefined : this.names,
      nameCount: lines ? 0 : this.names.count,
      bornMs: 0,
      sources,
    }
  }

  private damaged(problem: string): CorruptionError {
    return new CorruptionError(this.path, this.offset, problem)
  }
}

/** What a segment holds, found without reading the payloads. */
export interface SegmentSummary {
  readonly lastSequence: number
  readonly points: number
  readonly bytes: number
}

/** No two neighbours in a segment are further apart: it is damage. */
const GAP_MAX = 2 ** 32

/**
 * Walks the headers of a segment up to its end. What a power cut left behind the last sync may be cut short,
 * or zeros; what damage left of a header is believed as far as it can be true.
 */
export function summarizeSegment(disk: Disk, path: string, firstSequence: number): SegmentSummary {
  const file = disk.open(path, 'read')
  try {
    const bytes = file.size()
    let offset = SEGMENT_HEADER_BYTES
    let lastSequence = firstSequence - 1
    let points = 0
    for (;;) {
      const header = file.read(offset, RECORD_HEADER_BYTES + BATCH_HEADER_BYTES)
      if (header.length < RECORD_HEADER_BYTES) break
      const reader = new ByteReader(header)
      const length = reader.u32()
      const end = offset + RECORD_HEADER_BYTES + length
      if (length === 0 || length > RECORD_BYTES_MAX || end > bytes) break
      reader.offset = RECORD_HEADER_BYTES
      const isBatch = header[8] === RecordKind.lines || header[8] === RecordKind.points
      if (isBatch && reader.remaining >= BATCH_HEADER_BYTES) {
        const sequence = reader.u64()
        const count = reader.u32()
        if (sequence > lastSequence && sequence - lastSequence <= GAP_MAX) lastSequence = sequence
        if (count <= length) points += count
      }
      offset = end
    }
    return { lastSequence, points, bytes }
  } finally {
    file.close()
  }
}

/** The sequence of the last batch up to which every byte of a segment is as it was written; 0: none. */
export function lastReadable(disk: Disk, path: string): number {
  const reader = new SpoolReader(disk, path)
  let last = 0
  try {
    for (let batch = reader.next(); batch; batch = reader.next()) last = batch.sequence
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
  } finally {
    reader.close()
  }
  return last
}
