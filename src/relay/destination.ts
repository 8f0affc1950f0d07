/**
 * One upstream: what its gatherer has made of lines and points is kept until the peer has it (outbox.ts, on
 * disk when that takes long), and the connection is made again for ever.
 *
 * ```
 *   dispatcher ─▶ gatherer ─batches─▶ outbox ⇄ spool ─▶ session ─▶ upstream
 * ```
 *
 * The host's name is looked up at each connection and every minute; when the address that it is connected to is
 * not among the answers any more (a load balancer that moved), it connects anew between two batches.
 *
 * `auto` speaks acknowledged frames; a peer that does not answer the opening line within a second is taken
 * for a plain carbon, gets lines, and is asked again every hour.
 */

import { Backoff } from '../lib/backoff.ts'
import { type Clock, sleep, type Timer } from '../lib/clock.ts'
import type { Log } from '../lib/log.ts'
import type { Counter } from '../lib/stats.ts'
import { EmonSession } from './emon-session.ts'
import { Gatherer } from './gatherer.ts'
import { Outbox } from './outbox.ts'
import { PlainSession } from './plain-session.ts'
import { ResendWindow } from './resend-window.ts'
import type { SenderId } from './sender-id.ts'
import type { Session } from './session.ts'
import { Spiller } from './spiller.ts'
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
  /** What each line begins with, made from the address that it came from. */
  readonly prefix: ((origin: string) => string) | undefined
  /** The addresses that the host's name has now; undefined where there is no name. */
  readonly addresses: (() => Promise<readonly string[]>) | undefined
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

const SPOOL_SYNC_MS = 1_000
const LOOK_UP_MS = 60_000
const ASK_AGAIN_MS = 3_600_000
const MEMORY_BYTES_MAX = 32 * 1024 * 1024
const REPLAY_RATE_MIN = 50_000
/** A peer that closes in order this long after the last write had read everything: it would have reset. */
const QUIET_MS = 2_000
/** A plain connection that lived as long was one: the next is made at once. Each begins with the whole window. */
const STEADY_MS = 500
/** A peer that has spoken frames before may be silent that often before it is taken for a plain carbon. */
const SILENCES_MAX = 10
const DRAIN_POLL_MS = 20

export class Destination {
  readonly label: string
  readonly counters: DestinationCounters
  /** Consecutive connections that did not come up or broke. */
  failures: number
  /** True: give it points; false: give it lines. */
  takesPoints: boolean
  /** Set: lines are sent behind it (syslog, `file ip`). */
  readonly prefix: DestinationOptions['prefix']
  /** Takes what is for this destination. */
  readonly gatherer: Gatherer
  private readonly options: DestinationOptions
  private readonly outbox: Outbox
  private readonly window: ResendWindow | undefined
  private readonly backoff: Backoff
  /** Up to there earlier processes may have sent. */
  private readonly sentBefore: number
  private upstream: Upstream | undefined
  /** Which connection's events count: those of earlier ones come to nothing. */
  private attempt: number
  private session: Session | undefined
  private readonly spiller: Spiller
  private readonly timers: Timer[]
  /** Points a second that come in, not those that are replayed. */
  private liveRate: number
  private ratedPoints: number
  private sentMs: number
  private upMs: number
  private silencesLeft: number
  private moved: boolean
  private closed: boolean
  connected: boolean

  constructor(options: DestinationOptions) {
    const { clock, counters, spool } = options
    this.label = options.label
    this.counters = counters
    this.options = options
    this.prefix = options.prefix
    this.failures = 0
    this.takesPoints = options.dialect !== 'line'
    this.outbox = new Outbox({
      spool,
      maySpool: options.maySpool,
      memoryBytesMax: MEMORY_BYTES_MAX,
      dropped: counters.dropped,
      spooled: counters.spooled,
    })
    this.spiller = new Spiller({
      clock,
      log: options.log,
      outbox: this.outbox,
      label: options.label,
      onSpilled: () => {
        options.onProgress()
        this.session?.pump()
      },
    })
    this.window =
      options.resendWindowBytes > 0 ? new ResendWindow(options.resendWindowBytes) : undefined
    this.gatherer = new Gatherer({
      clock,
      senderId: options.senderId,
      outbox: this.outbox,
      window: this.window,
      prefix: options.prefix,
      onSealed: () => this.flush(),
    })
    this.backoff = new Backoff(clock, { minMs: 100, maxMs: 5_000 })
    this.sentBefore = options.senderId.current
    this.upstream = undefined
    this.attempt = 0
    this.session = undefined
    this.liveRate = 0
    this.ratedPoints = 0
    this.sentMs = 0
    this.upMs = 0
    this.silencesLeft = 0
    this.moved = false
    this.closed = false
    this.connected = false
    this.timers = [clock.every(SPOOL_SYNC_MS, () => this.everySecond())]
    if (options.addresses) this.timers.push(clock.every(LOOK_UP_MS, () => void this.lookUp()))
    if (options.dialect === 'auto') {
      this.timers.push(clock.every(ASK_AGAIN_MS, () => this.askAgain()))
    }
    clock.after(0, () => this.connect())
  }

  // ── what holds ──────────────────────────────────────────────────────────────────────────────────

  /** Stands for everything given so far: it is held when `heldWritten` or `heldSynced` reaches this. */
  get position(): number {
    return this.gatherer.lastSequence
  }

  get heldWritten(): number {
    return this.isEmpty ? Infinity : this.outbox.heldWritten
  }

  get heldSynced(): number {
    return this.isEmpty ? Infinity : this.outbox.heldSynced
  }

  private get isEmpty(): boolean {
    return this.outbox.isEmpty && this.gatherer.count === 0
  }

  /** Points that wait here. */
  get queued(): number {
    return this.outbox.points + this.gatherer.count
  }

  get spoolBytes(): number {
    return this.options.spool.bytes
  }

  /** Why the spool could not be written; undefined: it could. */
  get refusal(): string | undefined {
    return this.outbox.refusal
  }

  // ── life ────────────────────────────────────────────────────────────────────────────────────────

  /** Ends the open batch and sends what the peer takes. */
  flush(): void {
    this.gatherer.seal()
    this.session?.pump()
    this.spiller.arm()
  }

  /**
   * Sends what the peer takes within `graceMs`; the rest goes to disk. With 0 it is closed when this returns,
   * and its spool free for another; a close that still waits ends then.
   */
  async close(graceMs: number): Promise<void> {
    const { clock, spool } = this.options
    if (this.closed) return
    this.flush()
    const deadline = clock.monotonicMs() + graceMs
    while (this.connected && !this.session?.isDrained && clock.monotonicMs() < deadline) {
      await sleep(clock, DRAIN_POLL_MS)
      if (this.closed) return
    }
    this.closed = true
    for (const timer of this.timers) timer.cancel()
    this.spiller.close()
    this.gatherer.close()
    this.outbox.spillRest()
    this.reportLost()
    spool.close()
    this.session?.close()
    this.upstream?.end()
    this.connected = false
  }

  private reportLost(): void {
    const { outbox } = this
    const points = outbox.pointsInMemory
    if (points === 0) return
    this.counters.dropped.value += points
    const facts = { destination: this.label, points, why: outbox.refusal ?? '' }
    this.options.log.error('stopped with points that neither peer nor disk took', facts)
  }

  // ── the connection ──────────────────────────────────────────────────────────────────────────────

  private connect(): void {
    if (this.closed) return
    this.attempt++
    const { attempt } = this
    const isPresent = (): boolean => this.attempt === attempt
    const upstream = this.options.connect({
      onOpen: () => {
        if (!isPresent()) return
        this.session = this.takesPoints ? this.beginFrames(upstream) : this.beginLines(upstream)
        this.session.pump()
      },
      onDrain: () => {
        if (isPresent()) this.session?.pump()
      },
      // A peer that was given up may answer yet: what it would be sent now, its successor would not get.
      onData: (bytes) => {
        if (isPresent()) this.session?.receive(bytes)
      },
      // It may end before `connect` has returned.
      onClose: (end) => {
        if (isPresent()) this.lost(end)
      },
    })
    if (isPresent()) this.upstream = upstream
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
        if (written > Math.max(this.sentBefore, this.outbox.mostSent)) {
          senderId.renew(clock)
          return this.reconnect('the peer knows more of this sender than we do')
        }
        this.silencesLeft = SILENCES_MAX
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
    this.upMs = this.options.clock.monotonicMs()
    if (this.failures > 0) log.info('destination is back', { destination: this.label })
    if (this.failures > 0) this.setFailures(0)
  }

  private lost(end: { reason: string; orderly: boolean }): void {
    const { log, clock } = this.options
    const steady = this.takesPoints || clock.monotonicMs() - this.upMs >= STEADY_MS
    if (this.connected && steady) this.backoff.reset()
    this.drop()
    this.outbox.rewind()
    this.spiller.arm()
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
    if (this.options.dialect !== 'auto' || this.silencesLeft-- > 0) {
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
    this.speak(true)
    this.connectAnew()
  }

  /** Marks the connection as one to leave when it is not with the host any more. */
  private async lookUp(): Promise<void> {
    const address = this.upstream?.remoteAddress
    if (!this.connected || address === undefined) return
    const addresses = (await this.options.addresses?.()) ?? []
    this.moved = addresses.length > 0 && !addresses.includes(address)
  }

  /** Leaves a connection in order: all that was written will be read. */
  private connectAnew(): void {
    const { upstream } = this
    this.moved = false
    this.drop()
    this.window?.clear()
    upstream?.end()
    this.connect()
  }

  private speak(points: boolean): void {
    this.gatherer.seal()
    this.takesPoints = points
    this.options.onHealth()
  }

  private drop(): void {
    this.session?.close()
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
    this.spiller.arm()
    this.options.onProgress()
  }

  private everySecond(): void {
    const { spool, log } = this.options
    if (this.moved && this.session?.isIdle) {
      log.info('destination has moved', { destination: this.label })
      this.connectAnew()
    }
    const { sealed } = this.gatherer
    const lastSecond = sealed - this.ratedPoints
    this.liveRate = Math.max(lastSecond, this.liveRate * 0.9 + lastSecond * 0.1)
    this.ratedPoints = sealed
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
