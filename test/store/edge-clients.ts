/** Clients of the store's two sockets, for tests. */
import { ByteWriter, toUtf8 } from '../../src/lib/bytes.ts'
import {
  FrameReader,
  FrameType,
  POINTS_FRAME_BYTES_MAX,
  QUERY_FRAME_BYTES_MAX,
} from '../../src/ipc/frame-format.ts'
import { PointsBlock } from '../../src/ipc/points-block.ts'
import type { SourceSpan } from '../../src/ipc/sources-format.ts'
import { NameTable, PointsSender } from '../../src/ipc/points-sender.ts'
import {
  appendCancel,
  appendRequest,
  decodeJson,
  decodeSeries,
  type FetchedSeries,
  frameId,
  type StoreFailure,
  type StoreRequest,
} from '../../src/ipc/store-protocol.ts'

export type TestPoint = readonly [name: string, timestamp: number, value: number]

/** A relay's end of points.sock. */
export class PointsClient {
  readonly acks: { written: number; synced: number }[] = []
  readonly errors: string[] = []
  hello: { written: number; synced: number } | undefined
  isClosed = false
  private readonly names = new NameTable()
  private readonly ids = new Map<string, number>()
  private socket: Bun.Socket | undefined
  private readonly sender: PointsSender

  constructor(sender: string) {
    this.sender = new PointsSender({
      sender,
      compress: false,
      send: (bytes) => void this.socket?.write(bytes),
      onHello: (hello) => (this.hello = hello),
      onAck: (ack) => void this.acks.push({ ...ack }),
      onError: ({ text }) => void this.errors.push(text),
    })
  }

  async connect(path: string): Promise<void> {
    const reader = new FrameReader({
      bytesMax: POINTS_FRAME_BYTES_MAX,
      onFrame: (frame) => this.sender.receive(frame),
    })
    this.socket = await Bun.connect({
      unix: path,
      socket: {
        data: (_socket, bytes) => reader.feed(bytes),
        close: () => void (this.isClosed = true),
      },
    })
    this.sender.open()
    await until(() => this.hello !== undefined || this.isClosed)
  }

  send(sequence: number, points: readonly TestPoint[], sources: readonly SourceSpan[] = []): void {
    const batch = new PointsBlock(points.length)
    for (const [name, timestamp, value] of points) batch.push(this.id(name), timestamp, value)
    const out = new ByteWriter()
    this.sender.append(out, {
      sequence,
      payload: batch.close(sequence),
      sources,
      names: this.names,
      nameCount: this.names.count,
    })
    this.socket?.write(out.written())
  }

  /** Bytes that are no frames. */
  raw(text: string): void {
    this.socket?.write(text)
  }

  close(): void {
    this.socket?.end()
  }

  private id(name: string): number {
    const known = this.ids.get(name)
    if (known !== undefined) return known
    const id = this.names.add(toUtf8(name))
    this.ids.set(name, id)
    return id
  }
}

export interface Answer {
  readonly series: FetchedSeries[]
  reply: unknown
  failure: StoreFailure | undefined
}

/** The api's end of query.sock. */
export class QueryClient {
  private readonly open = new Map<number, { answer: Answer; done: () => void }>()
  private socket: Bun.Socket | undefined
  private lastId = 0

  async connect(path: string): Promise<void> {
    const reader = new FrameReader({
      bytesMax: QUERY_FRAME_BYTES_MAX,
      onFrame: ({ type, payload }) => {
        const waiting = this.open.get(frameId(payload))
        if (!waiting) throw new Error('an answer that nobody waits for')
        const { answer, done } = waiting
        if (type === FrameType.series) return void answer.series.push(decodeSeries(payload))
        if (type === FrameType.failure) answer.failure = decodeJson<StoreFailure>(payload)
        else answer.reply = decodeJson(payload)
        this.open.delete(frameId(payload))
        done()
      },
    })
    this.socket = await Bun.connect({
      unix: path,
      socket: { data: (_socket, bytes) => reader.feed(bytes) },
    })
  }

  ask(request: StoreRequest): Promise<Answer> {
    const id = ++this.lastId
    const out = new ByteWriter()
    appendRequest(out, id, request)
    const answer: Answer = { series: [], reply: undefined, failure: undefined }
    return new Promise((resolve) => {
      this.open.set(id, { answer, done: () => resolve(answer) })
      this.socket?.write(out.written())
    })
  }

  /** Takes back the last question. */
  cancel(): void {
    const out = new ByteWriter()
    appendCancel(out, this.lastId)
    this.socket?.write(out.written())
  }

  close(): void {
    this.socket?.end()
  }
}

export async function until(holds: () => boolean, seconds = 30): Promise<void> {
  const end = performance.now() + seconds * 1000
  while (!holds()) {
    if (performance.now() > end) throw new Error('waited in vain')
    await Bun.sleep(2)
  }
}
