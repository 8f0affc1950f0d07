/**
 * One next server and what waits for it: how many transactions may run at once, how fast, and whether it
 * is to be left alone for now.
 *
 * The window starts at 5, grows by one with each message that gets through, up to the limit, and halves
 * with each failure of the server itself (Postfix's slow start, qmgr_feedback.c). A server that fails is
 * suspended for 5 s, 15 s, 60 s, then 300 s; then one message tries it. A throttling answer (454 of SES)
 * is no failure: the window drops to one and a second passes, two after the next one, up to a minute.
 */

import type { Clock } from '../lib/clock.ts'
import { suspensionMs } from './schedule.ts'

const WINDOW_FIRST = 5
const THROTTLE_PAUSE_MS_MIN = 1_000
const THROTTLE_PAUSE_MS_MAX = 60_000
const KEPT_MS = 60_000
const FAILING_KEPT_MS = 6_000_000

export interface DestinationLimits {
  readonly concurrencyMax: number
  /** Messages a second; 0: no limit. */
  readonly rate: number
}

export class Destination<Job> {
  readonly name: string
  readonly waiting: Job[]
  running: number
  /** Mail for it was left in the queue: come back for it when `waiting` has run empty. */
  isCrowded: boolean
  private readonly clock: Clock
  private readonly limits: () => DestinationLimits
  private window: number
  private failures: number
  private throttlePauseMs: number
  private suspendedUntilMs: number
  private tokens: number
  private tokensMs: number
  private usedMs: number

  constructor(name: string, clock: Clock, limits: () => DestinationLimits) {
    this.name = name
    this.waiting = []
    this.running = 0
    this.isCrowded = false
    this.clock = clock
    this.limits = limits
    this.window = WINDOW_FIRST
    this.failures = 0
    this.throttlePauseMs = THROTTLE_PAUSE_MS_MIN
    this.suspendedUntilMs = -Infinity
    this.tokens = 1
    this.tokensMs = clock.monotonicMs()
    this.usedMs = clock.monotonicMs()
  }

  /** How long until the next job may start; 0: now. Infinity: when one that runs has ended. */
  waitMs(): number {
    if (this.running >= this.currentWindow()) return Infinity
    const nowMs = this.clock.monotonicMs()
    const suspendedMs = Math.max(0, this.suspendedUntilMs - nowMs)
    return Math.max(suspendedMs, this.tokenWaitMs(nowMs))
  }

  /** How long it is still to be left alone. */
  suspendedMs(): number {
    return Math.max(0, this.suspendedUntilMs - this.clock.monotonicMs())
  }

  /** Nothing has been done with it for so long that what is known of it may be forgotten. */
  get isStale(): boolean {
    if (this.running > 0 || this.waiting.length > 0) return false
    return this.clock.monotonicMs() - this.usedMs > (this.failing ? FAILING_KEPT_MS : KEPT_MS)
  }

  /** True until it has answered again. */
  get failing(): boolean {
    return this.failures > 0
  }

  start(): void {
    this.running++
    this.usedMs = this.clock.monotonicMs()
    if (this.limits().rate > 0) this.tokens--
  }

  succeeded(): void {
    this.running--
    this.failures = 0
    this.throttlePauseMs = THROTTLE_PAUSE_MS_MIN
    this.suspendedUntilMs = -Infinity
    this.window = Math.min(this.window + 1, this.limits().concurrencyMax)
  }

  /** The server as a whole refused or did not answer. */
  failed(): void {
    this.running--
    this.window = Math.max(1, Math.floor(this.window / 2))
    // Transactions that ran side by side fail together: that is one failure.
    if (this.suspendedMs() > 0) return
    this.failures++
    this.suspendedUntilMs = this.clock.monotonicMs() + suspensionMs(this.failures)
  }

  throttled(): void {
    this.running--
    this.window = 1
    // Transactions that ran side by side are throttled together: that is one answer.
    if (this.suspendedMs() > 0) return
    this.suspendedUntilMs = this.clock.monotonicMs() + this.throttlePauseMs
    this.throttlePauseMs = Math.min(this.throttlePauseMs * 2, THROTTLE_PAUSE_MS_MAX)
  }

  /** By hand: whatever it did, it is tried now. */
  forgive(): void {
    this.suspendedUntilMs = -Infinity
  }

  private currentWindow(): number {
    return this.failing ? 1 : Math.min(this.window, this.limits().concurrencyMax)
  }

  private tokenWaitMs(nowMs: number): number {
    const { rate } = this.limits()
    if (rate === 0) return 0
    const burst = Math.max(1, rate / 10)
    this.tokens = Math.min(burst, this.tokens + ((nowMs - this.tokensMs) / 1000) * rate)
    this.tokensMs = nowMs
    return this.tokens >= 1 ? 0 : ((1 - this.tokens) / rate) * 1000
  }
}
