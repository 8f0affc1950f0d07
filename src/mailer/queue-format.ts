/**
 * A queue file: one message, from its acceptance to its end. Only ever appended to.
 *
 * ```
 * "EMONMAIL" (8) │ u16 version                                      all little endian
 * record*          u8 type │ u32 length │ payload │ u32 CRC-32 of type, length and payload
 *
 * ENVELOPE 1       JSON of an Envelope; always the first
 * PART     2       up to 256 KiB of the message, in order
 * END      3       u64 bytes of the message, u8 flags (1: it has bytes above 127): with it, it is whole
 * STATE    4       JSON of a State; any number, the last whole one counts
 * ```
 *
 * A file without a whole END was never acknowledged. After END, a torn STATE is ignored: the one before
 * it counts, which repeats at most the attempt that it was to record. Any other damage is a
 * `CorruptionError`. The idea of an explicit end record is Postfix's (src/global/mail_stream.c).
 */

import { ByteReader, ByteWriter, crc32, fromUtf8, toUtf8 } from '../lib/bytes.ts'
import { CorruptionError, NewerVersionError } from '../lib/corruption.ts'

const MAGIC = toUtf8('EMONMAIL')
const VERSION = 1

export const FILE_HEADER_BYTES = 10
export const RECORD_HEADER_BYTES = 5
export const RECORD_EXTRA_BYTES = RECORD_HEADER_BYTES + 4
export const PART_BYTES_MAX = 256 * 1024

/** An envelope or state: 1,000 recipients of 320 bytes with a reason each are well below it. */
const JSON_BYTES_MAX = 4 * 1024 * 1024

/** The numbers are on disk: never change one. */
export const RecordType = { envelope: 1, part: 2, end: 3, state: 4 } as const

/** Modes of a queue file: Postfix's sign for "complete". */
export const MODE_WRITING = 0o600
export const MODE_COMPLETE = 0o700

/** What was promised when the message was accepted; never changes. */
export interface Envelope {
  /** '' is the null sender. */
  readonly from: string
  readonly recipients: readonly string[]
  readonly arrivalMs: number
  /** From then on it is returned instead of tried again. */
  readonly expiresMs: number
  /** Where it came from, for people: `smtp 127.0.0.1 (monit)`, `mail.sock uid 1000`. */
  readonly origin: string
  /** The file in queue/drop that it was read from. */
  readonly drop?: string
  /** The queue id of the message that this one reports on. */
  readonly bounceOf?: string
  /** … and the recipients of that message that it reports as failed. */
  readonly reported?: readonly string[]
}

/** What has become of it so far. */
export interface State {
  /** Who has not got it yet. */
  readonly pending: readonly PendingRecipient[]
  readonly attempts: number
  readonly nextAttemptMs: number
  /** The destination as a whole refused or did not answer: tried again as soon as that answers. */
  readonly blamed?: string
}

export interface PendingRecipient {
  readonly address: string
  /** The last answer for it. */
  readonly reason?: string
}

export function writeFileHeader(out: ByteWriter): void {
  out.raw(MAGIC)
  out.u16(VERSION)
}

export function writeRecord(out: ByteWriter, type: number, payload: Uint8Array): void {
  const at = out.skip(RECORD_HEADER_BYTES)
  out.bytes[at] = type
  out.patchU32(at + 1, payload.length)
  out.raw(payload)
  out.u32(crc32(out.bytes.subarray(at, out.length)))
}

export function writeJsonRecord(out: ByteWriter, type: number, value: Envelope | State): void {
  writeRecord(out, type, toUtf8(JSON.stringify(value)))
}

export const END_FLAG_EIGHT_BIT = 1

export function writeEnd(out: ByteWriter, end: { messageBytes: number; flags: number }): void {
  const payload = new ByteWriter(9)
  payload.u64(end.messageBytes)
  payload.u8(end.flags)
  writeRecord(out, RecordType.end, payload.written())
}

/** Throws when these are not the first bytes of a queue file that this program can read. */
export function checkFileHeader(file: string, bytes: Uint8Array): void {
  if (bytes.length < FILE_HEADER_BYTES) throw new CorruptionError(file, 0, 'ends in its header')
  const reader = new ByteReader(bytes)
  const magic = reader.raw(MAGIC.length)
  if (!MAGIC.every((byte, i) => byte === magic[i])) {
    throw new CorruptionError(file, 0, 'is not a queue file')
  }
  const version = reader.u16()
  if (version > VERSION) throw new NewerVersionError(file, version, VERSION)
  if (version < VERSION) throw new CorruptionError(file, 8, `has version ${version}`)
}

export interface RecordHeader {
  readonly type: number
  readonly length: number
}

/** Undefined when the bytes cannot be a record's header. */
export function readRecordHeader(bytes: Uint8Array): RecordHeader | undefined {
  if (bytes.length < RECORD_HEADER_BYTES) return undefined
  const reader = new ByteReader(bytes)
  const type = reader.u8()
  const length = reader.u32()
  if (type < RecordType.envelope || type > RecordType.state) return undefined
  if (length > (type === RecordType.part ? PART_BYTES_MAX : JSON_BYTES_MAX)) return undefined
  return { type, length }
}

/** The payload of a whole record, or undefined when its checksum does not fit. */
export function readRecordPayload(record: Uint8Array): Uint8Array | undefined {
  const end = record.length - 4
  const reader = new ByteReader(record, end)
  if (crc32(record.subarray(0, end)) !== reader.u32()) return undefined
  return record.subarray(RECORD_HEADER_BYTES, end)
}

export function parseJson<T extends Envelope | State>(payload: Uint8Array): T {
  // The checksum has vouched for the bytes, and only this program writes them.
  return JSON.parse(fromUtf8(payload)) as T
}
