/**
 * A destination's connection, which is made again for ever: what it speaks there (plain-session.ts, emon-session.ts),
 * and how it comes to an end. What waits to be sent is the outbox's.
 *
 * The host's name is looked up at each connection, and again whenever the answer has become too old; when the
 * address that it is connected to is not among the answers any more (a load balancer that moved), what was begun is
 * finished there, and the rest goes to the new one.
 *
 * `auto` speaks acknowledged frames; a peer that does not answer the opening line within a second is taken
 * for a plain carbon, gets lines, and is asked again every hour.
 */

import { Backoff } from '../../lib/backoff.ts'
import type { Timer } from '../../lib/clock.ts'
import type { DestinationOptions } from './destination-options.ts'
import { EmonSession } from './emon-session.ts'
import { GracefulClose } from './graceful-close.ts'
import { NameWatch } from './name-watch.ts'
import type { Outbox } from './outbox.ts'
import { PlainSession } from './plain-session.ts'
import type { Session } from './session.ts'
import type { Upstream } from './upstream.ts'

const ASK_AGAIN_MS = 3_600_000
/** A peer that closes in order this long after the last write had read everything: it would have reset. */
const QUIET_MS = 2_000
/** A plain connection that lived as long was one: the next is made at once. Each begins with the whole window. */
const STEADY_MS = 500
/** A peer that has spoken frames before may be silent that often before it is taken for a plain carbon. */
const SILENCES_MAX = 10
/** For a connection that is left: what was begun is finished, and the peer ends too. */
const LEAVE_MS = 5_000

export interface LinkEvents {
  /** Points that a plain connection may be sent in a second from the spool. */
  readonly replayRate: () => number
  /** What is gathered in the one form has to end: from now on it is the other. */
  readonly onDialect: () => void
  /** The peer holds more than before. */
  readonly onProgress: () => void
  /** The connection broke: what the peer had not synced is held by nobody. */
  readonly onLost: () => void
}

export class Link {
  /** Consecutive connections that did not come up or broke. */
  failures: number
  /** True: points are spoken; false: lines. */
  takesPoints: boolean
  connected: boolean
  /** How long it has been at work. */
  sendingMs: number
  private readonly options: DestinationOptions
  private readonly outbox: Outbox
  private readonly events: LinkEvents
  private readonly backoff: Backoff
  private readonly watch: NameWatch | undefined
  private readonly asking: Timer | undefined
  /** Up to there earlier processes may have sent. */
  private readonly sentBefore: number
  private upstream: Upstream | undefined
  private session: Session | undefined
  /** Which connection's events count: those of earlier ones come to nothing. */
  private attempt: number
  /** Set while a connection is left. */
  private closing: GracefulClose | undefined
  private sentMs: number
  private upMs: number
  private silencesLeft: number
  private closed: boolean

  constructor(options: DestinationOptions, outbox: Outbox, events: LinkEvents) {
    const { clock, dialect, lookUp, senderId } = options
    this.failures = 0
    this.takesPoints = dialect !== 'line'
    this.connected = false
    this.sendingMs = 0
    this.options = options
    this.outbox = outbox
    this.events = events
    this.backoff = new Backoff(clock, { minMs: 100, maxMs: 5_000 })
    this.watch = lookUp && new NameWatch(clock, lookUp, (addresses) => this.follow(addresses))
    this.asking = dialect === 'auto' ? clock.every(ASK_AGAIN_MS, () => this.askAgain()) : undefined
    this.sentBefore = senderId.current
    this.upstream = undefined
    this.session = undefined
    this.attempt = 0
    this.closing = undefined
    this.sentMs = 0
    this.upMs = 0
    this.silencesLeft = 0
    this.closed = false
    clock.after(0, () => this.connect())
  }

  /** Everything that was sent is with the peer, as far as one can know. */
  get isDrained(): boolean {
    return this.session?.isDrained ?? false
  }

  /** Sends what the peer takes. */
  pump(): void {
    this.timed(() => this.session?.pump())
  }

  /** Ends the connection in order: begins nothing new, and calls `then` when it is over, after `mostMs` at most. */
  finish(mostMs: number, then: () => void): void {
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

  /** Takes nothing from the outbox any more, and makes no other connection. */
  close(): void {
    this.closed = true
    this.asking?.cancel()
    this.watch?.close()
    this.session?.close()
    this.upstream?.end()
    this.connected = false
  }

  // ── up ──────────────────────────────────────────────────────────────────────────────────────────

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
    const { clock, counters } = this.options
    const { replayRate, onProgress } = this.events
    this.outbox.rewind()
    this.up()
    return new PlainSession({
      clock,
      outbox: this.outbox,
      upstream,
      replayRate,
      onSent: (points) => {
        counters.sent.value += points
        this.sentMs = clock.monotonicMs()
      },
      onProgress,
    })
  }

  private beginFrames(upstream: Upstream): Session {
    const { clock, senderId, compress, counters, settings } = this.options
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
      onSent: (points) => (counters.sent.value += points),
      onDropped: (points) => (counters.unparsable.value += points),
      onProgress: this.events.onProgress,
      onFailure: (text) => this.reconnect(text),
    })
  }

  private up(): void {
    const { clock, label, log } = this.options
    this.connected = true
    this.upMs = clock.monotonicMs()
    if (this.failures === 0) return
    log.info('destination is back', { destination: label })
    this.setFailures(0)
  }

  // ── down ────────────────────────────────────────────────────────────────────────────────────────

  private lost(end: { reason: string; orderly: boolean }): void {
    const { clock, counters, label, log } = this.options
    const steady = this.takesPoints || clock.monotonicMs() - this.upMs >= STEADY_MS
    if (this.connected && steady) this.backoff.reset()
    if (end.orderly && clock.monotonicMs() - this.sentMs > QUIET_MS) this.readToEnd()
    this.drop()
    this.outbox.rewind()
    this.events.onLost()
    if (this.failures === 0)
      log.warn('destination is gone', { destination: label, why: end.reason })
    counters.reconnects.value++
    this.setFailures(this.failures + 1)
    clock.after(this.backoff.delayMs(), () => this.connect())
  }

  /** Ends this connection and begins another one, after a pause. */
  private reconnect(text: string): void {
    const { upstream } = this
    this.lost({ reason: text, orderly: false })
    upstream?.end()
  }

  /** Ends a connection in order, and begins the next one when its peer has all that it was sent. */
  private leave(why: string): void {
    if (this.closing) return
    this.options.log.info(why, { destination: this.options.label })
    this.finish(LEAVE_MS, () => this.connectAnew())
  }

  private connectAnew(): void {
    const { upstream } = this
    this.drop()
    upstream?.end()
    this.connect()
  }

  /** The peer has everything that it was sent. */
  private readToEnd(): void {
    this.session?.readToEnd()
    this.outbox.window?.clear()
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

  // ── what is spoken, and where ───────────────────────────────────────────────────────────────────

  private fallBack(): void {
    const { clock, dialect, label, log } = this.options
    if (dialect !== 'auto' || this.silencesLeft-- > 0) {
      return this.reconnect('no answer to the opening line: not an emon relay or store')
    }
    log.info('destination is a plain carbon: it gets lines', { destination: label })
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

  private speak(points: boolean): void {
    this.events.onDialect()
    this.takesPoints = points
    this.options.onHealth()
  }

  /** The name's addresses are these now. */
  private follow(addresses: readonly string[]): void {
    const address = this.upstream?.remoteAddress
    if (!this.connected || address === undefined || addresses.includes(address)) return
    this.leave('destination has moved')
  }

  private timed(work: () => void): void {
    this.sendingMs += this.options.wallTimes.send(work)
    this.closing?.progress()
  }
}
