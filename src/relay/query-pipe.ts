/**
 * A remote query connection (`emon/1-1,query` on the relay's port): HELLO and AUTH here, then bytes both
 * ways between the client and the store's query socket, each side paused while the other is slow.
 */

import { timingSafeEqual } from 'node:crypto'
import { ByteWriter } from '../lib/bytes.ts'
import { type Frame, FrameError, FrameReader, FrameType } from '../ipc/frame-format.ts'
import { appendHello, tokenProof } from '../ipc/points-format.ts'

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

const AUTH_BYTES_MAX = 256

export class QueryPipe {
  private readonly options: QueryPipeOptions
  private store: Bun.Socket<undefined> | undefined
  private readonly waiting: ByteWriter
  private authorized: boolean
  private readonly frames: FrameReader
  private over: boolean

  constructor(options: QueryPipeOptions) {
    const { version, nonce, token } = options
    this.options = options
    this.store = undefined
    this.waiting = new ByteWriter(256)
    this.authorized = token === undefined
    this.over = false
    this.frames = new FrameReader({
      bytesMax: AUTH_BYTES_MAX,
      onFrame: (frame) => this.authorize(frame),
    })
    const hello = new ByteWriter(64)
    appendHello(hello, { version, nonce, written: 0, synced: 0 })
    options.send(hello.written())
    if (this.authorized) this.connect()
  }

  /** From the client. Throws `FrameError` when the token is wrong. */
  feed(bytes: Uint8Array): void {
    if (!this.authorized) return this.frames.feed(bytes)
    this.waiting.raw(bytes)
    this.flush()
  }

  resume(): void {
    this.store?.resume()
  }

  close(): void {
    this.over = true
    this.store?.end()
  }

  private authorize(frame: Frame): void {
    const { token, nonce } = this.options
    if (this.authorized) throw new FrameError('queries follow once the answer to AUTH was awaited')
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
