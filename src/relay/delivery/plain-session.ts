/**
 * Lines on one connection. A batch is written, and would survive a kill of this process, when the kernel has taken
 * all of it; it counts as synced when the peer's kernel has confirmed it, so that it would survive a power cut of
 * this machine. Then it leaves the outbox for the resend window, which opens the next connection: TCP does not say
 * what a peer has read. What is not confirmed within UNCONFIRMED_MS_MAX goes to the spool, and counts when it is
 * synced there.
 *
 * A replay from the spool is held to `replayRate` points a second, so that it does not drown the peer;
 * what comes from memory is not.
 */

import type { Clock, Timer } from '../../lib/clock.ts'
import type { Outbox } from './outbox.ts'
import { pointsToLines } from './points-text.ts'
import type { Session } from './session.ts'
import type { Batch } from './spool-format.ts'
import type { Upstream } from './upstream.ts'

export interface PlainSessionOptions {
  readonly clock: Clock
  readonly outbox: Outbox
  readonly upstream: Upstream
  /** Points a second while a spool is replayed. */
  readonly replayRate: () => number
  /** Points that the kernel has taken. */
  readonly onSent: (points: number) => void
  /** The outbox moved on. */
  readonly onProgress: () => void
}

const REPLAY_TICK_MS = 50
const CONFIRM_TICK_MS = 20
const UNCONFIRMED_MS_MAX = 1_000

/** A batch that the kernel has taken. */
interface Sent {
  readonly sequence: number
  readonly count: number
  readonly bytes: Uint8Array
  /** Where it ends among all bytes of the connection. */
  readonly end: number
  readonly sentMs: number
}

export class PlainSession implements Session {
  private readonly options: PlainSessionOptions
  /** Written first: what the connection before this one may not have delivered. */
  private again: Uint8Array[]
  private batch: Batch | undefined
  private bytes: Uint8Array
  private offset: number
  /** Bytes that the kernel has taken. */
  private taken: number
  /** What the peer's kernel has not confirmed, in order. */
  private readonly unconfirmed: Sent[]
  private confirming: Timer | undefined
  /** Points that may be replayed before the next tick. */
  private allowance: number
  private waiting: boolean
  private finishing: boolean
  private isOver: boolean

  constructor(options: PlainSessionOptions) {
    this.options = options
    this.again = options.outbox.window?.contents().map(({ bytes }) => bytes) ?? []
    this.batch = undefined
    this.bytes = new Uint8Array(0)
    this.offset = 0
    this.taken = 0
    this.unconfirmed = []
    this.confirming = undefined
    this.allowance = 0
    this.waiting = false
    this.finishing = false
    this.isOver = false
  }

  get isIdle(): boolean {
    return this.batch === undefined && this.again.length === 0 && this.offset === this.bytes.length
  }

  get isDrained(): boolean {
    return this.isIdle && this.options.outbox.isEmpty
  }

  finish(): void {
    this.finishing = true
  }

  receive(): void {
    // Carbon answers nothing; whatever comes is read so that the peer does not block.
  }

  readToEnd(): void {
    this.release(this.unconfirmed.length)
  }

  close(): void {
    this.isOver = true
    this.confirming?.cancel()
  }

  pump(): void {
    while (!this.isOver && this.writeCurrent()) {
      const block = this.again.shift()
      if (block) this.start(block, undefined)
      else if (this.finishing || !this.startNext()) return
    }
  }

  /** False while the kernel takes no more. */
  private writeCurrent(): boolean {
    if (this.offset < this.bytes.length) {
      const rest = this.offset === 0 ? this.bytes : this.bytes.subarray(this.offset)
      const taken = this.options.upstream.write(rest)
      this.offset += taken
      this.taken += taken
      if (this.offset < this.bytes.length) return false
    }
    if (this.batch) this.written(this.batch)
    return true
  }

  private startNext(): boolean {
    const { outbox } = this.options
    const replaying = outbox.isReplaying
    if (replaying && this.allowance <= 0) {
      this.waitForAllowance()
      return false
    }
    const batch = outbox.next()
    if (!batch) return false
    if (replaying) this.allowance -= batch.count
    outbox.sent(batch)
    this.start(batch.names ? pointsToLines(batch.bytes, batch.names) : batch.bytes, batch)
    return true
  }

  private start(bytes: Uint8Array, batch: Batch | undefined): void {
    this.bytes = bytes
    this.offset = 0
    this.batch = batch
  }

  private written({ sequence, count }: Batch): void {
    const { clock, outbox, onSent } = this.options
    const { bytes, taken: end } = this
    this.unconfirmed.push({ sequence, count, bytes, end, sentMs: clock.monotonicMs() })
    this.start(new Uint8Array(0), undefined)
    outbox.acknowledge(sequence, 0)
    onSent(count)
    this.confirm()
  }

  // ── confirmation ────────────────────────────────────────────────────────────────────────────────

  private confirm(): void {
    const { unconfirmed, options } = this
    const confirmed = this.taken - options.upstream.unconfirmed
    let count = 0
    while (count < unconfirmed.length && unconfirmed[count]!.end <= confirmed) count++
    this.release(count)
    options.onProgress()
    if (unconfirmed.length === 0 || this.confirming) return
    this.confirming = options.clock.after(CONFIRM_TICK_MS, () => {
      this.confirming = undefined
      this.confirm()
      this.spillLate()
    })
  }

  /** The oldest so many are with the peer. */
  private release(count: number): void {
    if (count === 0) return
    const { outbox } = this.options
    const sent = this.unconfirmed.splice(0, count)
    for (const batch of sent) outbox.window?.push(batch)
    const { sequence } = sent.at(-1)!
    outbox.acknowledge(sequence, sequence)
  }

  private spillLate(): void {
    const { clock, outbox } = this.options
    const lateMs = clock.monotonicMs() - UNCONFIRMED_MS_MAX
    const late = this.unconfirmed.findLast(({ sentMs }) => sentMs <= lateMs)
    if (late) outbox.spillThrough(late.sequence)
  }

  private waitForAllowance(): void {
    if (this.waiting) return
    this.waiting = true
    this.options.clock.after(REPLAY_TICK_MS, () => {
      this.waiting = false
      this.allowance += (this.options.replayRate() * REPLAY_TICK_MS) / 1000
      this.pump()
    })
  }
}
