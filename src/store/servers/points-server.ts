/**
 * points.sock: acknowledged points from relays (ipc/points-format.ts). Frames go to the engine as columns;
 * ids were resolved when their names came, so nothing is looked up per point.
 *
 * `written` is acknowledged when the frame is in the log, `synced` after each sync of it. When the engine
 * does not write (disk full), the connection is ended with an error: nothing after the refused frame may be
 * taken, the sender keeps it and comes back.
 *
 * Late points that come faster than they can be written are read more slowly: the sender's window fills.
 *
 * Limits: 4,096 connections, 128 bytes for the opening line, 1 MiB a frame.
 */

import { ByteWriter, NEWLINE } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Disk } from '../../lib/disk.ts'
import type { Log } from '../../lib/log.ts'
import type { Counter, Stats } from '../../lib/stats.ts'
import {
  type ConnectionServer,
  type Served,
  serveConnections,
} from '../../ipc/connection-server.ts'
import { FrameError, FrameReader, POINTS_FRAME_BYTES_MAX } from '../../ipc/frame-format.ts'
import {
  appendError,
  ErrorCode,
  parseOpening,
  type PointsColumns,
} from '../../ipc/points-format.ts'
import { PointsReceiver } from '../../ipc/points-receiver.ts'
import { latin1 } from '../../metric/number.ts'
import type { Engine } from '../engine.ts'
import type { SeriesRegistry } from '../index/series-registry.ts'
import { SocketWriter } from './socket-writer.ts'

const CONNECTIONS_MAX = 4_096
const OPENING_BYTES_MAX = 128
const NONCE_BYTES = 16

export interface PointsServerParts {
  readonly socketPath: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly engine: Engine
  readonly registry: SeriesRegistry
}

export function servePoints(parts: PointsServerParts): ConnectionServer<Served> {
  const { disk, socketPath: path, stats, engine } = parts
  const server = serveConnections<PointsConnection>({
    where: { path, disk },
    connectionsMax: CONNECTIONS_MAX,
    refused: stats.counter('points.refused'),
    open: (socket) => new PointsConnection(socket, parts),
  })
  stats.gauge('points.connections', () => server.connections.size)
  engine.onSynced(() => {
    for (const connection of server.connections) connection.acknowledgeSynced()
  })
  return server
}

class PointsConnection implements Served {
  private readonly writer: SocketWriter
  private readonly socket: Pick<Bun.Socket, 'write' | 'end'>
  private readonly parts: PointsServerParts
  private readonly frames: FrameReader
  private readonly frameCount: Counter
  private readonly pointCount: Counter
  private opening: Uint8Array
  private receiver: PointsReceiver | undefined
  private syncedSent: number
  private isOver: boolean

  constructor(socket: Pick<Bun.Socket, 'write' | 'end'>, parts: PointsServerParts) {
    this.writer = new SocketWriter(socket)
    this.socket = socket
    this.parts = parts
    this.frames = new FrameReader({
      bytesMax: POINTS_FRAME_BYTES_MAX,
      onFrame: (frame) => {
        if (!this.isOver) this.receiver?.receive(frame)
      },
    })
    this.frameCount = parts.stats.counter('points.framesReceived')
    this.pointCount = parts.stats.counter('metricsReceived')
    this.opening = new Uint8Array(0)
    this.receiver = undefined
    this.syncedSent = 0
    this.isOver = false
  }

  receive(bytes: Uint8Array): void | Promise<void> {
    if (this.isOver) return
    try {
      if (this.receiver) this.frames.feed(bytes)
      else this.open(bytes)
    } catch (error) {
      if (!(error instanceof FrameError)) throw error
      this.end(ErrorCode.protocol, error.message)
    }
    return this.parts.engine.whenRoom()
  }

  drain(): void {
    this.writer.flush()
  }

  /** After a sync of the log. */
  acknowledgeSynced(): void {
    if (!this.receiver || this.isOver) return
    const sequences = this.parts.engine.lastSequences(this.receiver.sender)
    if (sequences.synced === this.syncedSent) return
    this.syncedSent = sequences.synced
    this.receiver.ack(sequences)
  }

  close(): void {
    this.isOver = true
    this.writer.close()
    if (this.receiver) this.parts.registry.release(this.receiver)
  }

  /** Collects the opening line; what follows it are frames. */
  private open(bytes: Uint8Array): void {
    const all = new Uint8Array(this.opening.length + bytes.length)
    all.set(this.opening)
    all.set(bytes, this.opening.length)
    this.opening = all
    const end = all.indexOf(NEWLINE)
    if (end > OPENING_BYTES_MAX || (end < 0 && all.length > OPENING_BYTES_MAX)) {
      return this.refuse('the first line is no opening of the points protocol')
    }
    if (end < 0) return
    const opening = parseOpening(latin1(all, 0, end))
    if (opening?.sender === undefined) {
      return this.refuse('the first line is no opening of the points protocol')
    }
    if (opening.version === undefined) return this.refuse('no protocol version in common')
    if (!this.parts.engine.acceptsPoints()) return this.refuse('the store does not write now')
    this.start(opening.sender, opening.version)
    this.opening = new Uint8Array(0)
    if (end + 1 < all.length) this.frames.feed(all.subarray(end + 1))
  }

  private start(sender: string, version: number): void {
    const { engine, registry, clock } = this.parts
    this.receiver = new PointsReceiver({
      sender,
      version,
      nonce: clock.randomBytes(NONCE_BYTES),
      send: (bytes) => this.writer.write(bytes),
      sink: {
        resolve: (name) => registry.resolve(name),
        points: (from, columns) => this.take(from, columns),
        lastSequences: (from) => engine.lastSequences(from),
      },
    })
    registry.holders.add(this.receiver)
  }

  private take(sender: string, columns: PointsColumns): void {
    const { engine, registry } = this.parts
    const { sequence, ids, timestamps, values, count } = columns
    if (registry.hasParked) registry.retryParked(ids, count)
    this.frameCount.value++
    if (!engine.append({ sender, sequence }, ids, timestamps, values, count)) {
      return this.end(ErrorCode.refused, 'the store does not write now')
    }
    this.pointCount.value += count
    const sequences = engine.lastSequences(sender)
    this.syncedSent = sequences.synced
    this.receiver?.ack(sequences)
  }

  /** Ends a connection that has no receiver yet. */
  private refuse(text: string): void {
    this.isOver = true
    this.parts.log.debug('points connection refused', { reason: text })
    this.writer.write(errorFrame(text))
    this.socket.end()
  }

  private end(code: number, text: string): void {
    this.isOver = true
    this.parts.log.warn('points connection ended', { reason: text })
    this.receiver?.fail(code, text)
    this.socket.end()
  }
}

function errorFrame(text: string): Uint8Array {
  const frame = new ByteWriter(64)
  appendError(frame, ErrorCode.refused, text)
  return frame.written()
}
