/**
 * Opening the store: the manifest's state, then the log's records over it. All of that only reads; what has to be
 * written before points are taken comes last (take-over.ts), and may have to wait for a disk that is full or
 * read-only. It rests every few milliseconds: with a million series it takes seconds, in which the process has to
 * answer that it lives.
 */

import { CorruptionError } from '../../lib/corruption.ts'
import { isMissing } from '../../lib/disk.ts'
import { BlockFile } from '../files/block-reader.ts'
import { ClockGuard } from './clock-guard.ts'
import { Core } from './core.ts'
import { DiskSpace, RESERVE_BYTES } from './disk-space.ts'
import type { Engine, EngineOptions } from '../engine.ts'
import { ExtentFile } from '../files/extent-file.ts'
import {
  blockFileName,
  extentFileName,
  manifestPath,
  seriesLogPath,
  walDir,
} from '../files/filenames.ts'
import { Ingest } from './ingest.ts'
import type { Lane, Level } from './lane.ts'
import { loadLastSeen } from './last-seen.ts'
import { LiveEngine } from './live-engine.ts'
import { type ChainLink, findChain } from '../files/log-chain.ts'
import {
  decodeManifest,
  type Manifest,
  type ManifestLane,
  type ManifestWindow,
} from '../files/manifest.ts'
import { OpeningNames } from '../index/opening-names.ts'
import { replayRecord, replaySeries, type ReplayTarget } from './replay.ts'
import { salvageManifest } from '../files/salvage.ts'
import { Senders } from './senders.ts'
import { SeriesLog } from '../files/series-log.ts'
import { TakeOver } from './take-over.ts'
import { TimeSlice } from '../../lib/time-slice.ts'
import { DefineReader } from '../files/series-records.ts'
import { FILE_HEADER_BYTES, type LogPosition, WAL_MAGIC } from '../files/wal-format.ts'
import { readLogInSlices, wholeRecordBehind } from '../files/wal-reader.ts'
import { WalWriter } from '../files/wal-writer.ts'

/** Series between two looks at the clock. */
const SERIES_A_LOOK = 256

/** Who opens: what is being filled, when to rest, and how far it is. */
interface Opening extends ReplayTarget {
  readonly takeOver: TakeOver
  readonly slice: TimeSlice
  readonly onRead: (bytes: number) => void
}

export async function openEngine(options: EngineOptions): Promise<Engine> {
  const { dir, disk, clock, stats } = options
  const core = new Core({ ...options, guard: new ClockGuard(clock) })
  const ingest = new Ingest(core)
  const senders = new Senders()
  const takeOver = new TakeOver(core, senders)
  const slice = new TimeSlice(clock)
  const manifest = readManifest(core, takeOver)
  const onRead = countBytes(logBytes(core, manifest), options.onProgress)
  const [names, defined] = [new OpeningNames(), new DefineReader()]
  const opening = { core, ingest, senders, names, defined, takeOver, slice, onRead }
  if (manifest) await loadManifest(opening, manifest)
  else core.seriesLog = new SeriesLog(disk, dir, core.takeGeneration())
  await replayLog(opening)
  core.guard.resume(manifest?.trusted || core.newest)
  for (const lane of core.lanes) lane.aheadUntil = core.newest
  fillLastSeen(core, takeOver)
  await tellSeries(opening, options)
  const space = new DiskSpace(disk, dir, options.settings.reserveBytes ?? RESERVE_BYTES)
  await takeOver.attempt(space)
  stats.gauge('series', () => core.table.count)
  stats.gauge('log.bytes', () => core.wal.bytes)
  return new LiveEngine(core, { ingest, senders, space, takeOver })
}

/** It is advice: a damaged file is as good as none. */
function fillLastSeen(core: Core, takeOver: TakeOver): void {
  try {
    loadLastSeen(core.disk, core.dir, core.table)
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    core.noteDamage(error)
    takeOver.damaged.push(error.file)
  }
}

/** Bytes of both logs, which are nearly all that opening has to read. */
function logBytes({ disk, dir }: Core, manifest: Manifest | undefined): number {
  const paths = disk.list(walDir(dir)).map((name) => `${walDir(dir)}/${name}`)
  if (manifest) paths.push(seriesLogPath(dir, manifest.series.generation))
  return paths.reduce((sum, path) => sum + (disk.stat(path)?.bytes ?? 0), 0)
}

/** Tells of every whole percent once. */
function countBytes(total: number, onProgress: (done: number) => void): (bytes: number) => void {
  let read = 0
  let told = -1
  return (bytes) => {
    read += bytes
    const percent = Math.min(100, Math.floor((100 * read) / Math.max(total, 1)))
    if (percent <= told) return
    told = percent
    onProgress(percent / 100)
  }
}

async function tellSeries(
  { core, names, slice }: Opening,
  { onSeriesCount, onSeries }: EngineOptions,
): Promise<void> {
  onSeriesCount?.(core.table.count)
  for (let id = 0; id < names.length; id++) {
    if (names.has(id) && core.table.has(id)) names.tell(id, onSeries)
    if (id % SERIES_A_LOOK === 0 && slice.isOver()) await slice.rest()
  }
}

function readManifest(core: Core, takeOver: TakeOver): Manifest | undefined {
  const { dir, disk } = core
  const path = manifestPath(dir)
  try {
    return decodeManifest(disk.readFile(path), path)
  } catch (error) {
    if (!isMissing(error) && !(error instanceof CorruptionError)) throw error
    if (error instanceof CorruptionError) {
      core.noteDamage(error)
      takeOver.damaged.push(path)
    }
    const manifest = salvageManifest(disk, dir)
    if (manifest) core.log.error('manifest made anew from the files that are there')
    return manifest
  }
}

async function loadManifest(opening: Opening, manifest: Manifest): Promise<void> {
  const { core, slice, onRead } = opening
  core.nextGeneration = manifest.nextGeneration
  core.firstSegment = manifest.firstSegment
  core.newest = manifest.newest
  for (const lane of manifest.lanes) await loadLane(opening, lane)
  core.seriesLog = await SeriesLog.load(core.disk, core.dir, manifest.series, {
    each: (type, payload) => replaySeries(opening, type, payload),
    slice,
    onRead,
  })
  if (core.seriesLog.damage) noteLostSeries(core, core.seriesLog.damage)
}

/** Ids that only lost definitions may have known are never given again: there are values under them. */
function noteLostSeries(core: Core, damage: CorruptionError): void {
  core.noteDamage(damage)
  let highest = -1
  for (const lane of core.lanes) {
    for (const level of lane.levels)
      for (const window of level.windows.values()) highest = Math.max(highest, window.highestId())
  }
  if (highest >= core.table.length) core.table.remove(highest)
}

async function loadLane({ core, slice }: Opening, described: ManifestLane): Promise<void> {
  const lane = core.addLane(described.archives, described.headFrom)
  for (const [depth, windows] of described.levels.entries()) {
    for (const window of windows) {
      loadWindow(core, lane, lane.levels[depth]!, window)
      if (slice.isOver()) await slice.rest()
    }
  }
}

function loadWindow(core: Core, lane: Lane, level: Level, described: ManifestWindow): void {
  const window = level.openWindow(described.start / level.step)
  window.state = described.state
  const dir = core.levelDir(lane, level)
  if (described.block) {
    const path = `${dir}/${blockFileName(described.start, described.block.generation)}`
    window.block = new BlockFile(core.disk, path, { ...described.block, pool: core.pool })
  }
  for (const { generation, bytes } of described.extents) {
    const path = `${dir}/${extentFileName(described.start, generation)}`
    const file = new ExtentFile(core.disk, path, { generation, pool: core.pool })
    try {
      file.load(bytes)
      window.extents.push(file)
      if (file.damage) window.noteDamage(path, file.damage)
    } catch (error) {
      if (!isMissing(error)) throw error
      core.noteDamage(new CorruptionError(path, 0, 'file is missing'))
    }
  }
}

async function replayLog(opening: Opening): Promise<void> {
  const { core, takeOver } = opening
  const { disk, dir } = core
  const chain = findChain(disk, dir, core.firstSegment)
  takeOver.passed.push(...chain.dead)
  let end: LogPosition = { segment: 0, bytes: 0 }
  let lost = chain.lost
  for (const [i, link] of chain.links.entries()) {
    const whole = await replaySegment(opening, link)
    end = { segment: link.segment, bytes: whole }
    if (!link.isFollowed || whole >= link.end) continue
    lost = [...chain.links.slice(i + 1).map(({ path }) => path), ...lost]
    break
  }
  for (const path of lost) {
    core.counters.logGaps.value++
    core.log.error('the log has a gap: what lies behind it is left out', { file: path })
    takeOver.damaged.push(path)
  }
  const segment = Math.max(core.firstSegment, chain.last + 1)
  core.wal = new WalWriter(disk, dir, { end, segment })
}

/** How far the segment is whole. */
async function replaySegment(opening: Opening, { path, end }: ChainLink): Promise<number> {
  const { core, takeOver, slice, onRead } = opening
  const { disk } = core
  const bytes = disk.stat(path)!.bytes
  // A crash, or a full disk, while it was made.
  if (bytes < FILE_HEADER_BYTES) {
    takeOver.passed.push(path)
    return 0
  }
  try {
    const { whole } = await readLogInSlices(disk, path, {
      magic: WAL_MAGIC,
      each: (type, payload) => replayRecord(opening, type, payload),
      end,
      slice,
      onRead,
    })
    const isTorn = whole < Math.min(bytes, end)
    if (isTorn && wholeRecordBehind(disk, path, whole) !== undefined) {
      core.noteDamage(new CorruptionError(path, whole, 'no whole record, others behind it'))
      takeOver.cutSegments.push(path)
    }
    takeOver.segments.push({ path, whole })
    return whole
  } catch (error) {
    if (!(error instanceof CorruptionError)) throw error
    // A power cut may leave zeros.
    if (wholeRecordBehind(disk, path, 0) !== undefined) core.noteDamage(error)
    takeOver.damaged.push(path)
    return 0
  }
}
