/**
 * What the wall clock may decide. When it moves by more than an hour against the monotonic clock nobody
 * knows which of the two times was right: deleting is suspended until points of ten minutes agree with
 * the new time, and points of either time are taken.
 */

import type { Clock } from '../../lib/clock.ts'

const JUMP_SECONDS = 3_600
const CONFIRMATION_SECONDS = 600

export class ClockGuard {
  private readonly clock: Clock
  private lastWallMs: number
  private lastMonotonicMs: number
  /** How far the present time lies beside the one before the jump. */
  private offsetMs = 0
  private confirmedSeconds = 0
  private lastConfirmation = 0
  private suspended = false

  constructor(clock: Clock) {
    this.clock = clock
    this.lastWallMs = clock.nowMs()
    this.lastMonotonicMs = clock.monotonicMs()
  }

  /** Whether anything may be deleted for its age; a jump counts before the next tick has seen it. */
  get mayDelete(): boolean {
    return !this.suspended && Math.abs(this.jumpMs()) <= JUMP_SECONDS * 1000
  }

  /** The later of the times that may be right, Unix seconds. */
  get latestNow(): number {
    const wall = this.clock.nowMs()
    return Math.floor(Math.max(wall, wall - this.offsetMs) / 1000)
  }

  /** To be called every second with the newest point's time since the last call, 0 when there was none. */
  tick(newest: number): void {
    const jumpMs = this.jumpMs()
    const wallMs = this.clock.nowMs()
    this.lastWallMs = wallMs
    this.lastMonotonicMs = this.clock.monotonicMs()
    if (Math.abs(jumpMs) > JUMP_SECONDS * 1000) {
      this.suspended = true
      this.offsetMs += jumpMs
      this.confirmedSeconds = 0
      if (Math.abs(this.offsetMs) <= JUMP_SECONDS * 1000) this.end()
    } else if (this.suspended) this.confirm(Math.floor(wallMs / 1000), newest)
  }

  /** How far the wall clock has moved beside the monotonic one since the last tick. */
  private jumpMs(): number {
    const elapsedMs = this.clock.monotonicMs() - this.lastMonotonicMs
    return this.clock.nowMs() - this.lastWallMs - elapsedMs
  }

  /** Seconds in which points arrived that agree with the clock. */
  private confirm(now: number, newest: number): void {
    if (now === this.lastConfirmation || Math.abs(now - newest) > JUMP_SECONDS) return
    this.lastConfirmation = now
    if (++this.confirmedSeconds >= CONFIRMATION_SECONDS) this.end()
  }

  private end(): void {
    this.suspended = false
    this.offsetMs = 0
  }
}
