/**
 * One upstream: what its gatherer has made of lines and points is kept until the peer has it (outbox.ts, on
 * disk when that takes long), and the connection is made again for ever.
 *
 * ```
 *   dispatcher ─▶ gatherer ─batches─▶ outbox ⇄ spool ─▶ session ─▶ upstream
 * ```
 *
 * The host's name is looked up at each connection, and again whenever the answer has become too old; when the
 * address that it is connected to is not among the answers any more (a load balancer that moved), what was begun is
 * finished there, and the rest goes to the new one.
 *
 * `auto` speaks acknowledged frames; a peer that does not answer the opening line within a second is taken
 * for a plain carbon, gets lines, and is asked again every hour.
 */

import { Backoff } from '../../lib/backoff.ts'
import { sleep, type Timer } from '../../lib/clock.ts'
import type { DestinationCounters, DestinationOptions } from './destination-options.ts'
import { EmonSession } from './emon-session.ts'
import { Gatherer } from './gatherer.ts'
import { Outbox, SPILL_AFTER_MS } from './outbox.ts'
import { GracefulClose } from './graceful-close.ts'
import { PlainSession } from './plain-session.ts'
import { ReplayRate } from './replay-rate.ts'
import { ResendWindow } from './resend-window.ts'
import { type Successor, Undelivered } from './undelivered.ts'
import { NameWatch } from './name-watch.ts'
import type { Session } from './session.ts'
import { Spiller } from './spiller.ts'
import type { Upstream } from './upstream.ts'

const SPOOL_SYNC_MS = 1_000
const ASK_AGAIN_MS = 3_600_000
const MEMORY_BYTES_MAX = 32 * 1024 * 1024
/** A peer that closes in order this long after the last write had read everything: it would have reset. */
const QUIET_MS = 2_000
/** A plain connection that lived as long was one: the next is made at once. Each begins with the whole window. */
const STEADY_MS = 500
/** A peer that has spoken frames before may be silent that often before it is taken for a plain carbon. */
const SILENCES_MAX = 10
const DRAIN_POLL_MS = 20
/** For a connection that is left: what was begun is finished, and the peer ends too. */
const LEAVE_MS = 5_000
/** The same, at the end of all. */
const FINISH_MS = 1_000

export class Destination implements Successor {
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
  private readonly backoff: Backoff
  /** Up to there earlier processes may have sent. */
  private readonly sentBefore: number
  private upstream: Upstream | undefined
  /** Which connection's events count: those of earlier ones come to nothing. */
  private attempt: number
  private session: Session | undefined
  private readonly spiller: Spiller
  private readonly timers: Timer[]
  private readonly replayRate: ReplayRate
  private sentMs: number
  private readonly watch: NameWatch | undefined
  /** Set while a connection is left. */
  private closing: GracefulClose | undefined
  private upMs: number
  private silencesLeft: number
  private closed: boolean
  connected: boolean
  /** How long it has been at work. */
  sendingMs: number

  constructor(options: DestinationOptions) {
    const { clock, counters, spool } = options
    this.label = options.label
    this.counters = counters
    this.options = options
    this.prefix = options.prefix
    this.failures = 0
    this.takesPoints = options.dialect !== 'line'
    const resendBytesMax = (): number => options.settings().resendWindowBytes
    this.outbox = new Outbox({
      spool,
      window: options.resends ? new ResendWindow(resendBytesMax) : undefined,
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
        this.pump()
      },
    })
    this.gatherer = new Gatherer({
      clock,
      senderId: options.senderId,
      outbox: this.outbox,
      prefix: options.prefix,
      onSealed: () => this.flush(),
    })
    this.backoff = new Backoff(clock, { minMs: 100, maxMs: 5_000 })
    this.sentBefore = options.senderId.current
    this.upstream = undefined
    this.attempt = 0
    this.session = undefined
    this.replayRate = new ReplayRate(() => options.settings().replayRate)
    this.sentMs = 0
    this.closing = undefined
    this.upMs = 0
    this.silencesLeft = 0
    this.closed = false
    this.connected = false
    this.sendingMs = 0
    this.timers = [clock.every(SPOOL_SYNC_MS, () => this.everySecond())]
    const { lookUp } = options
    this.watch = lookUp && new NameWatch(clock, lookUp, (addresses) => this.follow(addresses))
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
    this.pump()
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
    const leftMs = deadline - clock.monotonicMs()
    if (leftMs > 0 && this.connected && this.session?.isDrained) await this.partAtEnd(leftMs)
    if (this.closed) return
    this.closed = true
    for (const timer of this.timers) timer.cancel()
    this.watch?.close()
    this.spiller.close()
    this.gatherer.close()
    this.outbox.spillRest()
    this.reportLost()
    spool.close()
    this.session?.close()
    this.upstream?.end()
    this.connected = false
  }

  /** A plain peer that reads all to the end and ends too has everything; else it gets its window again. */
  private partAtEnd(mostMs: number): Promise<void> {
    if (!this.outbox.window?.bytes) return Promise.resolve()
    return new Promise((resolve) => this.finish(Math.min(FINISH_MS, mostMs), resolve))
  }

  /** After `close`: what could not be delivered. */
  get undelivered(): Undelivered {
    return new Undelivered(this.options.spool, this.outbox.released)
  }

  /** Lines of another destination that has left. */
  adopt(bytes: Uint8Array, count: number): number {
    const { senderId, clock } = this.options
    this.gatherer.seal()
    const sequence = senderId.next()
    const bornMs = clock.monotonicMs()
    this.outbox.push({ sequence, count, bytes, names: undefined, nameCount: 0, bornMs })
    this.flush()
    return sequence
  }

  private reportLost(): void {
    const { outbox } = this
    const points = outbox.pointsInMemory
    if (outbox.refusal === undefined) return
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
        this.pump()
      },
      onDrain: () => {
        if (isPresent()) this.pump()
      },
      // A peer that was given up may answer yet: what it would be sent now, its successor would not get.
      onData: (bytes) => {
        if (isPresent()) this.timed(() => this.session?.receive(bytes))
      },
      // It may end before `connect` has returned.
      onClose: (end) => {
        if (!isPresent()) return
        if (this.closing) this.closing.closed(end.orderly)
        else this.lost(end)
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
      replayRate: () => this.replayRate.perSecond,
      onSent: (points) => {
        this.counters.sent.value += points
        this.sentMs = clock.monotonicMs()
      },
      onProgress: () => this.progress(),
    })
  }

  private beginFrames(upstream: Upstream): Session {
    const { clock, senderId, compress, settings } = this.options
    return new EmonSession({
      clock,
      outbox: this.outbox,
      upstream,
      sender: senderId.id,
      token: settings().token,
      compress,
      maxFutureSeconds: () => settings().maxFutureSeconds,
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
    if (end.orderly && clock.monotonicMs() - this.sentMs > QUIET_MS) this.readToEnd()
    this.drop()
    this.outbox.rewind()
    this.spiller.arm()
    if (this.failures === 0) {
      log.warn('destination is gone', { destination: this.label, why: end.reason })
    }
    this.counters.reconnects.value++
    this.setFailures(this.failures + 1)
    clock.after(this.backoff.delayMs(), () => this.connect())
    clock.after(SPILL_AFTER_MS, () => {
      if (!this.connected && !this.closed) this.outbox.spillWindow()
    })
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
    this.leave('destination is asked again whether it is an emon relay')
  }

  /** The name's addresses are these now. */
  private follow(addresses: readonly string[]): void {
    const address = this.upstream?.remoteAddress
    if (!this.connected || address === undefined || addresses.includes(address)) return
    this.leave('destination has moved')
  }

  /** Ends a connection in order, and begins the next one when its peer has all that it was sent. */
  private leave(why: string): void {
    if (this.closing) return
    this.options.log.info(why, { destination: this.label })
    this.finish(LEAVE_MS, () => {
      const { upstream } = this
      this.drop()
      upstream?.end()
      this.connect()
    })
  }

  private finish(mostMs: number, then: () => void): void {
    const { session, upstream } = this
    if (!session || !upstream) return then()
    const onClosed = (orderly: boolean): void => {
      this.closing = undefined
      if (orderly) this.readToEnd()
      then()
    }
    const { clock } = this.options
    this.closing = new GracefulClose({ clock, session, upstream, mostMs, onClosed })
    this.pump()
  }

  /** The peer has everything that it was sent. */
  private readToEnd(): void {
    this.session?.readToEnd()
    this.outbox.window?.clear()
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

  private pump(): void {
    this.timed(() => this.session?.pump())
  }

  private timed(work: () => void): void {
    this.sendingMs += this.options.wallTimes.send(work)
    this.closing?.progress()
  }

  private progress(): void {
    this.spiller.arm()
    this.options.onProgress()
  }

  private everySecond(): void {
    const { spool, log } = this.options
    this.replayRate.second(this.gatherer.sealed)
    spool.enforceLimits()
    spool.sync().then(
      () => this.options.onProgress(),
      (error: unknown) => log.error('spool cannot be synced', { why: String(error) }),
    )
  }
}
