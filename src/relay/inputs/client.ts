/**
 * One connection to a line port, from accept to close: lines, or after an opening line the frames of another
 * relay, or a remote query that is authenticated here and then piped to the store's query socket.
 *
 * What is written to a client are acknowledgements and query replies: at most `OUT_BYTES_MAX` may wait, then
 * the query's source is paused; an acknowledgement that does not fit ends the connection.
 */

import { ByteWriter } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { type Log, reason } from '../../lib/log.ts'
import { FrameError, FrameReader, POINTS_FRAME_BYTES_MAX } from '../../ipc/frame-format.ts'
import { appendError, ErrorCode, type Opening, PROTOCOL_NEWEST } from '../../ipc/points-format.ts'
import { PointsReceiver } from '../../ipc/points-receiver.ts'
import { plainAddress, type ConnectionHandler, type ConnectionSocket } from './connections.ts'
import { LineStream, type LineStreamOptions } from './line-stream.ts'
import { QueryPipe } from './query-pipe.ts'
import type { Senders } from './senders.ts'

const OUT_BYTES_MAX = 1024 * 1024

export interface ClientOptions {
  readonly clock: Clock
  readonly log: Log
  readonly lines: Omit<LineStreamOptions, 'onOpening' | 'origin'>
  readonly senders: Senders
  readonly token: string | undefined
  readonly querySocket: string
}

export class Client implements ConnectionHandler {
  private readonly options: ClientOptions
  private readonly socket: ConnectionSocket
  private readonly stream: LineStream
  private readonly out: ByteWriter
  private receiver: PointsReceiver | undefined
  private query: QueryPipe | undefined
  private over: boolean

  constructor(options: ClientOptions, socket: ConnectionSocket) {
    this.options = options
    this.socket = socket
    this.out = new ByteWriter(0)
    this.receiver = undefined
    this.query = undefined
    this.over = false
    this.stream = new LineStream({
      ...options.lines,
      origin: plainAddress(socket.remoteAddress ?? ''),
      onOpening: (opening) => this.open(opening),
    })
  }

  get isAcknowledged(): boolean {
    return this.receiver !== undefined || this.query !== undefined
  }

  receive(bytes: Uint8Array): void {
    if (this.over) return
    try {
      this.stream.feed(bytes)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.options.log.warn('connection of another relay ends', { why: reason(error) })
      this.receiver?.fail(ErrorCode.protocol, error.message)
      this.end()
    }
  }

  drain(): void {
    this.flush()
    if (this.out.length === 0) this.query?.resume()
  }

  closed(): void {
    this.over = true
    this.stream.end()
    this.query?.close()
    if (this.receiver) this.options.senders.detach(this.receiver.sender, this.receiver)
  }

  end(): void {
    this.over = true
    this.socket.end()
  }

  private open(opening: Opening): (bytes: Uint8Array) => void {
    const { clock, senders, token, querySocket } = this.options
    const { sender, version } = opening
    const nonce = clock.randomBytes(16)
    if (version === undefined) {
      const out = new ByteWriter(64)
      appendError(out, ErrorCode.version, `version ${PROTOCOL_NEWEST} is spoken here`)
      this.send(out.written())
      this.end()
      return () => undefined
    }
    if (sender === undefined) {
      const query = new QueryPipe({
        version,
        nonce,
        token,
        path: querySocket,
        send: (bytes) => this.send(bytes) === 0,
        end: () => this.end(),
        pauseClient: () => this.socket.pause(),
        resumeClient: () => this.socket.resume(),
      })
      this.query = query
      return (bytes) => query.feed(bytes)
    }
    const receiver = new PointsReceiver({
      sender,
      version,
      nonce,
      sink: senders.sink(),
      send: (bytes) => {
        if (this.send(bytes) > OUT_BYTES_MAX) this.end()
      },
      token,
    })
    this.receiver = receiver
    senders.attach(sender, receiver)
    const frames = new FrameReader({
      bytesMax: POINTS_FRAME_BYTES_MAX,
      onFrame: (frame) => receiver.receive(frame),
    })
    return (bytes) => frames.feed(bytes)
  }

  /** How many bytes wait after this. */
  private send(bytes: Uint8Array): number {
    if (this.over) return 0
    this.out.raw(bytes)
    this.flush()
    return this.out.length
  }

  private flush(): void {
    const { out } = this
    if (out.length === 0) return
    const taken = Math.max(0, this.socket.write(out.written()))
    out.bytes.copyWithin(0, taken, out.length)
    out.length -= taken
  }
}
