/**
 * One upstream: what its gatherer has made of lines and points is kept until the peer has it (outbox.ts, on
 * disk when that takes long), and goes out over its link.
 *
 * ```
 *   dispatcher ─▶ gatherer ─batches─▶ outbox ⇄ spool ─▶ link: session ─▶ upstream
 * ```
 *
 * It is held when losing this process, or its machine's power, does not lose it: HeldMark (inputs/held.ts) compares
 * `position` with `heldWritten` and `heldSynced`.
 */

import { sleep, type Timer } from '../../lib/clock.ts'
import { reason } from '../../lib/log.ts'
import type { DestinationCounters, DestinationOptions } from './destination-options.ts'
import { Gatherer } from './gatherer.ts'
import { Link } from './link.ts'
import { Outbox, SPILL_AFTER_MS } from './outbox.ts'
import { ReplayRate } from './replay-rate.ts'
import { ResendWindow } from './resend-window.ts'
import { Spiller } from './spiller.ts'
import { type Successor, Undelivered } from './undelivered.ts'

const SPOOL_SYNC_MS = 1_000
const MEMORY_BYTES_MAX = 32 * 1024 * 1024
const DRAIN_POLL_MS = 20
/** At the end of all, for a peer to read what it was sent and end too. */
const FINISH_MS = 1_000

export class Destination implements Successor {
  readonly label: string
  readonly counters: DestinationCounters
  /** Set: lines are sent behind it (syslog, `file ip`). */
  readonly prefix: DestinationOptions['prefix']
  /** Takes what is for this destination. */
  readonly gatherer: Gatherer
  private readonly options: DestinationOptions
  private readonly outbox: Outbox
  private readonly link: Link
  private readonly spiller: Spiller
  private readonly replayRate: ReplayRate
  private readonly seconds: Timer
  private closed: boolean

  constructor(options: DestinationOptions) {
    const { clock, counters, label, log, onProgress, senderId, spool } = options
    this.label = label
    this.counters = counters
    this.prefix = options.prefix
    this.options = options
    this.outbox = new Outbox({
      spool,
      window: options.resends
        ? new ResendWindow(() => options.settings().resendWindowBytes)
        : undefined,
      maySpool: options.maySpool,
      memoryBytesMax: MEMORY_BYTES_MAX,
      dropped: counters.dropped,
      spooled: counters.spooled,
    })
    const { outbox } = this
    this.gatherer = new Gatherer({
      clock,
      senderId,
      outbox,
      prefix: options.prefix,
      onSealed: () => this.flush(),
    })
    this.spiller = new Spiller({
      clock,
      log,
      outbox,
      label,
      onSpilled: () => {
        onProgress()
        this.link.pump()
      },
    })
    this.replayRate = new ReplayRate(() => options.settings().replayRate)
    this.link = new Link(options, outbox, {
      replayRate: () => this.replayRate.perSecond,
      onDialect: () => this.gatherer.seal(),
      onProgress: () => {
        this.spiller.arm()
        onProgress()
      },
      onLost: () => this.keepUnread(),
    })
    this.seconds = clock.every(SPOOL_SYNC_MS, () => this.everySecond())
    this.closed = false
  }

  // ── the link ────────────────────────────────────────────────────────────────────────────────────

  get connected(): boolean {
    return this.link.connected
  }

  /** Consecutive connections that did not come up or broke. */
  get failures(): number {
    return this.link.failures
  }

  /** True: give it points; false: give it lines. */
  get takesPoints(): boolean {
    return this.link.takesPoints
  }

  /** How long it has been at work. */
  get sendingMs(): number {
    return this.link.sendingMs
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
    this.link.pump()
    this.spiller.arm()
  }

  /**
   * Sends what the peer takes within `graceMs`; the rest goes to disk. With 0 it is closed when this returns,
   * and its spool free for another; a close that still waits ends then.
   */
  async close(graceMs: number): Promise<void> {
    const { clock, spool } = this.options
    const { link } = this
    if (this.closed) return
    this.flush()
    const deadline = clock.monotonicMs() + graceMs
    while (link.connected && !link.isDrained && clock.monotonicMs() < deadline) {
      await sleep(clock, DRAIN_POLL_MS)
      if (this.closed) return
    }
    const leftMs = deadline - clock.monotonicMs()
    if (leftMs > 0 && link.connected && link.isDrained) await this.partAtEnd(leftMs)
    if (this.closed) return
    this.closed = true
    this.seconds.cancel()
    this.spiller.close()
    this.gatherer.close()
    this.outbox.spillRest()
    this.reportLost()
    spool.close()
    link.close()
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

  /** A plain peer that reads all to the end and ends too has everything; else it gets its window again. */
  private partAtEnd(mostMs: number): Promise<void> {
    if (!this.outbox.window?.bytes) return Promise.resolve()
    return new Promise((resolve) => this.link.finish(Math.min(FINISH_MS, mostMs), resolve))
  }

  private reportLost(): void {
    const { outbox, label } = this
    if (outbox.refusal === undefined) return
    const points = outbox.pointsInMemory
    this.counters.dropped.value += points
    const facts = { destination: label, points, why: outbox.refusal }
    this.options.log.error('stopped with points that neither peer nor disk took', facts)
  }

  /** The peer went away: what it may not have read goes to the spool, unless it is back soon. */
  private keepUnread(): void {
    this.spiller.arm()
    this.options.clock.after(SPILL_AFTER_MS, () => {
      if (!this.link.connected && !this.closed) this.outbox.spillWindow()
    })
  }

  private everySecond(): void {
    const { spool, log, onProgress } = this.options
    this.replayRate.second(this.gatherer.sealed)
    spool.enforceLimits()
    spool.sync().then(
      () => onProgress(),
      (error: unknown) => log.error('spool cannot be synced', { why: reason(error) }),
    )
  }
}
