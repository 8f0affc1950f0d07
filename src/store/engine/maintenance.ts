/**
 * Everything that the store does by itself, one thing at a time: checkpoints, writing of late points, folds,
 * retention, a look at the free space. A fold is long, so it lets what is due come first between its groups.
 *
 * What fails for want of space is tried again when there is some; what fails otherwise, ten seconds later.
 */

import { reason } from '../../lib/log.ts'
import { checkStore } from './check.ts'
import { Checkpoints } from './checkpoint.ts'
import type { Core } from './core.ts'
import type { DiskSpace } from './disk-space.ts'
import type { CheckReport } from '../engine.ts'
import { writeLate } from './flush.ts'
import { foldWindow } from './fold.ts'
import { saveLastSeen } from './last-seen.ts'
import type { Ingest } from './ingest.ts'
import { CHECKPOINT_SECONDS, type Lane } from './lane.ts'
import { recomputeTouched } from './recompute-touched.ts'
import { dropWindows, expiredWindows } from './retention.ts'
import type { Senders } from './senders.ts'
import type { TakeOver } from './take-over.ts'
import { TimeSlice } from '../../lib/time-slice.ts'
import type { Window } from './window.ts'

const LOG_BYTES_MAX = 32 * 1024 * 1024
/** Late points that are worth being written. */
export const LATE_BYTES_DUE = 4 * 1024 * 1024
const SPACE_INTERVAL_MS = 5_000
const RETENTION_INTERVAL_MS = 60_000
const TIDY_INTERVAL_MS = 600_000
const RETRY_MS = 10_000
/** A window is sealed when it ended so many seconds ago … */
const SEAL_AFTER_SECONDS = 300
/** … and nothing came for so long, */
const QUIET_MS = 60_000
/** an overlay is folded when it has so many extents, or after so long a silence. */
const OVERLAY_EXTENTS_MAX = 64
const OVERLAY_IDLE_MS = 3_600_000

interface Candidate {
  readonly lane: Lane
  readonly depth: number
  readonly window: Window
  readonly settle: boolean
}

export class Maintenance {
  private readonly core: Core
  private readonly ingest: Ingest
  private readonly space: DiskSpace
  private readonly takeOver: TakeOver
  private readonly onWritten: () => void
  private readonly checkpoints: Checkpoints
  private lastCheckpointMs: number
  private lastSpaceMs = -Infinity
  private lastRetentionMs: number
  private lastTidyMs: number
  private retryAtMs = 0
  /** The one thing that is being done; others wait for it. */
  private running: Promise<void> = Promise.resolve()
  private isBusy = false
  private isStopping = false

  constructor(
    core: Core,
    parts: {
      ingest: Ingest
      space: DiskSpace
      senders: Senders
      takeOver: TakeOver
      onWritten: () => void
    },
  ) {
    this.core = core
    this.ingest = parts.ingest
    this.space = parts.space
    this.takeOver = parts.takeOver
    this.onWritten = parts.onWritten
    this.checkpoints = new Checkpoints(core, parts)
    this.lastCheckpointMs = core.clock.monotonicMs()
    this.lastRetentionMs = this.lastCheckpointMs
    this.lastTidyMs = this.lastCheckpointMs
  }

  /** To be called every second, and when something is due before that; does nothing while busy. */
  tick(): void {
    if (this.isBusy || this.isStopping || this.isPutOff) return
    void this.exclusively(() => this.doWhatIsDue()).catch((error: unknown) => this.putOff(error))
  }

  /** Runs `work` when nothing else runs. */
  async exclusively<T>(work: () => Promise<T>): Promise<T> {
    const before = this.running
    const result = before.then(async () => {
      this.isBusy = true
      try {
        return await work()
      } finally {
        this.isBusy = false
      }
    })
    this.running = result.then(
      () => {},
      () => {},
    )
    return result
  }

  /** A checkpoint now; `everything`: of open slots too. */
  async checkpoint(everything: boolean): Promise<void> {
    await this.checkpoints.run(new TimeSlice(this.core.clock), everything)
    this.lastCheckpointMs = this.core.clock.monotonicMs()
    this.onWritten()
  }

  private async spill(): Promise<void> {
    await this.checkpoints.spill(new TimeSlice(this.core.clock))
    this.onWritten()
  }

  private async writeLate(): Promise<void> {
    const { core } = this
    for (const lane of core.lanes)
      if (lane.lateBytes > 0) await writeLate(core, lane, new TimeSlice(core.clock))
    this.onWritten()
  }

  /** Folds every window that has layers, finest first; those whose time has passed are settled. */
  async foldAll(): Promise<void> {
    const { core } = this
    const depths = Math.max(0, ...core.lanes.map((lane) => lane.levels.length))
    for (let depth = 0; depth < depths; depth++) {
      for (const lane of core.lanes) {
        for (const window of Array.from(lane.levels[depth]?.windows.values() ?? [])) {
          const settle = this.maySettle(lane, depth, window, 0)
          if (window.overlayExtents > 0 || (settle && !window.settled))
            await this.fold({ lane, depth, window, settle })
        }
      }
    }
  }

  /** Reads everything; checkpoints go on meanwhile. */
  check(): Promise<CheckReport> {
    const { core } = this
    const pace = { slice: new TimeSlice(core.clock), breathe: () => this.doUrgentOrPutOff() }
    return this.exclusively(() => checkStore(core.disk, core.dir, pace))
  }

  /** No more work after what is being done. */
  stop(): void {
    this.isStopping = true
  }

  /** Keeps when series were last seen; gives seats and rules back that nobody needs any more. */
  async tidy(): Promise<void> {
    const { table } = this.core
    await saveLastSeen(this.core.disk, this.core.dir, table)
    table.leaveIdleSeats(this.core.now)
    table.forgetPast(this.core.now)
  }

  private async doWhatIsDue(): Promise<void> {
    const { core } = this
    const now = core.clock.monotonicMs()
    await this.takeOver.run()
    if (now - this.lastSpaceMs >= SPACE_INTERVAL_MS) {
      this.lastSpaceMs = now
      if (this.space.check()) await this.resume()
    }
    await this.doUrgent()
    if (now - this.lastRetentionMs >= RETENTION_INTERVAL_MS || !this.space.acceptsSeries) {
      this.lastRetentionMs = now
      await this.expire()
    }
    if (now - this.lastTidyMs >= TIDY_INTERVAL_MS) {
      this.lastTidyMs = now
      await this.tidy()
    }
    // A fold takes room before it gives some back.
    const candidate = this.space.acceptsPoints ? this.nextFold() : undefined
    if (candidate) await this.fold(candidate)
  }

  /**
   * What waited is written before new points come: they move the time on, and what an archive does not cover any more
   * by then is not rolled up again.
   */
  private async resume(): Promise<void> {
    await this.checkpoint(true)
    this.space.resume()
  }

  private async doUrgent(): Promise<void> {
    const { core } = this
    if (!this.space.acceptsPoints) return
    if (this.isCheckpointDue()) await this.checkpoint(false)
    else if (this.ingest.isHeadFull) await this.spill()
    if (core.lateBytes > LATE_BYTES_DUE) await this.writeLate()
  }

  /** For those who only read, and go on when nothing can be written. */
  private async doUrgentOrPutOff(): Promise<void> {
    if (this.isPutOff) return
    try {
      await this.doUrgent()
    } catch (error) {
      this.putOff(error)
    }
  }

  private get isPutOff(): boolean {
    return this.core.clock.monotonicMs() < this.retryAtMs
  }

  private putOff(error: unknown): void {
    this.retryAtMs = this.core.clock.monotonicMs() + RETRY_MS
    const isFull = this.space.noteFailure(error)
    this.core.log.error(isFull ? 'disk full' : 'maintenance failed', { reason: reason(error) })
  }

  private isCheckpointDue(): boolean {
    const { core } = this
    const seconds = (core.clock.monotonicMs() - this.lastCheckpointMs) / 1000
    return core.wal.bytes >= LOG_BYTES_MAX || seconds >= CHECKPOINT_SECONDS
  }

  private async fold(candidate: Candidate): Promise<void> {
    const { core } = this
    const { lane, depth, window, settle } = candidate
    await this.settleLate(lane)
    await foldWindow(core, {
      lane,
      depth,
      window,
      settle,
      slice: new TimeSlice(core.clock),
      breathe: () => this.doUrgent(),
    })
  }

  /** What is rolled up next, or goes, has given what came late to the coarser levels. */
  private async settleLate(lane: Lane): Promise<void> {
    const slice = new TimeSlice(this.core.clock)
    await writeLate(this.core, lane, slice)
    await recomputeTouched(this.core, lane, slice)
  }

  private nextFold(): Candidate | undefined {
    for (const lane of this.core.lanes) {
      for (let depth = 0; depth < lane.levels.length; depth++) {
        for (const window of lane.levels[depth]!.windows.values()) {
          const settle = this.maySettle(lane, depth, window, SEAL_AFTER_SECONDS)
          if (this.wantsFold(window, settle)) return { lane, depth, window, settle }
        }
      }
    }
    return undefined
  }

  private wantsFold(window: Window, settle: boolean): boolean {
    if (window.damagedFiles.size > 0) return true
    const quietMs = this.core.clock.monotonicMs() - window.lastAppendMs
    if (!window.settled) return settle && quietMs >= QUIET_MS
    const extents = window.overlayExtents
    if (extents === 0) return false
    return quietMs >= (extents > OVERLAY_EXTENTS_MAX ? QUIET_MS : OVERLAY_IDLE_MS)
  }

  /** Whether the window's time has passed, and nothing finer in it waits to be rolled up. */
  private maySettle(lane: Lane, depth: number, window: Window, afterSeconds: number): boolean {
    if (window.end + afterSeconds > this.core.now) return false
    if (depth === 0) {
      const { head } = lane
      return head.from >= window.firstSlot + window.slots || head.top === head.from
    }
    for (const finer of lane.levels.slice(0, depth)) {
      for (const other of finer.windows.values())
        if (!other.settled && other.start < window.end && other.end > window.start) return false
    }
    return this.isFinerHeadPast(lane, window)
  }

  private isFinerHeadPast(lane: Lane, window: Window): boolean {
    const { head } = lane
    return head.top === head.from || head.from * head.step >= window.end
  }

  /** Rolls up what goes before it goes. */
  private async expire(): Promise<void> {
    const expired = expiredWindows(this.core)
    for (const lane of new Set(expired.map((one) => one.lane))) await this.settleLate(lane)
    for (const { lane, depth, window } of expired) {
      const next = lane.levels[depth + 1]
      if (!window.settled && next && window.end > this.core.now - next.retention)
        await this.fold({ lane, depth, window, settle: true })
    }
    if (expired.length > 0) await dropWindows(this.core, expired)
  }
}
