/**
 * What lies in a destination's spool: segment files named after the first sequence they hold
 * (`%016x.spool`), each a header and records, all little endian.
 *
 * ```
 * header   8 bytes "emonspol" │ u16 version │ u16 0 │ u32 0
 * record   u32 payload length │ u32 CRC-32 of kind and payload │ u8 kind │ payload
 *
 * LINES    u64 sequence │ u32 points │ lines, each with its newline
 * NAMES    u8 1 = a new table begins │ u16 length, bytes …        ids count up from the table's last
 * POINTS   u64 sequence │ u32 points │ ids u32[] │ timestamps u32[] │ values f64[]     as on the wire
 * SOURCES  whose the points of the next POINTS are                                      as on the wire
 * ```
 *
 * Sequences rise from record to record and from file to file. Ids of POINTS speak of the table that the
 * NAMES before it in the same file made, so a segment can be read without any other. A record that
 * reaches past the end of the file is a write that a crash cut short: the end of the segment.
 */

import { ByteWriter, crc32, toUtf8 } from '../../lib/bytes.ts'
import type { NameTable } from '../../ipc/points-sender.ts'
import { encodeSources, type SourceSpan } from '../../ipc/sources-format.ts'

export const SPOOL_VERSION = 2
export const SPOOL_MAGIC: Uint8Array = toUtf8('emonspol')
export const SEGMENT_HEADER_BYTES = 16
export const RECORD_HEADER_BYTES = 9
/** Sequence and count, with which LINES and POINTS begin. */
export const BATCH_HEADER_BYTES = 12

export const SEGMENT_BYTES = 8 * 1024 * 1024
/** One frame's or block's payload, or as many names; more than that in a length field is damage. */
export const RECORD_BYTES_MAX = 2 * 1024 * 1024

export const RecordKind = { lines: 1, names: 2, points: 3, sources: 4 } as const

/** What one write to a destination carries: some lines, or a frame of points. */
export interface Batch {
  readonly sequence: number
  readonly count: number
  /** LINES without their header, or the whole payload of a POINTS frame. */
  readonly bytes: Uint8Array
  /** The table that a frame's ids speak of; undefined for lines. */
  readonly names: NameTable | undefined
  /** Names `[0, nameCount)` are all that it uses. */
  readonly nameCount: number
  /** When its first line came; monotonic milliseconds. */
  readonly bornMs: number
  /** Where points come from, as far as that is known. */
  readonly sources?: readonly SourceSpan[]
}

export function segmentName(firstSequence: number): string {
  return `${firstSequence.toString(16).padStart(16, '0')}.spool`
}

/** The first sequence of a segment of that name, or undefined for another kind of file. */
export function parseSegmentName(name: string): number | undefined {
  const parts = /^([0-9a-f]{16})\.spool$/.exec(name)
  return parts ? Number.parseInt(parts[1]!, 16) : undefined
}

export function appendSegmentHeader(dst: ByteWriter): void {
  dst.raw(SPOOL_MAGIC)
  dst.u16(SPOOL_VERSION)
  dst.u16(0)
  dst.u32(0)
}

export function appendBatch(dst: ByteWriter, batch: Batch): void {
  const lines = batch.names === undefined
  if (batch.sources && batch.sources.length > 0) {
    const before = beginRecord(dst, RecordKind.sources)
    encodeSources(dst, batch.sources)
    endRecord(dst, before)
  }
  const at = beginRecord(dst, lines ? RecordKind.lines : RecordKind.points)
  if (lines) {
    dst.u64(batch.sequence)
    dst.u32(batch.count)
  }
  dst.raw(batch.bytes)
  endRecord(dst, at)
}

const NAMES_RECORD_BYTES = 1024 * 1024

/** Appends names `[from, to)` as one record or several; with `from` 0 they begin a new table. */
export function appendNames(
  dst: ByteWriter,
  names: NameTable,
  range: { from: number; to: number },
): void {
  let id = range.from
  do {
    const at = beginRecord(dst, RecordKind.names)
    dst.u8(id === 0 ? 1 : 0)
    const end = at + NAMES_RECORD_BYTES
    while (id < range.to && dst.length < end) {
      const name = names.name(id++)
      dst.u16(name.length)
      dst.raw(name)
    }
    endRecord(dst, at)
  } while (id < range.to)
}

function beginRecord(dst: ByteWriter, kind: number): number {
  const at = dst.skip(RECORD_HEADER_BYTES)
  dst.bytes[at + 8] = kind
  return at
}

function endRecord(dst: ByteWriter, at: number): void {
  dst.patchU32(at, dst.length - at - RECORD_HEADER_BYTES)
  dst.patchU32(at + 4, crc32(dst.bytes.subarray(at + 8, dst.length)))
}
