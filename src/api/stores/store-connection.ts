/**
 * One store behind one connection that carries any number of open questions (ipc/store-protocol.ts), over
 * query.sock or, with HELLO and AUTH in front, a remote instance's relay port.
 *
 * The connection is opened at once and again whenever it breaks. A question that comes while it is down
 * waits for it up to RECONNECT_PATIENCE_MS after the break, so that a store that is restarted is not
 * noticed, and one that stays away costs nobody time. Reading questions that a break interrupts are asked
 * once more. A deadline or an abort sends CANCEL, and the store stops working.
 *
 * Fails with `StoreError`: what the store said, or `unavailable` and `deadline` by itself.
 */

import type { Socket } from 'bun'
import { Backoff } from '../../lib/backoff.ts'
import { ByteWriter, toUtf8 } from '../../lib/bytes.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import { type Log, reason } from '../../lib/log.ts'
import {
  type Frame,
  FrameError,
  FrameReader,
  FrameType,
  QUERY_FRAME_BYTES_MAX,
} from '../../ipc/frame-format.ts'
import {
  appendAuth,
  decodeError,
  decodeHello,
  PROTOCOL_NEWEST,
  PROTOCOL_OLDEST,
  queryOpeningLine,
} from '../../ipc/points-format.ts'
import {
  appendCancel,
  appendRequest,
  decodeJson,
  decodeSeries,
  type FetchedSeries,
  frameId,
  type StoreFailure,
  type StoreReplies,
  type StoreRequest,
} from '../../ipc/store-protocol.ts'
import type { StoreAddress } from './store-address.ts'

export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code: StoreFailure['code'] | 'cancelled'

  constructor(code: StoreError['code'], text: string) {
    super(text)
    this.code = code
  }
}

export interface StoreConnectionOptions {
  readonly address: StoreAddress
  readonly token: string | undefined
  readonly clock: Clock
  readonly log: Log
}

/** What is asked with one reply, as opposed to fetch's stream. */
export type AnsweredOp = keyof StoreReplies

/** A question without what the connection fills in. */
export type Question<Op extends StoreRequest['op'] = StoreRequest['op']> =
  Extract<StoreRequest, { op: Op }> extends infer R
    ? R extends unknown
      ? Omit<R, 'deadlineMs'>
      : never
    : never

export interface Asking {
  readonly deadlineMs: number
  readonly signal: AbortSignal
}

const RECONNECT_PATIENCE_MS = 2_000
const RECONNECT_DELAYS = { minMs: 50, maxMs: 1_000 }
const REQUEST_BYTES_MAX = QUERY_FRAME_BYTES_MAX
/** No question has this id. */
const PROBE_ID = 0
const PROBE_MS_MAX = 5_000

interface Pending {
  readonly id: number
  readonly question: Question
  readonly deadlineAtMs: number
  readonly settle: (error: StoreError | undefined, body: unknown) => void
  readonly timer: Timer
  series: FetchedSeries[]
  state: 'waiting' | 'asked' | 'asked again'
}

export class StoreConnection {
  readonly address: StoreAddress
  private readonly options: StoreConnectionOptions
  private readonly backoff: Backoff
  private readonly pending: Map<number, Pending>
  private socket: Socket | undefined
  private ready: boolean
  private closed: boolean
  private nextId: number
  /** Monotonic time at which the connection broke. */
  private brokenAtMs: number
  /** Bytes that the socket has not taken yet. */
  private unsent: Uint8Array[]
  private problem: string
  /** The problem that is in the log; a store that stays away is reported once. */
  private reported: string

  constructor(options: StoreConnectionOptions) {
    this.options = options
    this.address = options.address
    this.backoff = new Backoff(options.clock, RECONNECT_DELAYS)
    this.pending = new Map()
    this.socket = undefined
    this.ready = false
    this.closed = false
    this.nextId = 1
    this.brokenAtMs = options.clock.monotonicMs()
    this.unsent = []
    this.problem = 'not connected yet'
    this.reported = ''
    this.connect()
  }

  /** Undefined when questions can be asked, else why not. */
  notReady(): string | undefined {
    return this.ready ? undefined : this.problem || 'connecting'
  }

  fetch(question: Question<'fetch'>, asking: Asking): Promise<readonly FetchedSeries[]> {
    return this.ask(question, asking) as Promise<readonly FetchedSeries[]>
  }

  request<Op extends AnsweredOp>(
    question: Question<Op>,
    asking: Asking,
  ): Promise<StoreReplies[Op]> {
    return this.ask(question as Question, asking) as Promise<StoreReplies[Op]>
  }

  close(): void {
    this.closed = true
    this.socket?.end()
    this.dropAll('the api is stopping')
  }

  // ── asking ────────────────────────────────────────────────────────────────────────────────────────

  private ask(question: Question, asking: Asking): Promise<unknown> {
    const { clock } = this.options
    if (asking.signal.aborted) return Promise.reject(new StoreError('cancelled', 'cancelled'))
    if (!this.ready && clock.monotonicMs() - this.brokenAtMs > RECONNECT_PATIENCE_MS) {
      return Promise.reject(this.unavailable())
    }
    const id = this.nextId
    this.nextId = (this.nextId % 0xffff_fffe) + 1
    return new Promise((resolve, reject) => {
      const cancel = (): void => this.abandon(id, new StoreError('cancelled', 'cancelled'))
      const timer = clock.after(asking.deadlineMs, () =>
        this.abandon(id, new StoreError('deadline', `${this.address.text} did not answer in time`)),
      )
      asking.signal.addEventListener('abort', cancel, { once: true })
      const pending: Pending = {
        id,
        question,
        deadlineAtMs: clock.monotonicMs() + asking.deadlineMs,
        timer,
        series: [],
        state: 'waiting',
        settle: (error, body) => {
          timer.cancel()
          asking.signal.removeEventListener('abort', cancel)
          this.pending.delete(id)
          if (error) reject(error)
          else resolve(body)
        },
      }
      this.pending.set(id, pending)
      if (this.ready) this.send(pending)
    })
  }

  private send(pending: Pending): void {
    const { question, deadlineAtMs } = pending
    const deadlineMs = Math.max(1, Math.ceil(deadlineAtMs - this.options.clock.monotonicMs()))
    const out = new ByteWriter(512)
    appendRequest(out, pending.id, { ...question, deadlineMs } as StoreRequest)
    if (out.length > REQUEST_BYTES_MAX) {
      return pending.settle(new StoreError('limit', 'the question is too long'), undefined)
    }
    pending.state = pending.state === 'waiting' ? 'asked' : 'asked again'
    this.write(out.written())
  }

  private abandon(id: number, error: StoreError): void {
    const pending = this.pending.get(id)
    if (!pending) return
    if (this.ready && pending.state !== 'waiting') {
      const out = new ByteWriter(16)
      appendCancel(out, id)
      this.write(out.written())
    }
    pending.settle(error, undefined)
  }

  private write(bytes: Uint8Array): void {
    if (this.unsent.length > 0) this.unsent.push(bytes)
    else {
      const taken = Math.max(0, this.socket?.write(bytes) ?? 0)
      if (taken < bytes.length) this.unsent.push(bytes.subarray(taken))
    }
  }

  private drain(): void {
    const waiting = this.unsent
    this.unsent = []
    for (const bytes of waiting) this.write(bytes)
  }

  // ── the connection ────────────────────────────────────────────────────────────────────────────────

  private connect(): void {
    if (this.closed) return
    const { target } = this.address
    const reader = new FrameReader({
      bytesMax: QUERY_FRAME_BYTES_MAX,
      onFrame: (frame) => this.receive(frame),
    })
    const handlers = {
      open: (socket: Socket) => this.opened(socket),
      data: (socket: Socket, bytes: Uint8Array) => {
        try {
          reader.feed(bytes)
        } catch (error) {
          if (!(error instanceof FrameError)) throw error
          this.problem = error.message
          socket.terminate()
        }
      },
      drain: () => this.drain(),
      close: (socket: Socket) => {
        if (socket === this.socket)
          this.broken(this.problem === '' ? 'connection closed' : this.problem)
      },
      error: (_socket: Socket, error: Error) => {
        this.problem = reason(error)
      },
    }
    const connecting =
      'unix' in target
        ? Bun.connect({ unix: target.unix, socket: handlers })
        : Bun.connect({ ...target, socket: handlers })
    connecting.catch((error: unknown) => this.broken(reason(error)))
  }

  private opened(socket: Socket): void {
    this.socket = socket
    this.problem = ''
    if (this.closed) socket.end()
    else if ('unix' in this.address.target) this.becomeReady()
    else {
      this.write(toUtf8(queryOpeningLine()))
    }
  }

  private becomeReady(): void {
    this.ready = true
    this.backoff.reset()
    this.reported = ''
    this.options.log.info('store connected', { store: this.address.text })
    for (const pending of this.pending.values()) this.send(pending)
  }

  /** The connection ended or never came; what waits may be asked again on the next one. */
  private broken(problem: string): void {
    const { clock, log } = this.options
    if (this.ready) this.brokenAtMs = clock.monotonicMs()
    if (problem !== this.reported) {
      this.reported = problem
      log.warn('store cannot be reached', { store: this.address.text, problem })
    }
    this.ready = false
    this.socket = undefined
    this.unsent = []
    this.problem = problem
    if (this.closed) return
    for (const pending of this.pending.values()) {
      if (!mayAskAgain(pending)) pending.settle(this.unavailable(), undefined)
      else pending.series = []
    }
    if (clock.monotonicMs() - this.brokenAtMs > RECONNECT_PATIENCE_MS) this.dropAll(problem)
    clock.after(this.backoff.delayMs(), () => this.connect())
  }

  private dropAll(problem: string): void {
    this.problem = problem
    for (const pending of this.pending.values()) {
      pending.settle(this.unavailable(), undefined)
    }
  }

  private unavailable(): StoreError {
    return new StoreError(
      'unavailable',
      `store ${this.address.text} cannot be reached: ${this.problem}`,
    )
  }

  // ── answers ───────────────────────────────────────────────────────────────────────────────────────

  private receive(frame: Frame): void {
    if (!this.ready) return this.greet(frame)
    if (frame.type === FrameType.error) throw new FrameError(decodeError(frame.payload).text)
    const pending = this.pending.get(frameId(frame.payload))
    if (!pending) return
    switch (frame.type) {
      case FrameType.series:
        pending.series.push(decodeSeries(frame.payload, frame.owned))
        return
      case FrameType.end:
        return pending.settle(undefined, pending.series)
      case FrameType.reply:
        return pending.settle(undefined, decodeJson(frame.payload))
      case FrameType.failure: {
        const failure = decodeJson<StoreFailure>(frame.payload)
        return pending.settle(new StoreError(failure.code, failure.text), undefined)
      }
      default:
        throw new FrameError(`frame of type ${frame.type} is not known here`)
    }
  }

  /** A remote store's HELLO, and its answer to a first question, which shows that the token is right. */
  private greet(frame: Frame): void {
    if (frame.type === FrameType.error) {
      throw new FrameError(`refused: ${decodeError(frame.payload).text}`)
    }
    if (frame.type === FrameType.reply) return this.becomeReady()
    if (frame.type !== FrameType.hello) throw new FrameError('the other end does not say HELLO')
    const hello = decodeHello(frame.payload)
    if (hello.version < PROTOCOL_OLDEST || hello.version > PROTOCOL_NEWEST) {
      throw new FrameError(`version ${hello.version} is not spoken here`)
    }
    const out = new ByteWriter(128)
    if (this.options.token !== undefined) appendAuth(out, this.options.token, hello.nonce)
    appendRequest(out, PROBE_ID, { op: 'info', paths: [], now: 0, deadlineMs: PROBE_MS_MAX })
    this.write(out.written())
  }
}

function mayAskAgain({ state, question }: Pending): boolean {
  if (state === 'waiting') return true
  const changes = question.op === 'register' || question.op === 'delete' || question.op === 'rename'
  return state === 'asked' && !changes
}
