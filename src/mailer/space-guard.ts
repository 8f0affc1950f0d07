/**
 * Says when the disk is nearly full: below 32 MiB free nothing is accepted, until 48 MiB are free again.
 * Looks at most once a second.
 */

import type { Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'

const FREE_BYTES_MIN = 32 * 1024 ** 2
const RESUME_FACTOR = 1.5
const LOOK_INTERVAL_MS = 1_000

export class SpaceGuard {
  private readonly disk: Disk
  private readonly clock: Clock
  private readonly dir: string
  private isFull: boolean
  private lookedMs: number

  constructor(options: { disk: Disk; clock: Clock; dir: string }) {
    this.disk = options.disk
    this.clock = options.clock
    this.dir = options.dir
    this.isFull = false
    this.lookedMs = -Infinity
  }

  full(): boolean {
    const nowMs = this.clock.monotonicMs()
    if (nowMs - this.lookedMs < LOOK_INTERVAL_MS) return this.isFull
    this.lookedMs = nowMs
    const { freeBytes } = this.disk.space(this.dir)
    this.isFull = freeBytes < FREE_BYTES_MIN * (this.isFull ? RESUME_FACTOR : 1)
    return this.isFull
  }
}
