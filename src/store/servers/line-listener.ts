/**
 * Plain lines on TCP (`name value timestamp`), for use without the relay. Each piece that is read is parsed
 * in place, looked up as bytes, and logged before the next is read; there is no acknowledgement.
 *
 * Limits: 4,096 connections, 8 KiB a line; what is longer is skipped to its end. Everything that is dropped is
 * counted by reason: `dropped.line`, `dropped.value`, `dropped.time`, `dropped.series`, `dropped.disk`.
 */

import {
  type ConnectionServer,
  type Served,
  serveConnections,
} from '../../ipc/connection-server.ts'
import { NEWLINE } from '../../lib/bytes.ts'
import { type Clock, nowSeconds } from '../../lib/clock.ts'
import type { Counter, Stats } from '../../lib/stats.ts'
import { emptyLineFields, type LineFields, scanLine } from '../../metric/line.ts'
import { BAD_TIME, parseTimestamp, parseValue } from '../../metric/number.ts'
import { PointBatch } from '../../metric/series.ts'
import { ABSENT } from '../index/byte-table.ts'
import type { Engine } from '../engine.ts'
import type { SeriesRegistry } from '../index/series-registry.ts'

const CONNECTIONS_MAX = 4_096
const LINE_BYTES_MAX = 8_192
const BATCH_POINTS = 8_192
const TIME_MAX = 0xffff_ffff

export interface LineListenerParts {
  readonly bind: string
  readonly port: number
  readonly clock: Clock
  readonly stats: Stats
  readonly engine: Engine
  readonly registry: SeriesRegistry
}

export function listenForLines(parts: LineListenerParts): ConnectionServer<Served> {
  const { bind: hostname, port, stats } = parts
  const sink = new LineSink(parts)
  const server = serveConnections({
    where: { hostname, port },
    connectionsMax: CONNECTIONS_MAX,
    refused: stats.counter('tcp.refused'),
    open: () => new LineConnection(sink),
  })
  stats.gauge('tcp.active', () => server.connections.size)
  return server
}

/** Hands whole lines to the sink; a last line without its end waits. */
class LineConnection implements Served {
  private readonly sink: LineSink
  /** The beginning of a line whose end has not come. */
  private rest: Uint8Array
  /** The line is too long: everything up to its end is skipped. */
  private isSkipping: boolean

  constructor(sink: LineSink) {
    this.sink = sink
    this.rest = new Uint8Array(0)
    this.isSkipping = false
  }

  receive(bytes: Uint8Array): void | Promise<void> {
    this.take(bytes)
    return this.sink.whenRoom()
  }

  private take(bytes: Uint8Array): void {
    const { sink } = this
    let start = 0
    if (this.rest.length > 0 || this.isSkipping) {
      const end = bytes.indexOf(NEWLINE)
      if (end < 0) return this.keep(bytes)
      start = end + 1
      if (!this.isSkipping) {
        const line = joined(this.rest, bytes.subarray(0, start))
        this.rest = new Uint8Array(0)
        sink.lines(line, 0)
      }
      this.isSkipping = false
    }
    const end = sink.lines(bytes, start)
    sink.flush()
    if (end < bytes.length) this.keep(bytes.subarray(end))
  }

  drain(): void {}

  /** A line without its end is none. */
  close(): void {
    if (this.rest.length > 0) this.sink.droppedLine()
  }

  private keep(bytes: Uint8Array): void {
    if (this.isSkipping) return
    if (this.rest.length + bytes.length > LINE_BYTES_MAX) {
      this.rest = new Uint8Array(0)
      this.isSkipping = true
      this.sink.droppedLine()
    } else this.rest = joined(this.rest, bytes)
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length)
  both.set(a)
  both.set(b, a.length)
  return both
}

/** Lines to columns to the engine. */
class LineSink {
  private readonly parts: LineListenerParts
  private readonly batch: PointBatch
  private readonly fields: LineFields
  private readonly times: { now: number; latest: number }
  private readonly received: Counter
  private readonly dropped: Readonly<Record<'line' | 'value' | 'time' | 'series' | 'disk', Counter>>

  constructor(parts: LineListenerParts) {
    const { stats } = parts
    this.parts = parts
    this.batch = new PointBatch(BATCH_POINTS)
    this.fields = emptyLineFields()
    this.times = { now: 0, latest: 0 }
    this.received = stats.counter('metricsReceived')
    this.dropped = {
      line: stats.counter('dropped.line'),
      value: stats.counter('dropped.value'),
      time: stats.counter('dropped.time'),
      series: stats.counter('dropped.series'),
      disk: stats.counter('dropped.disk'),
    }
  }

  /** As the engine says it. */
  whenRoom(): Promise<void> | undefined {
    return this.parts.engine.whenRoom()
  }

  droppedLine(): void {
    this.dropped.line.value++
  }

  /** Takes every whole line from `start` on; returns where the last one ended. */
  lines(bytes: Uint8Array, start: number): number {
    const { times, parts } = this
    times.now = nowSeconds(parts.clock)
    times.latest = Math.min(TIME_MAX, parts.engine.latestTime())
    let at = start
    for (;;) {
      const end = bytes.indexOf(NEWLINE, at)
      if (end < 0) return at
      this.line(bytes, at, end)
      at = end + 1
    }
  }

  /** Gives what was collected to the engine. */
  flush(): void {
    const { batch } = this
    if (batch.length === 0) return
    const { ids, timestamps, values, length } = batch
    if (this.parts.engine.append(undefined, ids, timestamps, values, length)) {
      this.received.value += length
    } else this.dropped.disk.value += length
    batch.reset()
  }

  private line(bytes: Uint8Array, start: number, end: number): void {
    const { fields, times, batch } = this
    if (end - start > LINE_BYTES_MAX || !scanLine(bytes, start, end, fields)) {
      if (end > start) this.dropped.line.value++
      return
    }
    const value = parseValue(bytes, fields.valueStart, fields.valueEnd)
    if (value !== value) {
      this.dropped.value.value++
      return
    }
    const timestamp = parseTimestamp(bytes, fields.timeStart, fields.timeEnd, times)
    if (timestamp === BAD_TIME) {
      this.dropped.time.value++
      return
    }
    const { registry } = this.parts
    let id = registry.index.find(bytes, fields.nameStart, fields.nameEnd)
    if (id === ABSENT) {
      id = registry.resolveOnce(bytes.subarray(fields.nameStart, fields.nameEnd))
      if (id === ABSENT) {
        this.dropped.series.value++
        return
      }
    }
    batch.push(id, timestamp, value)
    if (batch.isFull) this.flush()
  }
}
