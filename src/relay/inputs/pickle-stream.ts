/**
 * One connection of the pickle port: cuts frames (`u32 length, big endian`, then a pickle) out of the stream and hands
 * their points on as lines. Frames are at most 1 MiB, as carbon has it; a frame that cannot be read ends the
 * connection, since nobody knows what its sender meant.
 */

import { ByteWriter } from '../../lib/bytes.ts'
import type { Counter } from '../../lib/stats.ts'
import type { Dispatcher } from '../routing/dispatcher.ts'
import type { PickleReader } from './pickle-reader.ts'

const LENGTH_BYTES = 4
const PICKLE_BYTES_MAX = 1024 * 1024

export interface PickleStreamOptions {
  readonly dispatcher: Dispatcher
  /** All connections may share one. */
  readonly reader: PickleReader
  /** Points that could not be understood. */
  readonly refused: Counter
  /** The connection has to end: why. */
  readonly onFailure: (reason: string) => void
}

export class PickleStream {
  private readonly options: PickleStreamOptions
  private readonly lines: ByteWriter
  private pending: Uint8Array
  private length: number
  private last: number
  private over: boolean

  constructor(options: PickleStreamOptions) {
    this.options = options
    this.lines = new ByteWriter(4096)
    this.pending = new Uint8Array(0)
    this.length = 0
    this.last = 0
    this.over = false
  }

  feed(bytes: Uint8Array): void {
    this.keep(bytes)
    let at = 0
    while (!this.over && this.length - at >= LENGTH_BYTES) {
      const length = new DataView(this.pending.buffer, at, LENGTH_BYTES).getUint32(0)
      if (length > PICKLE_BYTES_MAX) return this.fail(`pickle of ${length} bytes`)
      const end = at + LENGTH_BYTES + length
      if (this.length < end) break
      this.take(this.pending.subarray(at + LENGTH_BYTES, end))
      at = end
    }
    this.pending.copyWithin(0, at, this.length)
    this.length -= at
    if (this.length === 0) this.pending = new Uint8Array(0)
  }

  private keep(bytes: Uint8Array): void {
    const needed = this.length + bytes.length
    if (needed > this.pending.length) {
      const grown = new Uint8Array(Math.max(needed, this.pending.length * 2))
      grown.set(this.pending.subarray(0, this.length))
      this.pending = grown
    }
    this.pending.set(bytes, this.length)
    this.length = needed
  }

  private take(pickle: Uint8Array): void {
    const { dispatcher, reader, refused } = this.options
    const opened = reader.open(pickle)
    if (!opened.ok) return this.fail(opened.error)
    let more = true
    while (more) {
      this.lines.reset()
      more = reader.appendLines(this.lines)
      if (this.lines.length > 0) {
        this.last = dispatcher.dispatch(this.lines.bytes, 0, this.lines.length, this.last)
      }
    }
    refused.value += reader.refused
  }

  private fail(reason: string): void {
    this.over = true
    this.options.refused.value++
    this.options.onFailure(reason)
  }
}
