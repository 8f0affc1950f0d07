/**
 * The compressed transports of carbon-c-relay, both ways: gzip, one stream a connection that is flushed after
 * each write; lz4, a frame for each write; snappy, raw blocks.
 */

import { constants, createGunzip, createGzip, type Gunzip, type Gzip } from 'node:zlib'
import { ByteWriter } from '../../lib/bytes.ts'
import type { Compression } from '../routing.ts'
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
  /** Throws, or calls `onFailure`, when the bytes cannot be. */
  feed(bytes: Uint8Array): void
  close(): void
}

export interface DecoderEvents {
  readonly onPlain: (plain: Uint8Array) => void
  readonly onFailure: (reason: string) => void
}

export function createEncoder(compression: Exclude<Compression, 'plain'>): Encoder {
  return compression === 'gzip' ? new GzipEncoder() : new PartEncoder(compression)
}

export function createDecoder(
  compression: Exclude<Compression, 'plain'>,
  events: DecoderEvents,
): Decoder {
  if (compression === 'gzip') return new GzipDecoder(events)
  const decoder = compression === 'lz4' ? new Lz4Decoder() : new SnappyDecoder()
  return {
    feed(bytes) {
      try {
        decoder.feed(bytes, events.onPlain)
      } catch (error) {
        if (!(error instanceof RangeError)) throw error
        events.onFailure(error.message)
      }
    },
    close() {},
  }
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

class GzipDecoder implements Decoder {
  private readonly gunzip: Gunzip

  constructor(events: DecoderEvents) {
    this.gunzip = createGunzip()
    this.gunzip.on('data', (plain: Uint8Array) => events.onPlain(plain))
    this.gunzip.on('error', (error: Error) => events.onFailure(error.message))
  }

  feed(bytes: Uint8Array): void {
    this.gunzip.write(bytes)
  }

  close(): void {
    this.gunzip.destroy()
  }
}
