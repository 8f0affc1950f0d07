/**
 * What the engine's parts share: the series, the lanes with their windows, the log, the numbers of files.
 * The parts are functions over it: append, checkpoint, fold, fetch, retention, snapshot, check.
 */

import { basename, dirname } from 'node:path'
import { ByteWriter, bytesEqual, fromUtf8, toUtf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk } from '../../lib/disk.ts'
import { FloatPool } from '../../lib/float-pool.ts'
import { type Log, reason } from '../../lib/log.ts'
import type { Counter, Stats } from '../../lib/stats.ts'
import { type Archive, formatRetentions, parseRetentions } from '../../metric/retention.ts'
import type { BlockFile } from '../files/block-reader.ts'
import type { ClockGuard } from './clock-guard.ts'
import type { EngineSettings } from '../engine.ts'
import { ExtentFile } from '../files/extent-file.ts'
import { ExtentEncoder } from '../files/extent-format.ts'
import { FilePool } from '../files/file-pool.ts'
import { corruptDir, extentFileName, laneFile, levelDir, manifestPath } from '../files/filenames.ts'
import { Lane, type Level, sameArchives } from './lane.ts'
import { LateOrder } from './late-order.ts'
import { encodeManifest, type ManifestLane } from '../files/manifest.ts'
import type { SeriesLog } from '../files/series-log.ts'
import { OpenExtents } from './open-extents.ts'
import { SeriesTable } from './series-table.ts'
import type { WalWriter } from '../files/wal-writer.ts'
import type { Window } from './window.ts'

/** Values that a fetch reads together: 16 MiB. */
export const FETCH_VALUES = 2 * 1024 * 1024

/** What one point may meet. */
export interface Counters {
  readonly points: Counter
  readonly late: Counter
  readonly droppedTime: Counter
  readonly droppedValue: Counter
  readonly droppedUnknown: Counter
  readonly droppedOld: Counter
  readonly repeatedFrames: Counter
  readonly damaged: Counter
  readonly logGaps: Counter
}

export interface CoreOptions {
  readonly dir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly settings: EngineSettings
  readonly guard: ClockGuard
}

export class Core {
  readonly dir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly settings: EngineSettings
  readonly guard: ClockGuard
  readonly lanes: Lane[] = []
  readonly table: SeriesTable
  readonly counters: Counters
  readonly pool = new FilePool()
  /** What fetches read into. */
  readonly slotMemory: FloatPool
  readonly openExtents: OpenExtents
  readonly encoder = new ExtentEncoder()
  readonly lateOrder = new LateOrder()
  /** For what is about to be appended to a file of extents. */
  readonly extents = new ByteWriter(1 << 16)
  /** Folders that got new files of extents since they were synced. */
  private readonly unsyncedDirs = new Set<string>()
  /** Set once recovery has them. */
  wal!: WalWriter
  seriesLog!: SeriesLog
  nextGeneration = 1
  /** The first segment that a replay needs. */
  firstSegment = 1
  /** Time of the newest point. */
  newest = 0

  constructor(options: CoreOptions) {
    this.dir = options.dir
    this.disk = options.disk
    this.clock = options.clock
    this.log = options.log
    this.settings = options.settings
    this.guard = options.guard
    this.slotMemory = new FloatPool(options.clock, { length: FETCH_VALUES, keptMax: 2 })
    this.table = new SeriesTable((rule) => this.laneFor(rule.archives))
    const { stats } = options
    this.openExtents = new OpenExtents(options.clock, {
      opened: stats.counter('extents.opened'),
      reused: stats.counter('extents.reused'),
    })
    this.counters = {
      points: stats.counter('points'),
      late: stats.counter('late'),
      droppedTime: stats.counter('dropped.time'),
      droppedValue: stats.counter('dropped.value'),
      droppedUnknown: stats.counter('dropped.unknown'),
      droppedOld: stats.counter('dropped.old'),
      repeatedFrames: stats.counter('repeatedFrames'),
      damaged: stats.counter('damaged'),
      logGaps: stats.counter('log.gaps'),
    }
  }

  /** Now, as far as what is kept depends on it: never ahead of the points themselves. */
  get now(): number {
    return this.nowWith(0)
  }

  /** The same once points up to `newest` are there. */
  nowWith(newest: number): number {
    const wall = this.guard.earliestNow
    const latest = Math.max(this.newest, newest)
    return latest === 0 ? wall : Math.min(wall, latest + 1)
  }

  /** Of points that came late, to any lane, and are not written. */
  get lateBytes(): number {
    let bytes = 0
    for (const lane of this.lanes) bytes += lane.lateBytes
    return bytes
  }

  laneFor(archives: readonly Archive[]): Lane {
    const found = this.lanes.find((lane) => sameArchives(lane.archives, archives))
    if (found) return found
    const { step } = archives[0]!
    const headFrom = Math.floor(this.now / step) - 2
    return this.addLane(archives, Math.max(0, headFrom))
  }

  addLane(archives: readonly Archive[], headFrom: number): Lane {
    const lane = new Lane({
      number: this.lanes.length,
      archives,
      headFrom,
      isExact: this.settings.rollup === 'exact',
      windows: { extents: this.openExtents, onDamage: (error) => this.noteDamage(error) },
    })
    this.lanes.push(lane)
    return lane
  }

  noteDamage(error: CorruptionError): void {
    this.counters.damaged.value++
    this.log.error('damaged file', {
      file: error.file,
      offset: error.offset,
      reason: error.message,
    })
  }

  takeGeneration(): number {
    return this.nextGeneration++
  }

  levelDir(lane: Lane, level: Level): string {
    return levelDir(this.dir, lane.number, level.step)
  }

  /** The file that the window's next extents go to, made when there is none. */
  extentFile(lane: Lane, level: Level, window: Window): ExtentFile {
    return window.extents.at(-1) ?? this.addExtentFile(lane, level, window)
  }

  addExtentFile(lane: Lane, level: Level, window: Window): ExtentFile {
    const dir = this.levelDir(lane, level)
    this.disk.makeDir(dir)
    const generation = this.takeGeneration()
    const path = `${dir}/${extentFileName(window.start, generation)}`
    const file = new ExtentFile(this.disk, path, { generation, pool: this.pool })
    file.create()
    this.unsyncedDirs.add(dir)
    window.extents.push(file)
    return file
  }

  /**
   * Syncs what was appended to any window, and the folders of new files. The log goes first: a manifest never
   * counts on a slot whose point, or whose series' definition, a power cut could still take from it.
   */
  async syncExtents(): Promise<void> {
    await this.wal.sync()
    for (const lane of this.lanes) {
      for (const level of lane.levels)
        for (const window of level.windows.values())
          for (const file of window.extents) await file.sync()
    }
    for (const dir of this.unsyncedDirs) {
      // A file that is made meanwhile puts it here again.
      this.unsyncedDirs.delete(dir)
      try {
        await this.disk.syncDirAsync(dir)
      } catch (error) {
        this.unsyncedDirs.add(dir)
        throw error
      }
    }
  }

  async saveManifest(): Promise<void> {
    for (const lane of this.lanes) await this.saveLaneFile(lane)
    const manifest = encodeManifest({
      nextGeneration: this.nextGeneration,
      firstSegment: this.firstSegment,
      series: { generation: this.seriesLog.generation, bytes: this.seriesLog.bytes },
      newest: this.newest,
      trusted: this.guard.trusted,
      lanes: this.lanes.map(describeLane),
    })
    await this.disk.replaceFileAsync(manifestPath(this.dir), manifest)
  }

  /** What the lane's folder holds, should the manifest be lost. */
  private async saveLaneFile(lane: Lane): Promise<void> {
    if (lane.hasFile) return
    const path = laneFile(this.dir, lane.number)
    const text = toUtf8(`${formatRetentions(lane.archives)}\n`)
    const found = this.disk.stat(path) ? this.disk.readFile(path) : undefined
    if (!found || !bytesEqual(found, text)) {
      // Other archives are those of a lane that a power cut took.
      if (found && !parseRetentions(fromUtf8(found)).ok)
        this.noteDamage(new CorruptionError(path, 0, 'it holds no archives'))
      this.disk.makeDir(dirname(path))
      await this.disk.replaceFileAsync(path, text)
    }
    lane.hasFile = true
  }

  close(): void {
    this.wal.close()
    this.seriesLog.close()
    this.slotMemory.close()
    this.openExtents.close()
    for (const lane of this.lanes)
      for (const level of lane.levels)
        for (const window of level.windows.values())
          for (const source of window.sources) source.release()
  }

  /** Removes a file that the manifest does not name any more; a damaged one goes to corrupt/. */
  discard(source: ExtentFile | BlockFile, isDamaged: boolean): void {
    source.release()
    if (isDamaged) this.quarantine(source.path)
    else this.disk.remove(source.path)
  }

  /** Moves a damaged file out of the way. */
  quarantine(path: string): void {
    const dir = corruptDir(this.dir)
    this.disk.makeDir(dir)
    const target = `${dir}/${basename(path)}.${this.takeGeneration()}`
    try {
      this.disk.rename(path, target)
      this.log.error('damaged file moved away', { file: path, to: target })
    } catch (error) {
      this.log.error('damaged file could not be moved', { file: path, reason: reason(error) })
    }
  }
}

function describeLane(lane: Lane): ManifestLane {
  return {
    archives: lane.archives,
    headFrom: lane.head.from,
    levels: lane.levels.map((level) =>
      [...level.windows.values()].map(({ start, state, block, extents }) => ({
        start,
        state,
        block,
        extents: extents
          .filter((file) => file.synced > 0)
          .map((file) => ({ generation: file.generation, bytes: file.synced })),
      })),
    ),
  }
}
