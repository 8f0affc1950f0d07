/**
 * Records of the write-ahead log and of the series log; those about series are drawn in series-records.ts.
 *
 * ```
 * file    = magic u32 "EWAL" or "ESER", u16 version, u16 0, record …
 * record  = u32 length, u32 crc32(type, payload), u8 type, payload[length − 1]
 * POINTS    8 bytes sender (zeros: none), u64 sequence, u32 now, u32 count, ids u32[], timestamps u32[], values f64[]
 * ROW       u32 timestamp, u32 count, ids u32[], values f64[]       open slots, carried over by a checkpoint
 * SENDERS   repeated: 8 bytes sender, u64 sequence                  last frame of each
 * LOAD      u32 id, u32 step, u32 start, u32 count, values f64[]    slots put as they are
 * FOLLOW    u32 segment, u64 bytes, record …                        the log goes on from there (log-chain.ts)
 * ```
 *
 * Version 1 had another POINTS (type 1), without `now`, and no FOLLOW; it is read, too.
 *
 * A record that ends beyond the file or whose checksum is wrong ends the reading of that file: at the end
 * of the last segment that is a torn write, anywhere else it is damage (wal-reader.ts).
 */

import { assert } from '../../lib/assert.ts'
import { ByteReader, ByteWriter, crc32 } from '../../lib/bytes.ts'
import { CorruptionError, NewerVersionError } from '../../lib/corruption.ts'

export const WAL_MAGIC = 0x4c415745
export const SERIES_MAGIC = 0x52455345
export const LOG_VERSION = 2
export const FILE_HEADER_BYTES = 8
export const RECORD_HEADER_BYTES = 8
/** Larger than any record that is written: a FOLLOW with all that is not synced and a checkpoint's rows. */
export const RECORD_BYTES_MAX = 256 * 1024 * 1024

/** On disk: never change a value. */
export const RecordType = {
  /** Of version 1. */
  pointsBefore: 1,
  row: 2,
  senders: 3,
  load: 4,
  define: 5,
  rename: 6,
  remove: 7,
  redefine: 8,
  switch: 9,
  points: 10,
  follow: 11,
} as const

export function isRecordType(byte: number): boolean {
  return byte >= RecordType.pointsBefore && byte <= RecordType.follow
}

export const SENDER_BYTES = 8

export function fileHeader(magic: number): Uint8Array {
  const writer = new ByteWriter(FILE_HEADER_BYTES)
  writer.u32(magic)
  writer.u16(LOG_VERSION)
  writer.u16(0)
  return writer.copy()
}

/** Throws when the file is not of that kind, or of a later version. */
export function checkFileHeader(bytes: Uint8Array, magic: number, file: string): void {
  if (bytes.length < FILE_HEADER_BYTES) throw new CorruptionError(file, 0, 'no header')
  const reader = new ByteReader(bytes)
  if (reader.u32() !== magic) throw new CorruptionError(file, 0, 'wrong magic number')
  const version = reader.u16()
  if (version > LOG_VERSION) throw new NewerVersionError(file, version, LOG_VERSION)
}

/** Starts a record at the writer's end; `endRecord` with its answer fills in length and checksum. */
export function beginRecord(dst: ByteWriter, type: number): number {
  const at = dst.skip(RECORD_HEADER_BYTES)
  dst.u8(type)
  return at
}

export function endRecord(dst: ByteWriter, at: number): void {
  const body = at + RECORD_HEADER_BYTES
  assert(dst.length - body <= RECORD_BYTES_MAX, `log record of ${dst.length - body} bytes`)
  dst.patchU32(at, dst.length - body)
  dst.patchU32(at + 4, crc32(dst.bytes.subarray(body, dst.length)))
}

// ── points ──────────────────────────────────────────────────────────────────────────────────────────

export const NO_SENDER = ''

export interface PointColumns {
  readonly ids: Uint32Array
  readonly timestamps: Uint32Array
  readonly values: Float64Array
  readonly count: number
}

export interface PointsRecord extends PointColumns {
  readonly sender: string
  readonly sequence: number
  /** Unix seconds that decided which archives still covered the points. */
  readonly now: number
}

export function appendPoints(dst: ByteWriter, points: PointsRecord): void {
  const at = beginRecord(dst, RecordType.points)
  appendSender(dst, points.sender)
  dst.u64(points.sequence)
  dst.u32(points.now)
  dst.u32(points.count)
  appendColumn(dst, points.ids, points.count)
  appendColumn(dst, points.timestamps, points.count)
  appendColumn(dst, points.values, points.count)
  endRecord(dst, at)
}

function appendSender(dst: ByteWriter, sender: string): void {
  for (let i = 0; i < SENDER_BYTES; i++) {
    dst.u8(sender === NO_SENDER ? 0 : Number.parseInt(sender.slice(2 * i, 2 * i + 2), 16))
  }
}

function readSender(reader: ByteReader): string {
  const sender = Buffer.from(reader.raw(SENDER_BYTES)).toString('hex')
  return sender === '0000000000000000' ? NO_SENDER : sender
}

function appendColumn(dst: ByteWriter, column: Uint32Array | Float64Array, count: number): void {
  dst.raw(new Uint8Array(column.buffer, column.byteOffset, count * column.BYTES_PER_ELEMENT))
}

/** The columns are copies: record bodies are not aligned. `now`: for records of version 1, which have none. */
export function decodePoints(payload: Uint8Array, now?: number): PointsRecord {
  const reader = new ByteReader(payload)
  const sender = readSender(reader)
  const sequence = reader.u64()
  const decidedAt = now ?? reader.u32()
  const count = reader.u32()
  const own = reader.raw(reader.remaining).slice()
  return {
    sender,
    sequence,
    now: decidedAt,
    count,
    ids: new Uint32Array(own.buffer, 0, count),
    timestamps: new Uint32Array(own.buffer, 4 * count, count),
    values: new Float64Array(own.buffer, 8 * count, count),
  }
}

/** One open slot of many series. */
export interface RowRecord {
  readonly timestamp: number
  readonly ids: Uint32Array
  readonly values: Float64Array
  readonly count: number
}

export function appendRow(dst: ByteWriter, row: RowRecord): void {
  const at = beginRecord(dst, RecordType.row)
  dst.u32(row.timestamp)
  dst.u32(row.count)
  appendColumn(dst, row.ids, row.count)
  appendColumn(dst, row.values, row.count)
  endRecord(dst, at)
}

export function decodeRow(payload: Uint8Array): RowRecord {
  const reader = new ByteReader(payload)
  const timestamp = reader.u32()
  const count = reader.u32()
  const ids = new Uint32Array(reader.raw(4 * count).slice().buffer)
  const values = new Float64Array(reader.raw(8 * count).slice().buffer)
  return { timestamp, count, ids, values }
}

export function appendSenders(dst: ByteWriter, senders: ReadonlyMap<string, number>): void {
  const at = beginRecord(dst, RecordType.senders)
  for (const [sender, sequence] of senders) {
    appendSender(dst, sender)
    dst.u64(sequence)
  }
  endRecord(dst, at)
}

export function decodeSenders(payload: Uint8Array): Map<string, number> {
  const reader = new ByteReader(payload)
  const senders = new Map<string, number>()
  while (reader.remaining > 0) {
    const sender = readSender(reader)
    senders.set(sender, reader.u64())
  }
  return senders
}

export interface LoadRecord {
  readonly id: number
  readonly step: number
  readonly start: number
  readonly values: Float64Array
}

export function appendLoad(dst: ByteWriter, load: LoadRecord): void {
  const at = beginRecord(dst, RecordType.load)
  dst.u32(load.id)
  dst.u32(load.step)
  dst.u32(load.start)
  dst.u32(load.values.length)
  appendColumn(dst, load.values, load.values.length)
  endRecord(dst, at)
}

export function decodeLoad(payload: Uint8Array): LoadRecord {
  const reader = new ByteReader(payload)
  const id = reader.u32()
  const step = reader.u32()
  const start = reader.u32()
  const count = reader.u32()
  return { id, step, start, values: new Float64Array(reader.raw(8 * count).slice().buffer) }
}

// ── the order of segments ──

/** A place in the log. */
export interface LogPosition {
  readonly segment: number
  /** Of that segment's file. */
  readonly bytes: number
}

/** What a segment starts with: where the log goes on from. */
export interface FollowRecord extends LogPosition {
  /** Whole records that are written here again. */
  readonly records: Uint8Array
}

export function appendFollow(
  dst: ByteWriter,
  position: LogPosition,
  records: readonly Uint8Array[],
): void {
  const at = beginRecord(dst, RecordType.follow)
  dst.u32(position.segment)
  dst.u64(position.bytes)
  for (const record of records) dst.raw(record)
  endRecord(dst, at)
}

export function decodeFollow(payload: Uint8Array): FollowRecord {
  const reader = new ByteReader(payload)
  const segment = reader.u32()
  const bytes = reader.u64()
  return { segment, bytes, records: reader.raw(reader.remaining) }
}

/** Calls `each` with every record of `records`, which were verified. Throws `RangeError` when the last is not whole. */
export function eachRecord(
  records: Uint8Array,
  each: (type: number, payload: Uint8Array) => void,
): void {
  for (let at = 0; at < records.length;) {
    const body = at + RECORD_HEADER_BYTES
    const end = body + new ByteReader(records, at).u32()
    if (end <= body || end > records.length) throw new RangeError('record in a record is cut short')
    each(records[body]!, records.subarray(body + 1, end))
    at = end
  }
}
