/**
 * Acknowledged points: relay → store on points.sock, relay → central relay on port 2003.
 *
 * The client opens with the line `emon/1-1,sender=<16 hex>` (lowest and highest version it speaks), which
 * any carbon discards because it holds no blank. The server answers HELLO; frames follow:
 *
 * ```
 * HELLO   u8 version, 16 bytes nonce, u64 last sequence written, u64 last synced
 * AUTH    32 bytes HMAC-SHA256 of the nonce under the token
 * NAMES   repeated: u32 id, u16 length, bytes            ids belong to the connection
 * POINTS  u64 sequence, u32 count, ids u32[], timestamps u32[], values f64[]
 * ACK     u64 written, u64 synced
 * FORGET  –                                              empties the id table
 * WINDOW  u32 unacknowledged bytes allowed
 * ERROR   u16 code, text
 * SOURCES whose the points of the next POINTS frame are (sources-format.ts); may be skipped
 * ```
 *
 * `written` survives kill -9 of the receiver, `synced` a power cut. Sequences of one sender grow by one a
 * frame over restarts of either end; the receiver skips what it already applied, so a frame that is sent
 * twice counts once. Here is what the bytes mean; points-receiver.ts and points-sender.ts are the two ends.
 */

import { createHmac } from 'node:crypto'
import { assert } from '../lib/assert.ts'
import { ByteReader, ByteWriter, fromUtf8, toUtf8 } from '../lib/bytes.ts'
import { appendFrame, beginFrame, endFrame, FrameError, FrameType } from './frame-format.ts'

export const PROTOCOL_OLDEST = 1
export const PROTOCOL_NEWEST = 1

/** Names that one connection's table may hold before the sender has to FORGET. */
export const NAME_IDS_MAX = 1_048_576
export const WINDOW_BYTES_DEFAULT = 4 * 1024 * 1024
/** Points in a frame: 16 bytes each under the frame's limit. */
export const FRAME_POINTS_MAX = 16_384

/** In columns on the receiving side: a name that was refused, or an id that no NAMES frame defined. */
export const REFUSED_ID = 0xffff_ffff

const NONCE_BYTES = 16
const POINTS_HEADER_BYTES = 12

export const ErrorCode = { version: 1, token: 2, protocol: 3, refused: 4 } as const

// ── the opening line ────────────────────────────────────────────────────────────────────────────────

const OPENING_RE = /^emon\/(\d{1,3})-(\d{1,3}),(?:sender=([0-9a-f]{16})|(query))$/

/** How every opening line starts; a port that also takes plain lines looks for it in the first one. */
export const OPENING_PREFIX = 'emon/'

/** With its newline. */
export function openingLine(sender: string): string {
  assert(/^[0-9a-f]{16}$/.test(sender), `sender id ${sender} is not 16 hex digits`)
  return `emon/${PROTOCOL_OLDEST}-${PROTOCOL_NEWEST},sender=${sender}\n`
}

/** Opens a remote query connection: HELLO and AUTH as here, then query.sock's frames (store-protocol.ts). */
export function queryOpeningLine(): string {
  return `emon/${PROTOCOL_OLDEST}-${PROTOCOL_NEWEST},query\n`
}

export interface Opening {
  /** Undefined when the connection is for queries. */
  readonly sender: string | undefined
  /** The highest version both ends speak, or undefined when there is none. */
  readonly version: number | undefined
}

/** Reads the opening line, without its newline; undefined when it is none. */
export function parseOpening(line: string): Opening | undefined {
  const parts = OPENING_RE.exec(line)
  if (!parts) return undefined
  const version = Math.min(Number(parts[2]), PROTOCOL_NEWEST)
  const common = version >= Math.max(Number(parts[1]), PROTOCOL_OLDEST)
  return { sender: parts[3], version: common ? version : undefined }
}

// ── frames, out ─────────────────────────────────────────────────────────────────────────────────────

export interface Hello {
  readonly version: number
  readonly nonce: Uint8Array
  readonly written: number
  readonly synced: number
}

export function appendHello(dst: ByteWriter, hello: Hello): void {
  assert(hello.nonce.length === NONCE_BYTES, 'a nonce has 16 bytes')
  const at = beginFrame(dst, FrameType.hello)
  dst.u8(hello.version)
  dst.raw(hello.nonce)
  dst.u64(hello.written)
  dst.u64(hello.synced)
  endFrame(dst, at)
}

export function appendAuth(dst: ByteWriter, token: string, nonce: Uint8Array): void {
  appendFrame(dst, FrameType.auth, tokenProof(token, nonce))
}

export function appendAck(dst: ByteWriter, ack: { written: number; synced: number }): void {
  const at = beginFrame(dst, FrameType.ack)
  dst.u64(ack.written)
  dst.u64(ack.synced)
  endFrame(dst, at)
}

export function appendForget(dst: ByteWriter): void {
  endFrame(dst, beginFrame(dst, FrameType.forget))
}

export function appendWindow(dst: ByteWriter, bytes: number): void {
  const at = beginFrame(dst, FrameType.window)
  dst.u32(bytes)
  endFrame(dst, at)
}

export function appendError(dst: ByteWriter, code: number, text: string): void {
  const at = beginFrame(dst, FrameType.error)
  dst.u16(code)
  dst.raw(toUtf8(text))
  endFrame(dst, at)
}

/** One entry of a NAMES frame; open the frame with `beginFrame(dst, FrameType.names)`. */
export function appendName(dst: ByteWriter, id: number, name: Uint8Array): void {
  dst.u32(id)
  dst.u16(name.length)
  dst.raw(name)
}

// ── frames, in ──────────────────────────────────────────────────────────────────────────────────────

export function decodeHello(payload: Uint8Array): Hello {
  const reader = new ByteReader(payload)
  return wellFormed('HELLO', () => ({
    version: reader.u8(),
    nonce: reader.raw(NONCE_BYTES).slice(),
    written: reader.u64(),
    synced: reader.u64(),
  }))
}

export function decodeAck(payload: Uint8Array): { written: number; synced: number } {
  const reader = new ByteReader(payload)
  return wellFormed('ACK', () => ({ written: reader.u64(), synced: reader.u64() }))
}

export function decodeWindow(payload: Uint8Array): number {
  return wellFormed('WINDOW', () => new ByteReader(payload).u32())
}

export function decodeError(payload: Uint8Array): { code: number; text: string } {
  const reader = new ByteReader(payload)
  return wellFormed('ERROR', () => ({
    code: reader.u16(),
    text: fromUtf8(reader.raw(reader.remaining)),
  }))
}

/** Calls `each` with every entry; the bytes are a view. */
export function decodeNames(
  payload: Uint8Array,
  each: (id: number, name: Uint8Array) => void,
): void {
  const reader = new ByteReader(payload)
  wellFormed('NAMES', () => {
    while (reader.remaining > 0) {
      const id = reader.u32()
      each(id, reader.raw(reader.u16()))
    }
  })
}

/** A POINTS frame as columns that share one aligned buffer; valid until the next `decode`. */
export class PointsColumns {
  sequence = 0
  count = 0
  ids = new Uint32Array(0)
  timestamps = new Uint32Array(0)
  values = new Float64Array(0)
  /** The payload is copied to offset 4, which puts the values on a multiple of 8. */
  private scratch = new ArrayBuffer(0)

  decode(payload: Uint8Array): void {
    const count = this.readHeader(payload)
    if (this.scratch.byteLength < payload.length + 4) {
      this.scratch = new ArrayBuffer((payload.length + 4) * 2)
    }
    const columns = 4 + POINTS_HEADER_BYTES
    new Uint8Array(this.scratch).set(payload, 4)
    this.ids = new Uint32Array(this.scratch, columns, count)
    this.timestamps = new Uint32Array(this.scratch, columns + 4 * count, count)
    this.values = new Float64Array(this.scratch, columns + 8 * count, count)
  }

  private readHeader(payload: Uint8Array): number {
    if (payload.length < POINTS_HEADER_BYTES) throw new FrameError('POINTS frame without a header')
    const reader = new ByteReader(payload)
    this.sequence = reader.u64()
    this.count = reader.u32()
    if (payload.length !== POINTS_HEADER_BYTES + 16 * this.count) {
      throw new FrameError(
        `POINTS frame of ${payload.length} bytes does not hold ${this.count} points`,
      )
    }
    return this.count
  }
}

/** The sequence of a POINTS payload. */
export function pointsSequence(payload: Uint8Array): number {
  return wellFormed('POINTS', () => new ByteReader(payload).u64())
}

function wellFormed<T>(type: string, decode: () => T): T {
  try {
    return decode()
  } catch (error) {
    if (error instanceof RangeError) throw new FrameError(`${type} frame is cut short`)
    throw error
  }
}

export function tokenProof(token: string, nonce: Uint8Array): Uint8Array {
  return new Uint8Array(createHmac('sha256', token).update(nonce).digest())
}
