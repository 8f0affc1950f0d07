/** The engine at work, once recovery (open-engine.ts) has handed it what was there. */

import { assert } from '../lib/assert.ts'
import { ByteWriter } from '../lib/bytes.ts'
import type { Timer } from '../lib/clock.ts'
import { reason } from '../lib/log.ts'
import { checkStore } from './check.ts'
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
} from './engine.ts'
import { fetchSlots, planSlots } from './fetch.ts'
import type { Ingest } from './ingest.ts'
import { Maintenance } from './maintenance.ts'
import type { Senders } from './senders.ts'
import { applyLoad, applySeriesRecord } from './replay.ts'
import { snapshotStore } from './snapshot.ts'
import {
  appendDefine,
  appendLoad,
  appendPoints,
  appendRedefine,
  appendRemove,
  appendRename,
  NO_SENDER,
} from './wal-format.ts'

const TICK_MS = 1_000
const SYNC_LATE_MS = 5_000

export interface EngineParts {
  readonly ingest: Ingest
  readonly senders: Senders
  readonly space: DiskSpace
}

export class LiveEngine implements Engine {
  private readonly core: Core
  private readonly ingest: Ingest
  private readonly senders: Senders
  private readonly space: DiskSpace
  private readonly maintenance: Maintenance
  private readonly records = new ByteWriter(1 << 16)
  private readonly listeners: (() => void)[] = []
  private readonly timer: Timer
  private isSyncing = false
  private lastSyncMs: number
  private isClosed = false

  constructor(core: Core, parts: EngineParts) {
    this.core = core
    this.ingest = parts.ingest
    this.senders = parts.senders
    this.space = parts.space
    this.maintenance = new Maintenance(core, parts)
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
    if (!this.space.acceptsPoints) return false
    if (source && !this.senders.isNew(source.sender, source.sequence)) {
      this.core.counters.repeatedFrames.value++
      return true
    }
    const points = {
      ids,
      timestamps,
      values,
      count: this.dropBadTimes(ids, timestamps, values, count),
    }
    this.records.reset()
    appendPoints(this.records, source?.sender ?? NO_SENDER, source?.sequence ?? 0, points)
    if (!this.write()) return false
    if (source) this.senders.note(source.sender, source.sequence)
    this.ingest.apply(ids, timestamps, values, points.count)
    if (this.ingest.isHeadFull) this.maintenance.tick()
    return true
  }

  load(id: number, slots: FetchedSlots): boolean {
    if (!this.space.acceptsPoints) return false
    const record = { id, step: slots.step, start: slots.start, values: slots.values }
    this.records.reset()
    appendLoad(this.records, record)
    if (!this.write()) return false
    applyLoad(this.core, record)
    return true
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
    return this.space.acceptsPoints
  }

  acceptsSeries(): boolean {
    return this.space.acceptsSeries
  }

  notReady(): string[] {
    const reasons = this.space.reasons
    const silentMs = this.core.clock.monotonicMs() - this.lastSyncMs
    if (this.core.settings.fsync !== 'off' && silentMs > SYNC_LATE_MS)
      reasons.push(`last sync ${Math.floor(silentMs / 1000)} s ago`)
    return reasons
  }

  flush(): Promise<void> {
    return this.maintenance.exclusively(async () => {
      await this.maintenance.checkpoint(true)
      await this.maintenance.foldAll()
      await this.maintenance.checkpoint(true)
    })
  }

  snapshot(dir: string): Promise<void> {
    return this.maintenance.exclusively(async () => {
      await this.maintenance.checkpoint(true)
      snapshotStore(this.core, dir)
    })
  }

  check(): Promise<CheckReport> {
    return this.maintenance.exclusively(() => checkStore(this.core.disk, this.core.dir))
  }

  async close(): Promise<void> {
    if (this.isClosed) return
    this.isClosed = true
    this.timer.cancel()
    this.maintenance.stop()
    await this.maintenance.exclusively(() => this.maintenance.checkpoint(true))
    this.maintenance.tidy()
    await this.sync()
    this.core.close()
  }

  // ── helpers ──

  private tick(): void {
    this.core.guard.tick(this.ingest.takeNewest())
    if (this.core.settings.fsync === 'off') this.noteSynced(this.senders.written())
    else this.syncInBackground()
    this.maintenance.tick()
  }

  private noteSynced(written: ReadonlyMap<string, number>): void {
    this.senders.markSynced(written)
    this.lastSyncMs = this.core.clock.monotonicMs()
    for (const listener of this.listeners) listener()
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

  /** Leaves out points whose time is 0 or too far ahead; returns how many are left, in the same columns. */
  private dropBadTimes(
    ids: Uint32Array,
    timestamps: Uint32Array,
    values: Float64Array,
    count: number,
  ): number {
    const latest = this.core.guard.latestNow + this.core.settings.maxFuture
    let bad = 0
    for (let i = 0; i < count; i++) {
      const time = timestamps[i]!
      if (time > latest || time === 0) bad++
    }
    if (bad === 0) return count
    let kept = 0
    for (let i = 0; i < count; i++) {
      const time = timestamps[i]!
      if (time > latest || time === 0) continue
      ids[kept] = ids[i]!
      timestamps[kept] = time
      values[kept++] = values[i]!
    }
    this.core.counters.droppedTime.value += bad
    return kept
  }

  /**
   * Definitions are rare: each is in the log, in the table and among what the series log gets next. Throws
   * when the disk does not take it.
   */
  private logSeries(): void {
    try {
      this.core.wal.append(this.records)
      if (this.core.settings.fsync === 'always') this.core.wal.syncNow()
    } catch (error) {
      this.space.noteFailure(error)
      throw error
    }
    applySeriesRecord(this.core, this.records.copy())
  }

  /** False when the disk does not take it. */
  private write(): boolean {
    try {
      this.core.wal.append(this.records)
      if (this.core.settings.fsync === 'always') this.core.wal.syncNow()
      return true
    } catch (error) {
      if (this.space.noteFailure(error)) return false
      throw error
    }
  }
}
