/**
 * query.sock: questions from the api and others (ipc/store-protocol.ts). Many requests may be open on one
 * connection; each has its deadline, can be cancelled, and ends with its connection. A fetch waits for a
 * reader that is slow, so a reply never piles up in memory.
 *
 * Limits: 4,096 connections, 256 open requests on each, a deadline of at most ten minutes, 32 MiB a frame.
 */

import type { Disk } from '../../lib/disk.ts'
import { type Log, reason } from '../../lib/log.ts'
import { ByteWriter, toUtf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Stats } from '../../lib/stats.ts'
import { AssertionError } from '../../lib/assert.ts'
import {
  type ConnectionServer,
  type Served,
  serveConnections,
} from '../../ipc/connection-server.ts'
import {
  type Frame,
  FrameError,
  FrameReader,
  FrameType,
  QUERY_FRAME_BYTES_MAX,
} from '../../ipc/frame-format.ts'
import {
  appendJson,
  appendSeries,
  appendSeriesHead,
  decodeJson,
  type FetchedSeries,
  frameId,
  seriesFrameBytes,
  type StoreFailure,
  type StoreRequest,
  valueBytes,
} from '../../ipc/store-protocol.ts'
import { QueryError } from '../query-error.ts'
import { Abandoned } from '../../lib/slices.ts'
import { SocketWriter } from './socket-writer.ts'
import type { StoreQueries } from '../queries/store-queries.ts'

const CONNECTIONS_MAX = 4_096
const OPEN_REQUESTS_MAX = 256
const DEADLINE_MS_MAX = 600_000

/** Longer series are sent from where their values lie. */
const COPY_BYTES_MAX = 16 * 1024

export interface QueryServerParts {
  readonly socketPath: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly queries: StoreQueries
}

export function serveQueries(parts: QueryServerParts): ConnectionServer<Served> {
  const { disk, socketPath: path, stats } = parts
  const server = serveConnections({
    where: { path, disk },
    connectionsMax: CONNECTIONS_MAX,
    refused: stats.counter('query.refused'),
    open: (socket) => new QueryConnection(socket, parts),
  })
  stats.gauge('query.connections', () => server.connections.size)
  return server
}

/** A request that is being worked on. */
interface OpenRequest {
  readonly id: number
  readonly abort: AbortController
  /** Why it was given up: nothing is sent then, or that its time is over. */
  outcome: 'running' | 'cancelled' | 'deadline'
}

class QueryConnection implements Served {
  private readonly writer: SocketWriter
  private readonly socket: Pick<Bun.Socket, 'write' | 'end'>
  private readonly parts: QueryServerParts
  private readonly frames: FrameReader
  private readonly open: Map<number, OpenRequest>
  /** Of the series that was sent last. */
  private frame: ByteWriter

  constructor(socket: Pick<Bun.Socket, 'write' | 'end'>, parts: QueryServerParts) {
    this.writer = new SocketWriter(socket)
    this.socket = socket
    this.parts = parts
    this.open = new Map()
    this.frame = new ByteWriter(512)
    this.frames = new FrameReader({
      bytesMax: QUERY_FRAME_BYTES_MAX,
      onFrame: (frame) => this.handle(frame),
    })
  }

  receive(bytes: Uint8Array): void {
    try {
      this.frames.feed(bytes)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.parts.log.warn('query connection ended', { reason: error.message })
      this.socket.end()
    }
  }

  drain(): void {
    this.writer.flush()
  }

  close(): void {
    this.writer.close()
    for (const request of this.open.values()) giveUp(request, 'cancelled')
  }

  private handle(frame: Frame): void {
    const id = frameId(frame.payload)
    if (frame.type === FrameType.cancel) {
      const request = this.open.get(id)
      if (request) giveUp(request, 'cancelled')
    } else if (frame.type === FrameType.request) {
      const body = decodeJson<StoreRequest>(frame.payload)
      if (this.open.has(id)) throw new FrameError(`request ${id} is open already`)
      if (this.open.size >= OPEN_REQUESTS_MAX) {
        this.fail(id, { code: 'limit', text: `more than ${OPEN_REQUESTS_MAX} open requests` })
      } else void this.serve(id, body)
    } else throw new FrameError(`frame of type ${frame.type} is not known here`)
  }

  private async serve(id: number, body: StoreRequest): Promise<void> {
    const { clock, stats } = this.parts
    const request: OpenRequest = { id, abort: new AbortController(), outcome: 'running' }
    this.open.set(id, request)
    const startedMs = clock.monotonicMs()
    const deadline = clock.after(deadlineMs(body), () => giveUp(request, 'deadline'))
    try {
      await this.answer(request, body)
    } catch (error) {
      this.explain(request, error)
    } finally {
      deadline.cancel()
      this.open.delete(id)
      stats.counter('query.requests').value++
      stats.counter('query.milliseconds').value += Math.round(clock.monotonicMs() - startedMs)
    }
  }

  private async answer(request: OpenRequest, body: StoreRequest): Promise<void> {
    const { queries, clock } = this.parts
    const { id, abort } = request
    const patience = { clock, isOver: () => request.outcome !== 'running' }
    switch (body.op) {
      case 'fetch': {
        const receiver = {
          signal: abort.signal,
          take: this.sendSeries.bind(this, request),
        }
        return this.send(FrameType.end, id, await queries.fetch(body, receiver, patience))
      }
      case 'find':
        return this.send(FrameType.reply, id, await queries.find(body, patience))
      case 'index':
        return this.send(FrameType.reply, id, await queries.listNames(body, patience))
      case 'tags':
        return this.send(FrameType.reply, id, await queries.tags(body, patience))
      case 'register':
        return this.send(FrameType.reply, id, await queries.register(body))
      case 'delete':
        return this.send(FrameType.reply, id, await queries.delete(body))
      case 'rename':
        return this.send(FrameType.reply, id, await queries.rename(body))
      case 'info':
        return this.send(FrameType.reply, id, await queries.info(body, patience))
      default:
        throw new QueryError('bad', 'the store does not know this kind of request')
    }
  }

  /** Tells the asker why there is no answer. */
  private explain(request: OpenRequest, error: unknown): void {
    if (error instanceof AssertionError) throw error
    const { id, outcome } = request
    if (outcome === 'cancelled') return
    if (outcome === 'deadline' || error instanceof Abandoned) {
      this.fail(id, { code: 'deadline', text: 'the store was not done in time' })
    } else if (error instanceof QueryError) this.fail(id, { code: error.code, text: error.message })
    else {
      this.parts.stats.counter('query.failures').value++
      this.parts.log.error('query failed', { reason: reason(error) })
      this.fail(id, { code: 'unavailable', text: reason(error) })
    }
  }

  private sendSeries({ id, abort }: OpenRequest, series: FetchedSeries): void | Promise<void> {
    const bytes = seriesFrameBytes(toUtf8(series.name).length, series.values.length)
    if (bytes > QUERY_FRAME_BYTES_MAX) {
      throw new QueryError('limit', `${series.name} has too many points in this range`)
    }
    // The one before may still be on its way.
    if (this.writer.waitingBytes > 0) this.frame = new ByteWriter(COPY_BYTES_MAX + 512)
    const { frame } = this
    frame.reset()
    if (bytes <= COPY_BYTES_MAX) {
      appendSeries(frame, id, series)
      this.writer.write(frame.written())
    } else {
      appendSeriesHead(frame, id, series)
      this.writer.write(frame.written())
      this.writer.write(valueBytes(series.values))
    }
    // The values are the store's again when this is done, so what is not with the kernel yet is waited for.
    if (this.writer.waitingBytes > 0) return this.drained(abort.signal)
  }

  /** Resolves when everything is sent or the request is over: a reader that stalls holds no memory but its own. */
  private async drained(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const stop = (): void => resolve()
    signal.addEventListener('abort', stop)
    await Promise.race([this.writer.drained(), promise])
    signal.removeEventListener('abort', stop)
    if (signal.aborted) this.writer.keepOwn()
  }

  private send(type: number, id: number, body: unknown): void {
    const frame = new ByteWriter()
    appendJson(frame, type, id, body)
    this.writer.write(frame.written())
  }

  private fail(id: number, failure: StoreFailure): void {
    this.send(FrameType.failure, id, failure)
  }
}

function giveUp(request: OpenRequest, outcome: 'cancelled' | 'deadline'): void {
  if (request.outcome !== 'running') return
  request.outcome = outcome
  request.abort.abort()
}

function deadlineMs(body: StoreRequest): number {
  const asked = body.deadlineMs
  return asked > 0 ? Math.min(asked, DEADLINE_MS_MAX) : DEADLINE_MS_MAX
}
