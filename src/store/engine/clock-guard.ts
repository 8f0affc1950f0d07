/**
 * What the wall clock may decide. When it moves by more than an hour against the monotonic clock nobody
 * knows which of the two times was right: deleting is suspended until points of ten minutes agree with
 * the new time, and points of either time are taken, their age judged by the earlier one.
 *
 * Over a restart the monotonic clock says nothing. There the clock is held against the last time that it showed
 * while nobody doubted it, which the manifest keeps (`trusted`): a machine that was off for a day looks the same as a
 * clock that jumped a day, and waits its ten minutes too.
 */

import type { Clock } from '../../lib/clock.ts'

/** Farther apart, two times disagree. */
export const JUMP_SECONDS = 3_600
const CONFIRMATION_MS = 600_000
/** A point vouches for the time since the one before it, so long at most. */
const VOUCHED_MS_MAX = 60_000

export class ClockGuard {
  private readonly clock: Clock
  private lastWallMs: number
  private lastMonotonicMs: number
  /** How far the present time lies beside the one before the jump. */
  private offsetMs = 0
  private confirmedMs = 0
  private lastConfirmationMs = 0
  private suspended = false
  /** Unix seconds, of the clock when nobody doubted it last; 0 when it always was. */
  trusted = 0

  constructor(clock: Clock) {
    this.clock = clock
    this.lastWallMs = clock.nowMs()
    this.lastMonotonicMs = clock.monotonicMs()
  }

  /** To be called once, with what `trusted` was when the store was last open. */
  resume(trusted: number): void {
    const offsetMs = this.clock.nowMs() - trusted * 1000
    if (trusted > 0 && isJump(offsetMs)) {
      this.trusted = trusted
      this.suspend(offsetMs)
    } else this.trust()
  }

  /** Whether anything may be deleted for its age; a jump counts before the next tick has seen it. */
  get mayDelete(): boolean {
    return !this.suspended && !isJump(this.jumpMs())
  }

  /** The earlier of the times that may be right, Unix seconds. */
  get earliestNow(): number {
    return Math.floor((this.clock.nowMs() - Math.max(0, this.offsetMs)) / 1000)
  }

  /** The later of them. */
  get latestNow(): number {
    return Math.floor((this.clock.nowMs() - Math.min(0, this.offsetMs)) / 1000)
  }

  /**
   * To be called every second with the time of the newest point since the last call, of those that are not
   * ahead of the clock by more than JUMP_SECONDS; 0 when there was none.
   */
  tick(newest: number): void {
    const jumpMs = this.jumpMs()
    this.lastWallMs = this.clock.nowMs()
    this.lastMonotonicMs = this.clock.monotonicMs()
    if (isJump(jumpMs)) {
      this.suspend(this.offsetMs + jumpMs)
      if (!isJump(this.offsetMs)) this.end()
    } else if (this.suspended && newest * 1000 >= this.lastWallMs - JUMP_SECONDS * 1000)
      this.confirm()
    if (!this.suspended) this.trust()
  }

  /** How far the wall clock has moved beside the monotonic one since the last tick. */
  private jumpMs(): number {
    const elapsedMs = this.clock.monotonicMs() - this.lastMonotonicMs
    return this.clock.nowMs() - this.lastWallMs - elapsedMs
  }

  private suspend(offsetMs: number): void {
    this.suspended = true
    this.offsetMs = offsetMs
    this.confirmedMs = 0
    this.lastConfirmationMs = this.clock.monotonicMs()
  }

  /** A point agrees with the present time. */
  private confirm(): void {
    const now = this.clock.monotonicMs()
    this.confirmedMs += Math.min(now - this.lastConfirmationMs, VOUCHED_MS_MAX)
    this.lastConfirmationMs = now
    if (this.confirmedMs >= CONFIRMATION_MS) this.end()
  }

  private trust(): void {
    this.trusted = Math.floor(this.clock.nowMs() / 1000)
  }

  private end(): void {
    this.suspended = false
    this.offsetMs = 0
  }
}

function isJump(ms: number): boolean {
  return Math.abs(ms) > JUMP_SECONDS * 1000
}
