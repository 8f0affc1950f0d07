/**
 * The compressed transports of carbon-c-relay, both ways: gzip, one stream a connection that is flushed after
 * each write; lz4, a frame for each write; snappy, raw blocks.
 */

import { constants, createGunzip, createGzip, type Gunzip, type Gzip } from 'node:zlib'
import { ByteWriter, copyOf } from '../../lib/bytes.ts'
import type { Compression } from '../config/routing.ts'
import { encodeLz4Frame, Lz4Decoder } from './lz4.ts'
import { encodeSnappyBlock, SnappyDecoder } from './snappy.ts'

/** As carbon-c-relay cuts: receivers have buffers of that size. */
const PART_BYTES = 32 * 1024

export interface Encoder {
  /** Calls `done` with what `bytes` became. */
  encode(bytes: Uint8Array, done: (packed: Uint8Array) => void): void
  close(): void
}

export interface Decoder {
  /** What cannot be ends in `onFailure`; what comes after it is ignored. The bytes are the caller's again. */
  feed(bytes: Uint8Array): void
  /** Nothing more comes. `onEnd` follows when everything has been handed on. */
  end(): void
}

export interface DecoderEvents {
  readonly onPlain: (plain: Uint8Array) => void
  readonly onFailure: (reason: string) => void
  /** Feed no more until `onDrain`. */
  readonly onFull: () => void
  readonly onDrain: () => void
  /** Once, after `end`. */
  readonly onEnd: () => void
}

export function createEncoder(compression: Exclude<Compression, 'plain'>): Encoder {
  return compression === 'gzip' ? new GzipEncoder() : new PartEncoder(compression)
}

export function createDecoder(
  compression: Exclude<Compression, 'plain'>,
  events: DecoderEvents,
): Decoder {
  if (compression === 'gzip') return new GzipDecoder(events)
  return new PartDecoder(compression === 'lz4' ? new Lz4Decoder() : new SnappyDecoder(), events)
}

class PartEncoder implements Encoder {
  private readonly out: ByteWriter
  private readonly append: (dst: ByteWriter, part: Uint8Array) => void

  constructor(compression: 'lz4' | 'snappy') {
    this.out = new ByteWriter(PART_BYTES)
    this.append = compression === 'lz4' ? encodeLz4Frame : encodeSnappyBlock
  }

  encode(bytes: Uint8Array, done: (packed: Uint8Array) => void): void {
    this.out.reset()
    for (let at = 0; at < bytes.length; at += PART_BYTES) {
      this.append(this.out, bytes.subarray(at, at + PART_BYTES))
    }
    done(this.out.written())
  }

  close(): void {
    this.out.reset()
  }
}

class GzipEncoder implements Encoder {
  private readonly gzip: Gzip
  private parts: Uint8Array[]

  constructor() {
    this.gzip = createGzip()
    this.parts = []
    this.gzip.on('data', (part: Uint8Array) => this.parts.push(part))
  }

  encode(bytes: Uint8Array, done: (packed: Uint8Array) => void): void {
    this.gzip.write(bytes)
    this.gzip.flush(constants.Z_SYNC_FLUSH, () => {
      const packed = Buffer.concat(this.parts)
      this.parts = []
      done(packed)
    })
  }

  close(): void {
    this.gzip.destroy()
  }
}

class PartDecoder implements Decoder {
  private readonly parts: Lz4Decoder | SnappyDecoder
  private readonly events: DecoderEvents
  private failed: boolean

  constructor(parts: Lz4Decoder | SnappyDecoder, events: DecoderEvents) {
    this.parts = parts
    this.events = events
    this.failed = false
  }

  feed(bytes: Uint8Array): void {
    if (this.failed) return
    try {
      this.parts.feed(bytes, this.events.onPlain)
    } catch (error) {
      if (!(error instanceof RangeError)) throw error
      this.failed = true
      this.events.onFailure(error.message)
    }
  }

  end(): void {
    this.events.onEnd()
  }
}

/** zlib works beside the loop: what it was fed comes out later, also after the connection's end. */
class GzipDecoder implements Decoder {
  private readonly gunzip: Gunzip
  private readonly events: DecoderEvents
  private over: boolean
  private ending: boolean

  constructor(events: DecoderEvents) {
    // Senders that go need not end their stream: what they had flushed is whole.
    this.gunzip = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH })
    this.events = events
    this.over = false
    this.ending = false
    this.gunzip.on('data', (plain: Uint8Array) => events.onPlain(plain))
    this.gunzip.on('drain', () => events.onDrain())
    this.gunzip.on('error', (error: Error) => events.onFailure(error.message))
    this.gunzip.on('close', () => {
      this.over = true
      if (this.ending) events.onEnd()
    })
  }

  feed(bytes: Uint8Array): void {
    if (!this.over && !this.gunzip.write(copyOf(bytes))) this.events.onFull()
  }

  end(): void {
    this.ending = true
    if (this.over) this.events.onEnd()
    else this.gunzip.end()
  }
}
