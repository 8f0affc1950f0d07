/**
 * Acknowledged frames on one connection (ipc/points-format.ts): HELLO first, then every batch of the
 * outbox in order as far as the peer's window allows. What the peer has written leaves the list of what
 * must be sent again, what it has synced leaves the outbox.
 *
 * No HELLO within `HELLO_MS` means that the peer is a plain carbon; what to do then is the destination's.
 */

import { ByteWriter } from '../../lib/bytes.ts'
import { type Clock, nowSeconds, type Timer } from '../../lib/clock.ts'
import { reason } from '../../lib/log.ts'
import { FrameReader, POINTS_FRAME_BYTES_MAX } from '../../ipc/frame-format.ts'
import type { Hello } from '../../ipc/points-format.ts'
import { type OutgoingFrame, PointsSender } from '../../ipc/points-sender.ts'
import type { Outbox } from './outbox.ts'
import { LinesToPoints } from './points-text.ts'
import type { Session } from './session.ts'
import type { Batch } from './spool-format.ts'
import type { Upstream } from './upstream.ts'

export const HELLO_MS = 1_000

export interface EmonSessionOptions {
  readonly clock: Clock
  readonly outbox: Outbox
  readonly upstream: Upstream
  readonly sender: string
  readonly token: string | undefined
  readonly compress: boolean
  readonly maxFutureSeconds: () => number
  readonly onHello: (hello: Hello) => void
  /** The peer did not answer: it is no emon relay or store. */
  readonly onSilence: () => void
  readonly onSent: (points: number) => void
  /** Points in lines that could not be made points. */
  readonly onDropped: (points: number) => void
  readonly onProgress: () => void
  /** The connection is of no more use. */
  readonly onFailure: (reason: string) => void
}

/** Bytes that may wait for the socket before no more frames are made. */
const PENDING_BYTES_MAX = 1024 * 1024

export class EmonSession implements Session {
  private readonly options: EmonSessionOptions
  private readonly sender: PointsSender
  private readonly frames: FrameReader
  private readonly out: ByteWriter
  private outSent: number
  private readonly converter: LinesToPoints
  private readonly deadline: Timer
  private finishing: boolean
  private isOver: boolean

  constructor(options: EmonSessionOptions) {
    this.options = options
    this.out = new ByteWriter(64 * 1024)
    this.outSent = 0
    this.finishing = false
    this.isOver = false
    this.converter = new LinesToPoints(options.onDropped)
    this.sender = new PointsSender({
      sender: options.sender,
      token: options.token,
      compress: options.compress,
      send: (bytes) => {
        this.out.raw(bytes)
        this.flush()
      },
      onHello: (hello) => this.greet(hello),
      onAck: ({ written, synced }) => {
        options.outbox.acknowledge(written, synced)
        options.onProgress()
        this.pump()
      },
      onError: ({ text }) => options.onFailure(text),
    })
    this.frames = new FrameReader({
      bytesMax: POINTS_FRAME_BYTES_MAX,
      onFrame: (frame) => {
        if (!this.isOver) this.sender.receive(frame)
      },
    })
    this.deadline = options.clock.after(HELLO_MS, () => options.onSilence())
    this.sender.open()
  }

  get isIdle(): boolean {
    return this.outSent === this.out.length && this.options.outbox.isAcknowledged
  }

  get isDrained(): boolean {
    return this.options.outbox.isEmpty
  }

  finish(): void {
    this.finishing = true
  }

  readToEnd(): void {
    // What it holds is what it has acknowledged.
  }

  receive(bytes: Uint8Array): void {
    try {
      this.frames.feed(bytes)
    } catch (error) {
      this.options.onFailure(reason(error))
    }
  }

  pump(): void {
    const { outbox, onSent } = this.options
    while (!this.isOver && this.flush()) {
      const batch = this.finishing ? undefined : outbox.next()
      if (!batch || !this.sender.hasRoom(batch.bytes.length)) return
      this.sender.append(this.out, this.frame(batch))
      outbox.sent(batch)
      onSent(batch.count)
    }
  }

  /** The connection is over: nothing that comes yet counts, and nothing is taken from the outbox any more. */
  close(): void {
    this.isOver = true
    this.deadline.cancel()
  }

  private greet(hello: Hello): void {
    this.deadline.cancel()
    const { outbox, onHello } = this.options
    onHello(hello)
    // A HELLO of a sender that has been renewed speaks of other batches under the same sequences.
    if (this.isOver) return
    outbox.acknowledge(hello.written, hello.synced)
    outbox.rewind(hello.written)
    this.pump()
  }

  private frame(batch: Batch): OutgoingFrame {
    const { sequence, bytes, names, nameCount, sources = [] } = batch
    if (names) return { sequence, payload: bytes, names, nameCount, sources }
    const now = nowSeconds(this.options.clock)
    return this.converter.convert(batch, { now, latest: now + this.options.maxFutureSeconds() })
  }

  /** Writes what waits; true when more may be made. */
  private flush(): boolean {
    const { out } = this
    if (this.outSent < out.length) {
      this.outSent += this.options.upstream.write(out.bytes.subarray(this.outSent, out.length))
    }
    if (this.outSent === out.length) {
      // All names at once make it large, on a new connection.
      out.resetTo(2 * PENDING_BYTES_MAX)
      this.outSent = 0
      return true
    }
    // A peer that always leaves something would let it grow for as long as it is slow.
    if (this.outSent >= PENDING_BYTES_MAX) {
      out.drop(this.outSent)
      this.outSent = 0
    }
    return out.length - this.outSent < PENDING_BYTES_MAX
  }
}
