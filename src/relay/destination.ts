/**
 * One upstream: takes lines or points from the dispatcher, gathers them into batches, keeps those until the
 * peer has them (outbox.ts, on disk when it takes long), and connects again for ever.
 *
 * ```
 *   appendLine / appendPoint ─▶ open block or batch ─seal()─▶ outbox ⇄ spool ─▶ session ─▶ upstream
 * ```
 *
 * A block of lines goes out after 10 ms, a frame of points after 50 ms, both at once when full. What is
 * open or in the outbox counts under one sequence (`position`), so that whoever has to know when a point
 * is held compares numbers.
 *
 * `auto` speaks acknowledged frames; a peer that does not answer the opening line within a second is taken
 * for a plain carbon, gets lines, and is asked again every hour.
 */

import { Backoff } from '../lib/backoff.ts'
import { ByteWriter } from '../lib/bytes.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Counter } from '../lib/stats.ts'
import { encodePoints } from '../ipc/points-format.ts'
import { NameTable } from '../ipc/points-sender.ts'
import { PointBatch } from '../metric/series.ts'
import { EmonSession } from './emon-session.ts'
import { copyBytes } from './copy-bytes.ts'
import { Outbox } from './outbox.ts'
import { PlainSession } from './plain-session.ts'
import { ResendWindow } from './resend-window.ts'
import type { SenderId } from './sender-id.ts'
import type { Session } from './session.ts'
import type { Spool } from './spool.ts'
import type { ConnectUpstream, Upstream } from './upstream.ts'

export type Dialect = 'line' | 'emon' | 'auto'

export interface DestinationOptions {
  /** As statistics name it. */
  readonly label: string
  readonly dialect: Dialect
  readonly connect: ConnectUpstream
  readonly clock: Clock
  readonly log: Log
  readonly senderId: SenderId
  readonly spool: Spool
  readonly maySpool: () => boolean
  readonly counters: DestinationCounters
  /** 0: nothing is written again (UDP, files). */
  readonly resendWindowBytes: number
  readonly compress: boolean
  readonly token: string | undefined
  readonly maxFutureSeconds: number
  /** Points a second; 0: max(4 × live rate, 50,000). */
  readonly replayRate: number
  /** `failures` has changed. */
  readonly onHealth: () => void
  /** `heldWritten` or `heldSynced` may have grown. */
  readonly onProgress: () => void
}

export interface DestinationCounters {
  readonly sent: Counter
  readonly spooled: Counter
  readonly dropped: Counter
  /** Lines whose value or time is none, found when they were made points. */
  readonly unparsable: Counter
  readonly reconnects: Counter
}

const BLOCK_BYTES = 64 * 1024
/** A run of lines is copied when it is this long, so that blocks fill evenly. */
const RUN_BYTES_MAX = 32 * 1024
const BATCH_POINTS = 8_192
const LINE_FLUSH_MS = 10
const POINT_FLUSH_MS = 50
const SPOOL_SYNC_MS = 1_000
const ASK_AGAIN_MS = 3_600_000
const MEMORY_BYTES_MAX = 32 * 1024 * 1024
const REPLAY_RATE_MIN = 50_000
/** A peer that closes in order this long after the last write had read everything: it would have reset. */
const QUIET_MS = 2_000
const DRAIN_POLL_MS = 20

export class Destination {
  readonly label: string
  readonly counters: DestinationCounters
  /** Consecutive connections that did not come up or broke. */
  failures: number
  /** True: give it points; false: give it lines. */
  takesPoints: boolean
  /** The names of points; ids of another table are of no use. */
  names: NameTable
  private readonly options: DestinationOptions
  private readonly outbox: Outbox
  private readonly window: ResendWindow | undefined
  private readonly backoff: Backoff
  private readonly batch: PointBatch
  private readonly encoder: ByteWriter
  private block: Uint8Array
  private blockLength: number
  /** Neighbouring lines that go on unchanged and are not copied yet; −1: none. */
  private runStart: number
  private runEnd: number
  private runCount: number
  private openCount: number
  private openSequence: number
  private bornMs: number
  private upstream: Upstream | undefined
  /** Which connection's events count: those of earlier ones come to nothing. */
  private attempt: number
  private session: Session | undefined
  private flushTimer: Timer | undefined
  private spillTimer: Timer | undefined
  private readonly timers: Timer[]
  private liveRate: number
  private ratedSent: number
  private sentMs: number
  private closed: boolean
  connected: boolean

  constructor(options: DestinationOptions) {
    const { clock, counters, spool } = options
    this.label = options.label
    this.counters = counters
    this.options = options
    this.failures = 0
    this.takesPoints = options.dialect !== 'line'
    this.names = new NameTable()
    this.outbox = new Outbox({
      spool,
      maySpool: options.maySpool,
      memoryBytesMax: MEMORY_BYTES_MAX,
      dropped: counters.dropped,
      spooled: counters.spooled,
    })
    this.window =
      options.resendWindowBytes > 0 ? new ResendWindow(options.resendWindowBytes) : undefined
    this.backoff = new Backoff(clock, { minMs: 100, maxMs: 5_000 })
    this.batch = new PointBatch(this.takesPoints ? BATCH_POINTS : 0)
    this.encoder = new ByteWriter()
    this.block = new Uint8Array(0)
    this.blockLength = 0
    this.runStart = 0
    this.runEnd = -1
    this.runCount = 0
    this.openCount = 0
    this.openSequence = 0
    this.bornMs = 0
    this.upstream = undefined
    this.attempt = 0
    this.session = undefined
    this.flushTimer = undefined
    this.spillTimer = undefined
    this.liveRate = 0
    this.ratedSent = 0
    this.sentMs = 0
    this.closed = false
    this.connected = false
    this.timers = [clock.every(SPOOL_SYNC_MS, () => this.everySecond())]
    if (options.dialect === 'auto') {
      this.timers.push(clock.every(ASK_AGAIN_MS, () => this.askAgain()))
    }
    clock.after(0, () => this.connect())
  }

  // ── what the dispatcher calls ───────────────────────────────────────────────────────────────────

  /** The line `bytes[start, end)`, with its newline. Call `endRun` before the bytes go. */
  extendRun(bytes: Uint8Array, start: number, end: number): void {
    if (start !== this.runEnd || end - this.runStart > RUN_BYTES_MAX) {
      this.endRun(bytes)
      this.runStart = start
    }
    this.runEnd = end
    this.runCount++
  }

  /** Takes over the lines that `extendRun` was given. */
  endRun(bytes: Uint8Array): void {
    const { runStart, runEnd } = this
    if (runEnd < 0) return
    this.room(runEnd - runStart)
    this.blockLength = copyBytes(this.block, this.blockLength, bytes, runStart, runEnd)
    this.openCount += this.runCount
    this.runEnd = -1
    this.runCount = 0
  }

  /** A line under another name: `data` is from the blank on, with the newline. */
  appendLine(name: Uint8Array, data: Uint8Array, start: number, end: number): void {
    this.room(name.length + end - start)
    const { block } = this
    const at = copyBytes(block, this.blockLength, name, 0, name.length)
    this.blockLength = copyBytes(block, at, data, start, end)
    this.openCount++
  }

  /** A point under an id of `names`. */
  appendPoint(id: number, timestamp: number, value: number): void {
    const { batch } = this
    if (batch.length === 0) this.begin(POINT_FLUSH_MS)
    batch.push(id, timestamp, value)
    this.openCount++
    if (batch.isFull) this.seal()
  }

  /** The id of a name that is not in `names` yet. */
  defineName(name: Uint8Array): number {
    if (this.names.isFull) {
      this.seal()
      this.names = new NameTable()
    }
    return this.names.add(name)
  }

  // ── what holds ──────────────────────────────────────────────────────────────────────────────────

  /** Stands for everything given so far: it is held when `heldWritten` or `heldSynced` reaches this. */
  get position(): number {
    return this.openCount > 0 ? this.openSequence : this.options.senderId.current
  }

  get heldWritten(): number {
    return this.outbox.isEmpty && this.openCount === 0 ? Infinity : this.outbox.heldWritten
  }

  get heldSynced(): number {
    return this.outbox.isEmpty && this.openCount === 0 ? Infinity : this.outbox.heldSynced
  }

  /** Points that wait here. */
  get queued(): number {
    return this.outbox.points + this.openCount
  }

  get spoolBytes(): number {
    return this.options.spool.bytes
  }

  // ── life ────────────────────────────────────────────────────────────────────────────────────────

  /** Ends the open batch and sends what the peer takes. */
  flush(): void {
    this.seal()
    this.session?.pump()
    this.armSpill()
  }

  /** Sends what the peer takes within `graceMs`; the rest goes to disk. */
  async close(graceMs: number): Promise<void> {
    const { clock, spool } = this.options
    this.flush()
    const deadline = clock.monotonicMs() + graceMs
    while (this.connected && !this.session?.isDrained && clock.monotonicMs() < deadline) {
      await new Promise<void>((resolve) => clock.after(DRAIN_POLL_MS, resolve))
    }
    this.closed = true
    for (const timer of this.timers) timer.cancel()
    this.flushTimer?.cancel()
    this.spillTimer?.cancel()
    this.outbox.spillRest()
    spool.close()
    if (this.session instanceof EmonSession) this.session.close()
    this.upstream?.end()
    this.connected = false
  }

  // ── gathering ───────────────────────────────────────────────────────────────────────────────────

  private room(bytes: number): void {
    if (this.blockLength + bytes > this.block.length) this.newBlock(bytes)
    if (this.openCount === 0) this.begin(LINE_FLUSH_MS)
  }

  private newBlock(bytes: number): void {
    if (this.blockLength > 0) {
      this.seal()
      this.session?.pump()
    }
    if (bytes > this.block.length) {
      const capacity = Math.max(BLOCK_BYTES, bytes)
      this.block = this.window?.takeSpare(capacity) ?? new Uint8Array(capacity)
    }
  }

  private begin(flushMs: number): void {
    const { clock, senderId } = this.options
    this.openSequence = senderId.next()
    this.bornMs = clock.monotonicMs()
    this.flushTimer ??= clock.after(flushMs, () => {
      this.flushTimer = undefined
      this.flush()
    })
  }

  private seal(): void {
    if (this.openCount === 0) return
    const count = this.openCount
    const common = { sequence: this.openSequence, count, bornMs: this.bornMs }
    this.openCount = 0
    if (this.batch.length > 0) {
      this.encoder.reset()
      encodePoints(this.encoder, this.openSequence, this.batch)
      this.batch.reset()
      const { names } = this
      this.outbox.push({ ...common, bytes: this.encoder.copy(), names, nameCount: names.count })
    } else {
      this.outbox.push({ ...common, bytes: this.takeBlock(), names: undefined, nameCount: 0 })
    }
  }

  /** The open block's lines: the block itself when it is well filled, else a copy. */
  private takeBlock(): Uint8Array {
    const length = this.blockLength
    this.blockLength = 0
    if (length * 2 < this.block.length) return this.block.slice(0, length)
    const full = this.block.subarray(0, length)
    this.block = new Uint8Array(0)
    return full
  }

  // ── the connection ──────────────────────────────────────────────────────────────────────────────

  private connect(): void {
    if (this.closed) return
    this.attempt++
    const { attempt } = this
    let session: Session | undefined
    const upstream = this.options.connect({
      onOpen: () => {
        session = this.takesPoints ? this.beginFrames(upstream) : this.beginLines(upstream)
        this.session = session
        session.pump()
      },
      onDrain: () => session?.pump(),
      onData: (bytes) => session?.receive(bytes),
      // It may end before `connect` has returned.
      onClose: (end) => {
        if (this.attempt === attempt) this.lost(end)
      },
    })
    if (this.attempt === attempt) this.upstream = upstream
  }

  private beginLines(upstream: Upstream): Session {
    const { clock } = this.options
    this.outbox.rewind()
    this.up()
    return new PlainSession({
      clock,
      outbox: this.outbox,
      upstream,
      window: this.window,
      replayRate: () => this.replayRate(),
      onSent: (points) => {
        this.counters.sent.value += points
        this.sentMs = clock.monotonicMs()
      },
      onProgress: () => this.progress(),
    })
  }

  private beginFrames(upstream: Upstream): Session {
    const { clock, senderId, token, compress, maxFutureSeconds } = this.options
    return new EmonSession({
      clock,
      outbox: this.outbox,
      upstream,
      sender: senderId.id,
      token,
      compress,
      maxFutureSeconds,
      onHello: ({ written }) => {
        if (written > senderId.current) {
          senderId.renew(clock)
          return this.reconnect('the peer knows more of this sender than we do')
        }
        this.up()
      },
      onSilence: () => this.fallBack(),
      onSent: (points) => (this.counters.sent.value += points),
      onDropped: (points) => (this.counters.unparsable.value += points),
      onProgress: () => this.progress(),
      onFailure: (text) => this.reconnect(text),
    })
  }

  private up(): void {
    const { log } = this.options
    this.connected = true
    this.backoff.reset()
    if (this.failures > 0) log.info('destination is back', { destination: this.label })
    if (this.failures > 0) this.setFailures(0)
  }

  private lost(end: { reason: string; orderly: boolean }): void {
    const { log, clock } = this.options
    this.drop()
    const quiet = clock.monotonicMs() - this.sentMs > QUIET_MS
    if (end.orderly && quiet) this.window?.clear()
    if (this.failures === 0) {
      log.warn('destination is gone', { destination: this.label, why: end.reason })
    }
    this.counters.reconnects.value++
    this.setFailures(this.failures + 1)
    clock.after(this.backoff.delayMs(), () => this.connect())
  }

  /** Ends this connection and begins another one, after a pause. */
  private reconnect(text: string): void {
    const { upstream } = this
    this.lost({ reason: text, orderly: false })
    upstream?.end()
  }

  private fallBack(): void {
    if (this.options.dialect !== 'auto') {
      return this.reconnect('no answer to the opening line: not an emon relay or store')
    }
    const { log, clock } = this.options
    log.info('destination is a plain carbon: it gets lines', { destination: this.label })
    const { upstream } = this
    this.speak(false)
    this.drop()
    upstream?.end()
    clock.after(0, () => this.connect())
  }

  private askAgain(): void {
    if (this.takesPoints) return
    const { upstream } = this
    this.speak(true)
    this.drop()
    this.window?.clear()
    upstream?.end()
    this.connect()
  }

  private speak(points: boolean): void {
    this.seal()
    this.takesPoints = points
    this.options.onHealth()
  }

  private drop(): void {
    if (this.session instanceof EmonSession) this.session.close()
    this.session = undefined
    this.upstream = undefined
    this.connected = false
    this.attempt++
  }

  private setFailures(count: number): void {
    this.failures = count
    this.options.onHealth()
  }

  // ── time ────────────────────────────────────────────────────────────────────────────────────────

  private progress(): void {
    this.armSpill()
    this.options.onProgress()
  }

  private armSpill(): void {
    if (this.spillTimer || this.closed) return
    const atMs = this.outbox.spillAtMs()
    if (atMs === undefined) return
    const { clock } = this.options
    this.spillTimer = clock.after(Math.max(1, atMs - clock.monotonicMs()), () => {
      this.spillTimer = undefined
      this.outbox.spillOverdue(clock.monotonicMs())
      this.options.onProgress()
      this.session?.pump()
      this.armSpill()
    })
  }

  private everySecond(): void {
    const { spool, log } = this.options
    const sent = this.counters.sent.value
    this.liveRate = this.liveRate * 0.9 + (sent - this.ratedSent) * 0.1
    this.ratedSent = sent
    spool.enforceLimits()
    spool.sync().then(
      () => this.options.onProgress(),
      (error: unknown) => log.error('spool cannot be synced', { why: String(error) }),
    )
  }

  private replayRate(): number {
    const { replayRate } = this.options
    return replayRate > 0 ? replayRate : Math.max(4 * this.liveRate, REPLAY_RATE_MIN)
  }
}
