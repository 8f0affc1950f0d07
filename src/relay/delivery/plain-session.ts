/**
 * Lines on one connection. A batch counts as delivered when the kernel has taken all of it; what the peer
 * may not have read yet stays in the resend window and opens the next connection.
 *
 * A replay from the spool is held to `replayRate` points a second, so that it does not drown the peer;
 * what comes from memory is not.
 */

import type { Clock } from '../../lib/clock.ts'
import type { Outbox } from './outbox.ts'
import { pointsToLines } from './points-text.ts'
import type { ResendWindow } from './resend-window.ts'
import type { Session } from './session.ts'
import type { Batch } from './spool-format.ts'
import type { Upstream } from './upstream.ts'

export interface PlainSessionOptions {
  readonly clock: Clock
  readonly outbox: Outbox
  readonly upstream: Upstream
  /** Undefined where nothing is written again: UDP, files. */
  readonly window: ResendWindow | undefined
  /** Points a second while a spool is replayed. */
  readonly replayRate: () => number
  /** Points that the kernel has taken. */
  readonly onSent: (points: number) => void
  /** The outbox moved on. */
  readonly onProgress: () => void
}

const REPLAY_TICK_MS = 50

export class PlainSession implements Session {
  private readonly options: PlainSessionOptions
  /** Written first: what the connection before this one may not have delivered. */
  private again: Uint8Array[]
  private batch: Batch | undefined
  private bytes: Uint8Array
  private offset: number
  /** Points that may be replayed before the next tick. */
  private allowance: number
  private waiting: boolean
  private finishing: boolean
  private isOver: boolean

  constructor(options: PlainSessionOptions) {
    this.options = options
    this.again = options.window ? [...options.window.contents()] : []
    this.batch = undefined
    this.bytes = new Uint8Array(0)
    this.offset = 0
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

  close(): void {
    this.isOver = true
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
      this.offset += this.options.upstream.write(rest)
      if (this.offset < this.bytes.length) return false
    }
    if (this.batch) this.delivered(this.batch)
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

  private delivered(batch: Batch): void {
    const { outbox, window, onSent, onProgress } = this.options
    this.batch = undefined
    window?.push(this.bytes)
    this.bytes = new Uint8Array(0)
    this.offset = 0
    outbox.acknowledge(batch.sequence, batch.sequence)
    onSent(batch.count)
    onProgress()
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
