/**
 * The sending end of acknowledged points (points-format.ts): one connection. It does no I/O; the owner
 * keeps the frames until they are synced, so that they can be sent again on the next connection.
 */

import { assert } from '../lib/assert.ts'
import { ByteWriter, toUtf8 } from '../lib/bytes.ts'
import {
  appendFrame,
  beginFrame,
  endFrame,
  FLAG_SKIPPABLE,
  type Frame,
  FRAME_HEADER_BYTES,
  FrameError,
  FrameType,
  POINTS_FRAME_BYTES_MAX,
} from './frame-format.ts'
import {
  appendAuth,
  appendForget,
  appendName,
  decodeAck,
  decodeError,
  decodeHello,
  decodeWindow,
  type Hello,
  NAME_IDS_MAX,
  openingLine,
  PROTOCOL_NEWEST,
  PROTOCOL_OLDEST,
  WINDOW_BYTES_DEFAULT,
} from './points-format.ts'
import { encodeSources, type SourceSpan } from './sources-format.ts'

/**
 * The names that a run of frames speaks of: id → bytes, ids from 0 in order. A frame that waits for its
 * acknowledgement keeps its table, so it can be sent again on a connection that knows no names.
 */
export class NameTable {
  private arena: Uint8Array
  private ends: Uint32Array
  count: number

  constructor() {
    this.arena = new Uint8Array(1024)
    this.ends = new Uint32Array(64)
    this.count = 0
  }

  get isFull(): boolean {
    return this.count === NAME_IDS_MAX
  }

  /** The id of the added name; names are not looked up, the owner adds each once. */
  add(name: Uint8Array): number {
    const id = this.count
    assert(id < NAME_IDS_MAX, 'add() to a full NameTable')
    const start = id === 0 ? 0 : this.ends[id - 1]!
    const end = start + name.length
    if (end > this.arena.length) this.arena = grown(this.arena, end)
    if (id === this.ends.length) {
      const ends = new Uint32Array(id * 2)
      ends.set(this.ends)
      this.ends = ends
    }
    this.arena.set(name, start)
    this.ends[id] = end
    this.count = id + 1
    return id
  }

  name(id: number): Uint8Array {
    return this.arena.subarray(id === 0 ? 0 : this.ends[id - 1]!, this.ends[id]!)
  }
}

function grown(bytes: Uint8Array, needed: number): Uint8Array {
  const larger = new Uint8Array(Math.max(needed, bytes.length * 2))
  larger.set(bytes)
  return larger
}

/** A POINTS frame that can be sent any number of times. */
export interface OutgoingFrame {
  readonly sequence: number
  /** As PointsBlock has it. */
  readonly payload: Uint8Array
  readonly names: NameTable
  /** Names `[0, nameCount)` are all that it uses. */
  readonly nameCount: number
  /** Where its points come from, as far as that is known. */
  readonly sources?: readonly SourceSpan[]
}

export interface PointsSenderOptions {
  readonly sender: string
  readonly token?: string | undefined
  readonly compress: boolean
  /** Puts bytes on the connection, in order. */
  readonly send: (bytes: Uint8Array) => void
  /** The connection is ready; frames after `hello.written` are to be sent. */
  readonly onHello: (hello: Hello) => void
  readonly onAck: (ack: { written: number; synced: number }) => void
  /** The other end says why it hangs up. */
  readonly onError: (error: { code: number; text: string }) => void
}

/**
 * One connection's sending end. Call `open()`, feed it the frames that come back, and after `onHello`
 * append frames to the outgoing bytes with `append`, in order of sequence, as long as the window allows.
 */
export class PointsSender {
  private readonly options: PointsSenderOptions
  private names: NameTable | undefined
  private namesSent: number
  /** Sequence and bytes of what was sent and is not yet `written`, oldest first. */
  private readonly inFlight: { sequence: number; bytes: number }[]
  private inFlightBytes: number
  private windowBytes: number
  ready: boolean

  constructor(options: PointsSenderOptions) {
    this.options = options
    this.names = undefined
    this.namesSent = 0
    this.inFlight = []
    this.inFlightBytes = 0
    this.windowBytes = WINDOW_BYTES_DEFAULT
    this.ready = false
  }

  open(): void {
    this.options.send(toUtf8(openingLine(this.options.sender)))
  }

  receive(frame: Frame): void {
    switch (frame.type) {
      case FrameType.hello:
        return this.greet(decodeHello(frame.payload))
      case FrameType.ack:
        return this.acknowledge(decodeAck(frame.payload))
      case FrameType.window:
        this.windowBytes = decodeWindow(frame.payload)
        return
      case FrameType.error:
        return this.options.onError(decodeError(frame.payload))
      default:
        if ((frame.flags & FLAG_SKIPPABLE) === 0) {
          throw new FrameError(`frame of type ${frame.type} is not known here`)
        }
    }
  }

  /** Whether a frame with that payload fits the window; one always does when nothing is in flight. */
  hasRoom(payloadBytes: number): boolean {
    return (
      this.ready &&
      (this.inFlightBytes === 0 || this.inFlightBytes + payloadBytes <= this.windowBytes)
    )
  }

  /** Appends the frame, and before it the names that this connection does not know yet. */
  append(dst: ByteWriter, frame: OutgoingFrame): void {
    assert(this.ready, 'append() before HELLO')
    const start = dst.length
    if (this.names !== frame.names) {
      if (this.names) appendForget(dst)
      this.names = frame.names
      this.namesSent = 0
    }
    this.appendNames(dst, frame)
    if (frame.sources && frame.sources.length > 0) {
      const at = beginFrame(dst, FrameType.sources, FLAG_SKIPPABLE)
      encodeSources(dst, frame.sources)
      endFrame(dst, at)
    }
    appendFrame(dst, FrameType.points, frame.payload, { compress: this.options.compress })
    this.inFlight.push({ sequence: frame.sequence, bytes: dst.length - start })
    this.inFlightBytes += dst.length - start
  }

  private appendNames(dst: ByteWriter, frame: OutgoingFrame): void {
    const names = frame.names
    while (this.namesSent < frame.nameCount) {
      const at = beginFrame(dst, FrameType.names)
      const end = at + FRAME_HEADER_BYTES + POINTS_FRAME_BYTES_MAX - 2048
      while (this.namesSent < frame.nameCount && dst.length < end) {
        appendName(dst, this.namesSent, names.name(this.namesSent))
        this.namesSent++
      }
      endFrame(dst, at)
    }
  }

  private greet(hello: Hello): void {
    if (hello.version < PROTOCOL_OLDEST || hello.version > PROTOCOL_NEWEST) {
      throw new FrameError(`the other end chose version ${hello.version}, which is not spoken here`)
    }
    if (this.options.token !== undefined) {
      const out = new ByteWriter(64)
      appendAuth(out, this.options.token, hello.nonce)
      this.options.send(out.written())
    }
    this.ready = true
    this.options.onHello(hello)
  }

  private acknowledge(ack: { written: number; synced: number }): void {
    let count = 0
    while (count < this.inFlight.length && this.inFlight[count]!.sequence <= ack.written) {
      this.inFlightBytes -= this.inFlight[count]!.bytes
      count++
    }
    this.inFlight.splice(0, count)
    this.options.onAck(ack)
  }
}
