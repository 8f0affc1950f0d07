/**
 * A remote query connection (`emon/1-1,query` on the relay's port): HELLO and AUTH here, then bytes both
 * ways between the client and the store's query socket, each side paused while the other is slow.
 */

import { timingSafeEqual } from 'node:crypto'
import { ByteWriter } from '../../lib/bytes.ts'
import {
  type Frame,
  FRAME_HEADER_BYTES,
  FrameError,
  FrameReader,
  FrameType,
} from '../../ipc/frame-format.ts'
import { appendHello, tokenProof } from '../../ipc/points-format.ts'

export interface QueryPipeOptions {
  readonly version: number
  readonly nonce: Uint8Array
  readonly token: string | undefined
  /** The store's socket. */
  readonly path: string
  /** To the client; false: no more until `resume`. */
  readonly send: (bytes: Uint8Array) => boolean
  readonly end: () => void
  readonly pauseClient: () => void
  readonly resumeClient: () => void
}

/** For the store, before the client is paused. */
const WAITING_BYTES_MAX = 1024 * 1024
/** HMAC-SHA256 behind a frame's header. */
const AUTH_BYTES = 32
const AUTH_FRAME_BYTES = FRAME_HEADER_BYTES + AUTH_BYTES

export class QueryPipe {
  private readonly options: QueryPipeOptions
  private store: Bun.Socket<undefined> | undefined
  private readonly waiting: ByteWriter
  private authorized: boolean
  /** Of the AUTH frame, so far. */
  private authBytes: number
  private readonly frames: FrameReader
  private over: boolean

  constructor(options: QueryPipeOptions) {
    const { version, nonce, token } = options
    this.options = options
    this.store = undefined
    this.waiting = new ByteWriter(256)
    this.authorized = token === undefined
    this.over = false
    this.authBytes = 0
    this.frames = new FrameReader({
      bytesMax: AUTH_BYTES,
      onFrame: (frame) => this.authorize(frame),
    })
    const hello = new ByteWriter(64)
    appendHello(hello, { version, nonce, written: 0, synced: 0 })
    options.send(hello.written())
    if (this.authorized) this.connect()
  }

  /** From the client. Throws `FrameError` when the token is wrong. */
  feed(bytes: Uint8Array): void {
    if (this.authorized) return this.pass(bytes)
    // What follows AUTH is the store's to read, so exactly that frame is cut off.
    const missing = AUTH_FRAME_BYTES - this.authBytes
    this.authBytes += Math.min(missing, bytes.length)
    this.frames.feed(bytes.subarray(0, missing))
    if (this.authBytes < AUTH_FRAME_BYTES) return
    if (!this.authorized) throw new FrameError('AUTH was to come first')
    if (bytes.length > missing) this.pass(bytes.subarray(missing))
  }

  resume(): void {
    this.store?.resume()
  }

  close(): void {
    this.over = true
    this.store?.end()
  }

  private pass(bytes: Uint8Array): void {
    this.waiting.raw(bytes)
    if (this.waiting.length > WAITING_BYTES_MAX) this.options.pauseClient()
    this.flush()
  }

  private authorize(frame: Frame): void {
    const { token, nonce } = this.options
    const wanted = tokenProof(token ?? '', nonce)
    const proof = frame.payload
    if (
      frame.type !== FrameType.auth ||
      proof.length !== wanted.length ||
      !timingSafeEqual(proof, wanted)
    ) {
      throw new FrameError('the token is not the one expected here')
    }
    this.authorized = true
    this.connect()
  }

  private connect(): void {
    Bun.connect<undefined>({
      unix: this.options.path,
      socket: {
        open: (store) => {
          this.store = store
          if (this.over) store.end()
          this.flush()
        },
        data: (store, bytes) => {
          if (!this.options.send(bytes)) store.pause()
        },
        drain: () => this.flush(),
        close: () => this.finish(),
        error: () => this.finish(),
        connectError: () => this.finish(),
      },
    }).catch(() => this.finish())
  }

  private flush(): void {
    const { store, waiting } = this
    if (!store) return
    if (waiting.length > 0) {
      const taken = Math.max(0, store.write(waiting.written()))
      waiting.bytes.copyWithin(0, taken, waiting.length)
      waiting.length -= taken
    }
    if (waiting.length > 0) this.options.pauseClient()
    else this.options.resumeClient()
  }

  private finish(): void {
    if (this.over) return
    this.over = true
    this.options.end()
  }
}
