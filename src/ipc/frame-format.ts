/**
 * Frames, the one shape in which our processes talk, on every socket and in the relay's spool.
 *
 * ```
 * u32 length of the payload │ u8 type │ u8 flags │ payload            all little endian
 * ```
 *
 * Flags: 1 = the payload is one zstd frame; 2 = whoever does not know the type may skip it.
 * Limits: each socket has its own for the payload, compressed or not; a frame over it, an unknown type
 * without flag 2 and a payload that does not decompress end the connection with a `FrameError`.
 */

import { zstdDecompressSync } from 'node:zlib'
import type { ByteWriter } from '../lib/bytes.ts'

export const FRAME_HEADER_BYTES = 6

export const FLAG_ZSTD = 1
export const FLAG_SKIPPABLE = 2

export const POINTS_FRAME_BYTES_MAX = 1024 * 1024
/** What a reader keeps between frames. */
const PENDING_BYTES_KEPT = 256 * 1024

export const QUERY_FRAME_BYTES_MAX = 32 * 1024 * 1024
export const MAIL_FRAME_BYTES_MAX = 64 * 1024 * 1024

/** The numbers are on the wire and on disk: never change one. */
export const FrameType = {
  // points.sock and relay to relay
  hello: 1,
  auth: 2,
  names: 3,
  points: 4,
  ack: 5,
  forget: 6,
  window: 7,
  error: 8,
  sources: 9,
  // query.sock
  request: 16,
  cancel: 17,
  reply: 18,
  series: 19,
  end: 20,
  failure: 21,
  // mail.sock
  mail: 32,
  answer: 33,
} as const

/** The other side does not speak the protocol, or breaks one of its limits; the connection is over. */
export class FrameError extends Error {
  override readonly name = 'FrameError'
}

/** Starts a frame in `dst`; write the payload after it, then call `endFrame` with what this returned. */
export function beginFrame(dst: ByteWriter, type: number, flags = 0): number {
  const at = dst.skip(FRAME_HEADER_BYTES)
  dst.bytes[at + 4] = type
  dst.bytes[at + 5] = flags
  return at
}

/** `more`: bytes of the payload that follow from elsewhere. */
export function endFrame(dst: ByteWriter, at: number, more = 0): void {
  dst.patchU32(at, dst.length - at - FRAME_HEADER_BYTES + more)
}

/** Appends a whole frame; with `compress`, the payload as zstd where that is shorter. */
export function appendFrame(
  dst: ByteWriter,
  type: number,
  payload: Uint8Array,
  options: { compress?: boolean; flags?: number } = {},
): void {
  const packed = options.compress && payload.length >= 512 ? compress(payload) : payload
  const flags = (options.flags ?? 0) | (packed === payload ? 0 : FLAG_ZSTD)
  const at = beginFrame(dst, type, flags)
  dst.raw(packed)
  endFrame(dst, at)
}

const FAST = { level: 1 } as const

function compress(payload: Uint8Array): Uint8Array {
  const packed = Bun.zstdCompressSync(payload, FAST)
  return packed.length < payload.length ? packed : payload
}

export interface Frame {
  readonly type: number
  readonly flags: number
  /** Decompressed; a view that is valid until the handler returns. */
  readonly payload: Uint8Array
}

/**
 * Cuts a stream of bytes into frames. `feed` calls `onFrame` for each whole frame in order; a partial one
 * waits for the rest. Memory is bounded by one frame.
 */
export class FrameReader {
  private readonly bytesMax: number
  private readonly onFrame: (frame: Frame) => void
  private pending: Uint8Array
  private pendingLength: number

  constructor(options: { bytesMax: number; onFrame: (frame: Frame) => void }) {
    this.bytesMax = options.bytesMax
    this.onFrame = options.onFrame
    this.pending = new Uint8Array(0)
    this.pendingLength = 0
  }

  /** Throws `FrameError`, or what `onFrame` throws; the reader is of no use after that. */
  feed(bytes: Uint8Array): void {
    // Sockets give a Buffer, whose slice() is no copy: payloads must not inherit that.
    let rest = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.length)
    if (this.pendingLength > 0) {
      const taken = this.complete(rest)
      if (taken < 0) return
      rest = rest.subarray(taken)
    }
    const left = this.cut(rest)
    if (left.length > 0) this.keep(left)
  }

  /** Bytes of a frame that has begun and not ended. */
  get waitingBytes(): number {
    return this.pendingLength
  }

  /** Fills the pending frame from `bytes` and delivers it: how many were taken, −1 when all and more are needed. */
  private complete(bytes: Uint8Array): number {
    const headerMissing = FRAME_HEADER_BYTES - this.pendingLength
    let taken = 0
    if (headerMissing > 0) {
      taken = Math.min(headerMissing, bytes.length)
      this.keep(bytes.subarray(0, taken))
      if (this.pendingLength < FRAME_HEADER_BYTES) return -1
    }
    const total = FRAME_HEADER_BYTES + this.payloadLength(this.pending, 0)
    const part = bytes.subarray(taken, taken + total - this.pendingLength)
    this.keep(part, total)
    if (this.pendingLength < total) return -1
    this.pendingLength = 0
    this.deliver(this.pending, 0, total)
    // The next frame that comes in parts is put together in the same memory, unless that is much.
    if (this.pending.length > PENDING_BYTES_KEPT) this.pending = new Uint8Array(0)
    return taken + part.length
  }

  /** Delivers every whole frame of `bytes`; returns what is left over. */
  private cut(bytes: Uint8Array): Uint8Array {
    let at = 0
    while (bytes.length - at >= FRAME_HEADER_BYTES) {
      const total = FRAME_HEADER_BYTES + this.payloadLength(bytes, at)
      if (bytes.length - at < total) break
      this.deliver(bytes, at, total)
      at += total
    }
    return bytes.subarray(at)
  }

  private deliver(bytes: Uint8Array, at: number, total: number): void {
    const flags = bytes[at + 5]!
    const payload = bytes.subarray(at + FRAME_HEADER_BYTES, at + total)
    this.onFrame({ type: bytes[at + 4]!, flags, payload: this.unpack(payload, flags) })
  }

  private unpack(payload: Uint8Array, flags: number): Uint8Array {
    return (flags & FLAG_ZSTD) === 0 ? payload : decompress(payload, this.bytesMax)
  }

  private payloadLength(bytes: Uint8Array, at: number): number {
    const length =
      bytes[at]! + bytes[at + 1]! * 0x100 + bytes[at + 2]! * 0x10000 + bytes[at + 3]! * 0x1000000
    if (length > this.bytesMax) {
      throw new FrameError(`frame of ${length} bytes: at most ${this.bytesMax} are taken`)
    }
    return length
  }

  private keep(bytes: Uint8Array, capacity = 0): void {
    const needed = this.pendingLength + bytes.length
    if (needed > this.pending.length) {
      const grown = new Uint8Array(Math.max(needed, capacity, 64))
      grown.set(this.pending.subarray(0, this.pendingLength))
      this.pending = grown
    }
    this.pending.set(bytes, this.pendingLength)
    this.pendingLength = needed
  }
}

/** Unpacks one zstd frame of at most `bytesMax` bytes of content. */
export function decompress(payload: Uint8Array, bytesMax: number): Uint8Array {
  try {
    // Bun's own is faster, but has no limit.
    return zstdDecompressSync(payload, { maxOutputLength: bytesMax })
  } catch (error) {
    throw new FrameError(
      `compressed frame cannot be unpacked: ${error instanceof Error ? error.message : String(error)}`,
    )
  }
}
