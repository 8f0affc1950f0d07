/**
 * How a connection is left so that nothing on it is lost: its session begins nothing new, then the peer is told
 * that there is no more, and when it ends too, in order, it has read everything. After `mostMs` nobody waits any
 * longer; then, or when the connection broke, what the peer has is not known.
 */

import type { Clock, Timer } from '../../lib/clock.ts'
import type { Session } from './session.ts'
import type { Upstream } from './upstream.ts'

export interface PartingOptions {
  readonly clock: Clock
  readonly session: Session
  readonly upstream: Upstream
  readonly mostMs: number
  /** Once. */
  readonly onParted: (orderly: boolean) => void
}

export class Parting {
  private readonly options: PartingOptions
  private readonly deadline: Timer
  private told: boolean

  constructor(options: PartingOptions) {
    this.options = options
    this.deadline = options.clock.after(options.mostMs, () => this.parted(false))
    this.told = false
    options.session.finish()
  }

  /** The session has moved on. */
  progress(): void {
    const { session, upstream } = this.options
    if (this.told || !session.isIdle) return
    this.told = true
    upstream.finish()
  }

  /** The connection is over. */
  parted(orderly: boolean): void {
    this.deadline.cancel()
    this.options.onParted(orderly && this.told)
  }
}
