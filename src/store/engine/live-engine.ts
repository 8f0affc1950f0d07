/** The engine at work, once recovery (open-engine.ts) has handed it what was there. */

import { assert } from '../../lib/assert.ts'
import { ByteWriter } from '../../lib/bytes.ts'
import { nowSeconds, type Timer } from '../../lib/clock.ts'
import { reason } from '../../lib/log.ts'
import { JUMP_SECONDS } from './clock-guard.ts'
import type { Core } from './core.ts'
import type { DiskSpace } from './disk-space.ts'
import type {
  CheckReport,
  Engine,
  FetchedSlots,
  FetchPlan,
  FetchRange,
  PointsSource,
  SeriesDefinition,
  SeriesRule,
} from '../engine.ts'
import { fetchSlots, planSlots } from './fetch.ts'
import type { Ingest } from './ingest.ts'
import { LATE_BYTES_DUE, Maintenance } from './maintenance.ts'
import { QueryError } from '../query-error.ts'
import type { Senders } from './senders.ts'
import { applyLoad, applySeriesRecord } from './replay.ts'
import { snapshotStore } from './snapshot.ts'
import type { TakeOver } from './take-over.ts'
import {
  appendDefine,
  appendRedefine,
  appendRemove,
  appendRename,
} from '../files/series-records.ts'
import { appendLoad, appendPoints, NO_SENDER } from '../files/wal-format.ts'

const TICK_MS = 1_000
const SYNC_LATE_MS = 5_000
/** Late points in memory: those who can wait do so at half more than makes them be written (maintenance.ts) … */
const LATE_BYTES_FULL = 6 * 1024 * 1024
/** … and nobody's are taken above this. */
const LATE_BYTES_MAX = 32 * 1024 * 1024

export interface EngineParts {
  readonly ingest: Ingest
  readonly senders: Senders
  readonly space: DiskSpace
  readonly takeOver: TakeOver
}

export class LiveEngine implements Engine {
  private readonly core: Core
  private readonly ingest: Ingest
  private readonly senders: Senders
  private readonly space: DiskSpace
  private readonly takeOver: TakeOver
  private readonly maintenance: Maintenance
  private readonly records = new ByteWriter(1 << 16)
  private readonly listeners: (() => void)[] = []
  private readonly timer: Timer
  private isSyncing = false
  /** Of those who wait for room, and since when. */
  private room: (PromiseWithResolvers<void> & { readonly sinceMs: number }) | undefined
  private lastSyncMs: number
  private isClosed = false

  constructor(core: Core, parts: EngineParts) {
    this.core = core
    this.ingest = parts.ingest
    this.senders = parts.senders
    this.space = parts.space
    this.takeOver = parts.takeOver
    this.maintenance = new Maintenance(core, { ...parts, onWritten: () => this.tellOfRoom() })
    this.lastSyncMs = core.clock.monotonicMs()
    this.timer = core.clock.every(TICK_MS, () => this.tick())
  }

  get nextId(): number {
    return this.core.table.length
  }

  // ── series ──

  define(definition: SeriesDefinition): void {
    assert(definition.id === this.nextId, `series ${definition.id}: the next is ${this.nextId}`)
    this.records.reset()
    appendDefine(this.records, definition)
    this.logSeries()
  }

  remove(id: number): void {
    if (!this.core.table.has(id)) return
    this.records.reset()
    appendRemove(this.records, id)
    this.logSeries()
  }

  rename(id: number, path: string): void {
    this.records.reset()
    appendRename(this.records, id, path)
    this.logSeries()
  }

  redefine(id: number, rule: SeriesRule): void {
    const present = this.core.table.rule(id)
    if (!present) return
    const coarsest = rule.archives.at(-1)!.step
    const from = (Math.floor(this.core.now / coarsest) + 1) * coarsest
    this.records.reset()
    appendRedefine(this.records, { id, from, rule })
    this.logSeries()
  }

  ruleOf(id: number): SeriesRule | undefined {
    return this.core.table.rule(id)
  }

  lastSeen(id: number): number {
    return this.core.table.lastSeen[id] ?? 0
  }

  deletionNow(): number | undefined {
    const { guard, newest, now } = this.core
    return guard.mayDelete && newest > 0 ? now : undefined
  }

  // ── points ──

  append(
    source: PointsSource | undefined,
    ids: Uint32Array,
    timestamps: Uint32Array,
    values: Float64Array,
    count: number,
  ): boolean {
    if (!this.acceptsPoints()) return false
    if (source && !this.senders.isNew(source.sender, source.sequence)) {
      this.core.counters.repeatedFrames.value++
      return true
    }
    const kept = this.dropBadTimes(ids, timestamps, values, count)
    const points = {
      sender: source?.sender ?? NO_SENDER,
      sequence: source?.sequence ?? 0,
      now: this.core.nowWith(kept.newest),
      ids,
      timestamps,
      values,
      count: kept.count,
    }
    this.records.reset()
    appendPoints(this.records, points)
    if (!this.write()) return false
    if (source) this.senders.note(source.sender, source.sequence)
    this.ingest.apply(points, points.now)
    if (this.ingest.isHeadFull || this.core.lateBytes > LATE_BYTES_DUE) this.maintenance.tick()
    if (this.core.wal.isSyncDue && this.core.settings.fsync !== 'off') this.syncInBackground()
    return true
  }

  whenRoom(): Promise<void> | undefined {
    if (this.hasRoom) return undefined
    this.syncInBackground()
    this.maintenance.tick()
    const sinceMs = this.core.clock.monotonicMs()
    this.room ??= { ...Promise.withResolvers<void>(), sinceMs }
    return this.room.promise
  }

  async load(id: number, slots: FetchedSlots): Promise<boolean> {
    if (!this.isWritable) return false
    await this.whenRoom()
    if (!this.acceptsPoints()) return false
    const record = { id, step: slots.step, start: slots.start, values: slots.values }
    this.records.reset()
    appendLoad(this.records, record)
    if (!this.write()) return false
    applyLoad(this.core, record)
    return true
  }

  latestTime(): number {
    return this.core.guard.latestNow + this.core.settings.maxFuture
  }

  lastSequences(sender: string): { written: number; synced: number } {
    return this.senders.last(sender)
  }

  onSynced(callback: () => void): void {
    this.listeners.push(callback)
  }

  async sync(): Promise<void> {
    const written = this.senders.written()
    await this.core.wal.sync()
    this.noteSynced(written)
  }

  fetch(
    ids: Uint32Array,
    range: FetchRange,
    each: (index: number, slots: FetchedSlots | undefined) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<void> {
    return fetchSlots(this.core, ids, range, each, signal)
  }

  plan(ids: Uint32Array, range: FetchRange): FetchPlan {
    return planSlots(this.core, ids, range)
  }

  // ── care ──

  acceptsPoints(): boolean {
    return this.isWritable && !this.isBehind
  }

  acceptsSeries(): boolean {
    return this.space.acceptsSeries && this.takeOver.isDone
  }

  notReady(): string[] {
    const reasons = this.space.reasons
    if (reasons.length === 0 && !this.takeOver.isDone) reasons.push('not writing yet')
    const nowMs = this.core.clock.monotonicMs()
    const waitedMs = this.room ? nowMs - this.room.sinceMs : 0
    if (this.isBehind || waitedMs > SYNC_LATE_MS) reasons.push('disk too slow, points wait')
    const silentMs = nowMs - this.lastSyncMs
    if (this.core.settings.fsync !== 'off' && silentMs > SYNC_LATE_MS)
      reasons.push(`last sync ${Math.floor(silentMs / 1000)} s ago`)
    return reasons
  }

  flush(): Promise<void> {
    return this.maintenance.exclusively(async () => {
      await this.takeOver.run()
      await this.maintenance.checkpoint(true)
      await this.maintenance.foldAll()
      await this.maintenance.checkpoint(true)
    })
  }

  snapshot(dir: string): Promise<void> {
    return this.maintenance.exclusively(async () => {
      await this.takeOver.run()
      await this.maintenance.checkpoint(true)
      await snapshotStore(this.core, dir)
    })
  }

  check(): Promise<CheckReport> {
    return this.maintenance.check()
  }

  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    this.timer.cancel()
    this.maintenance.stop()
    try {
      if (this.takeOver.isDone) await this.writeAll()
    } catch (error) {
      if (!this.space.noteFailure(error)) throw error
      // The log has it all.
      this.core.log.warn('stopped without a checkpoint', { reason: reason(error) })
    }
    this.core.close()
  }

  // ── helpers ──

  private async writeAll(): Promise<void> {
    await this.maintenance.exclusively(() => this.maintenance.checkpoint(true))
    await this.maintenance.tidy()
    await this.sync()
  }

  private get isWritable(): boolean {
    return this.space.acceptsPoints && this.takeOver.isDone
  }

  /** So much waits for the disk, in memory, that no more is taken. */
  private get isBehind(): boolean {
    return this.core.wal.isBehind || this.core.lateBytes > LATE_BYTES_MAX
  }

  /** What comes can wait in memory; or it is of no use that it waits elsewhere, because the disk is full. */
  private get hasRoom(): boolean {
    const { wal, lateBytes } = this.core
    const isFull = wal.isFull || lateBytes > LATE_BYTES_FULL || this.ingest.isHeadOver
    return !this.isWritable || !isFull
  }

  private tellOfRoom(): void {
    if (!this.room || !this.hasRoom) return
    this.room.resolve()
    this.room = undefined
  }

  private tick(): void {
    const { clock, guard } = this.core
    guard.tick(this.ingest.takeNewest(nowSeconds(clock) + JUMP_SECONDS))
    if (this.core.settings.fsync === 'off') this.noteSynced(this.senders.written())
    else this.syncInBackground()
    this.maintenance.tick()
    this.tellOfRoom()
  }

  private noteSynced(written: ReadonlyMap<string, number>): void {
    this.senders.markSynced(written)
    this.lastSyncMs = this.core.clock.monotonicMs()
    for (const listener of this.listeners) listener()
    this.tellOfRoom()
  }

  private syncInBackground(): void {
    if (this.isSyncing) return
    this.isSyncing = true
    this.sync()
      .catch((error: unknown) => {
        this.space.noteFailure(error)
        this.core.log.error('sync failed', { reason: reason(error) })
      })
      .finally(() => (this.isSyncing = false))
  }

  /** Leaves out points whose time is 0 or too far ahead; says how many are left, in the same columns. */
  private dropBadTimes(
    ids: Uint32Array,
    timestamps: Uint32Array,
    values: Float64Array,
    count: number,
  ): { count: number; newest: number } {
    const latest = this.latestTime()
    let bad = 0
    let newest = 0
    for (let i = 0; i < count; i++) {
      const time = timestamps[i]!
      if (time > latest || time === 0) bad++
      else if (time > newest) newest = time
    }
    if (bad === 0) return { count, newest }
    let kept = 0
    for (let i = 0; i < count; i++) {
      const time = timestamps[i]!
      if (time > latest || time === 0) continue
      ids[kept] = ids[i]!
      timestamps[kept] = time
      values[kept++] = values[i]!
    }
    this.core.counters.droppedTime.value += bad
    return { count: kept, newest }
  }

  /**
   * Definitions are rare: each is in the log, in the table and among what the series log gets next. Throws
   * `QueryError` when the disk does not take it.
   */
  private logSeries(): void {
    try {
      if (!this.isWritable) throw unwritable()
      this.log()
    } catch (error) {
      throw this.space.noteFailure(error) ? unwritable() : error
    }
    const { core, ingest } = this
    applySeriesRecord({ core, ingest }, this.records.copy())
  }

  private log(): void {
    const { wal, settings } = this.core
    if (settings.fsync === 'always') wal.appendSynced(this.records)
    else wal.append(this.records)
  }

  /** False when the disk does not take it. */
  private write(): boolean {
    try {
      this.log()
      return true
    } catch (error) {
      if (this.space.noteFailure(error)) return false
      throw error
    }
  }
}

function unwritable(): QueryError {
  return new QueryError('unavailable', 'the store does not write now')
}
