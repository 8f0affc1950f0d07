/**
 * The receiving end of acknowledged points (points-format.ts): one connection, after its opening line.
 * It does no I/O: the owner feeds it frames and puts on the wire what it is given to send. It throws
 * `FrameError` when the connection has to end.
 */

import { timingSafeEqual } from 'node:crypto'
import { ByteWriter } from '../lib/bytes.ts'
import { FLAG_SKIPPABLE, type Frame, FrameError, FrameType } from './frame-format.ts'
import {
  appendAck,
  appendError,
  appendHello,
  appendWindow,
  decodeNames,
  NAME_IDS_MAX,
  PointsColumns,
  REFUSED_ID,
  tokenProof,
  WINDOW_BYTES_DEFAULT,
} from './points-format.ts'
import { decodeSources, type SourceSpan } from './sources-format.ts'

/** What a receiver does with what arrives. All calls are for one connection, in order. */
export interface PointsSink {
  /**
   * The number that stands for `name` in `points`, for example a series id; −1 refuses it, and its
   * points are left out (the sink counts them in `refused`).
   */
  resolve(name: Uint8Array): number
  /** Numbers that `resolve` gave until now will not come again. */
  forget?(): void
  /**
   * Takes one frame that was not applied before: `ids[i]` are `resolve`'s numbers, −1 (0xffffffff) for
   * refused names. Columns are valid until it returns. Answer with ACK through `PointsReceiver.ack`.
   * `sources`: where they come from, as far as the sender says; all spans lie within the columns.
   */
  points(sender: string, columns: PointsColumns, sources: readonly SourceSpan[]): void
  /** The last sequences of that sender, 0 for one that is not known. */
  lastSequences(sender: string): { written: number; synced: number }
}

export interface PointsReceiverOptions {
  readonly sender: string
  readonly version: number
  readonly nonce: Uint8Array
  readonly sink: PointsSink
  readonly send: (bytes: Uint8Array) => void
  readonly token?: string | undefined
  readonly windowBytes?: number
}

/**
 * One connection's receiving end, from after the opening line on. Feed it frames (a `FrameReader` with
 * POINTS_FRAME_BYTES_MAX); it throws `FrameError` when the connection has to end.
 */
export class PointsReceiver {
  readonly sender: string
  private readonly options: PointsReceiverOptions
  private readonly columns: PointsColumns
  private readonly out: ByteWriter
  private numbers: Uint32Array
  /** Of the next frame of points. */
  private sources: readonly SourceSpan[]
  private authorized: boolean

  constructor(options: PointsReceiverOptions) {
    this.sender = options.sender
    this.options = options
    this.columns = new PointsColumns()
    this.out = new ByteWriter(64)
    this.numbers = new Uint32Array(256).fill(REFUSED_ID)
    this.sources = []
    this.authorized = options.token === undefined
    const { written, synced } = options.sink.lastSequences(options.sender)
    appendHello(this.out, { version: options.version, nonce: options.nonce, written, synced })
    appendWindow(this.out, options.windowBytes ?? WINDOW_BYTES_DEFAULT)
    this.flush()
  }

  receive(frame: Frame): void {
    if (frame.type === FrameType.auth) return this.authorize(frame.payload)
    if (!this.authorized)
      throw new FrameError('a token is needed here: set EMON_TOKEN on the sender')
    switch (frame.type) {
      case FrameType.names:
        return decodeNames(frame.payload, (id, name) => this.define(id, name))
      case FrameType.sources:
        this.sources = decodeSources(frame.payload)
        return
      case FrameType.points:
        return this.apply(frame.payload)
      case FrameType.forget:
        this.numbers = new Uint32Array(256).fill(REFUSED_ID)
        this.options.sink.forget?.()
        return
      default:
        if ((frame.flags & FLAG_SKIPPABLE) === 0) {
          throw new FrameError(`frame of type ${frame.type} is not known here`)
        }
    }
  }

  ack(sequences: { written: number; synced: number }): void {
    appendAck(this.out, sequences)
    this.flush()
  }

  /** Puts `replace(number)` in the place of every number that `resolve` gave: the series are others now. */
  renumber(replace: (number: number) => number): void {
    const { numbers } = this
    for (let id = 0; id < numbers.length; id++) {
      const number = numbers[id]!
      if (number !== REFUSED_ID) numbers[id] = replace(number)
    }
  }

  /** Tells the other end why the connection ends; close it after this. */
  fail(code: number, text: string): void {
    appendError(this.out, code, text)
    this.flush()
  }

  private authorize(proof: Uint8Array): void {
    const { token, nonce } = this.options
    if (token === undefined) return
    const wanted = tokenProof(token, nonce)
    this.authorized = proof.length === wanted.length && timingSafeEqual(proof, wanted)
    if (!this.authorized) throw new FrameError('the token is not the one expected here')
  }

  private define(id: number, name: Uint8Array): void {
    if (id >= NAME_IDS_MAX) throw new FrameError(`name id ${id}: at most ${NAME_IDS_MAX} are taken`)
    if (id >= this.numbers.length) {
      const grown = new Uint32Array(
        Math.min(NAME_IDS_MAX, Math.max(id + 1, this.numbers.length * 2)),
      )
      grown.fill(REFUSED_ID)
      grown.set(this.numbers)
      this.numbers = grown
    }
    this.numbers[id] = this.options.sink.resolve(name)
  }

  private apply(payload: Uint8Array): void {
    const { columns, numbers, sender } = this
    const { sink } = this.options
    columns.decode(payload)
    const sources = this.takeSources(columns.count)
    const last = sink.lastSequences(sender)
    if (columns.sequence <= last.written) return this.ack(last)
    const { ids, count } = columns
    for (let i = 0; i < count; i++) ids[i] = numbers[ids[i]!] ?? REFUSED_ID
    sink.points(sender, columns, sources)
  }

  private takeSources(count: number): readonly SourceSpan[] {
    const { sources } = this
    this.sources = []
    const last = sources.at(-1)
    if (last && last.start + last.count > count) {
      throw new FrameError('SOURCES frame that speaks of more points than there are')
    }
    return sources
  }

  private flush(): void {
    this.options.send(this.out.copy())
    this.out.reset()
  }
}
