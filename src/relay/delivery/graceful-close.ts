/**
 * Ends a connection so that nothing on it is lost: its session begins nothing new, then the peer gets a FIN, and
 * when it ends too, in order, it has read everything. After `mostMs` nobody waits any longer; then, or when the
 * connection broke, what the peer has is not known.
 */

import type { Clock, Timer } from '../../lib/clock.ts'
import type { Session } from './session.ts'
import type { Upstream } from './upstream.ts'

export interface GracefulCloseOptions {
  readonly clock: Clock
  readonly session: Session
  readonly upstream: Upstream
  readonly mostMs: number
  /** Once. */
  readonly onClosed: (orderly: boolean) => void
}

export class GracefulClose {
  private readonly options: GracefulCloseOptions
  private readonly deadline: Timer
  private finished: boolean

  constructor(options: GracefulCloseOptions) {
    this.options = options
    this.deadline = options.clock.after(options.mostMs, () => this.closed(false))
    this.finished = false
    options.session.finish()
  }

  /** The session has moved on. */
  progress(): void {
    const { session, upstream } = this.options
    if (this.finished || !session.isIdle) return
    this.finished = true
    upstream.finish()
  }

  /** The connection is over. */
  closed(orderly: boolean): void {
    this.deadline.cancel()
    this.options.onClosed(orderly && this.finished)
  }
}
