/**
 * When a destination's batches move to its spool: each at the moment at which promise 3 wants it (outbox.ts), and
 * again every AGAIN_MS while the disk refuses. The first refusal is logged.
 */

import type { Clock, Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Outbox } from './outbox.ts'

const AGAIN_MS = 100

export interface SpillerOptions {
  readonly clock: Clock
  readonly log: Log
  readonly outbox: Outbox
  /** The destination, in the log. */
  readonly label: string
  /** What was due has moved, as far as the disk took it. */
  readonly onSpilled: () => void
}

export class Spiller {
  private readonly options: SpillerOptions
  private timer: Timer | undefined
  private closed: boolean

  constructor(options: SpillerOptions) {
    this.options = options
    this.timer = undefined
    this.closed = false
  }

  /** Call it when a batch came, or what its peer holds has changed. `overdueMs`: the wait when one is late already. */
  arm(overdueMs = 1): void {
    if (this.timer || this.closed) return
    const { clock, outbox } = this.options
    const atMs = outbox.spillAtMs()
    if (atMs === undefined) return
    const inMs = atMs - clock.monotonicMs()
    this.timer = clock.after(inMs > 0 ? inMs : overdueMs, () => {
      this.timer = undefined
      this.spill()
      this.arm(AGAIN_MS)
    })
  }

  close(): void {
    this.closed = true
    this.timer?.cancel()
  }

  private spill(): void {
    const { clock, log, outbox, label, onSpilled } = this.options
    const { refusal } = outbox
    outbox.spillOverdue(clock.monotonicMs())
    if (outbox.refusal !== undefined && refusal === undefined) {
      log.error('spool cannot be written', { destination: label, why: outbox.refusal })
    }
    onSpilled()
  }
}
