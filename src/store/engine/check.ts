/**
 * Reads everything that the manifest names and verifies every checksum; a live store or a folder that
 * nobody has open. It changes nothing, and rests, so that a live store goes on meanwhile.
 *
 * The logs come first, then the windows' files: a checkpoint may come among the latter, because it only appends to
 * them, behind what the manifest counts; nothing else may.
 */

import { fromUtf8 } from '../../lib/bytes.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'
import { formatRetentions } from '../../metric/retention.ts'
import { BlockFile } from '../files/block-reader.ts'
import type { CheckReport } from '../engine.ts'
import { ExtentFile } from '../files/extent-file.ts'
import { ExtentReader } from '../files/extent-format.ts'
import {
  blockFileName,
  extentFileName,
  laneFile,
  lastSeenPath,
  levelDir,
  manifestPath,
  parseSegmentName,
  segmentPath,
  seriesLogPath,
  walDir,
} from '../files/filenames.ts'
import { readLastSeen } from './last-seen.ts'
import { decodeManifest, type Manifest } from '../files/manifest.ts'
import { SERIES_MAGIC, WAL_MAGIC } from '../files/wal-format.ts'
import { readLogInSlices, wholeRecordBehind } from '../files/wal-reader.ts'
import type { ExtentSource } from './window.ts'

/** A file, and how to count what is verified of it; throws what is wrong with it. */
interface Checked {
  readonly path: string
  readonly check: () => number | Promise<number>
}

export interface CheckPace {
  readonly slice: TimeSlice
  /** Called between extents, to let what is due in a live store come first. */
  readonly breathe?: () => Promise<void>
}

export async function checkStore(disk: Disk, dir: string, pace: CheckPace): Promise<CheckReport> {
  const report = { files: 0, bytes: 0, checked: 0, problems: [] as string[] }
  const look = async ({ path, check }: Checked): Promise<void> => {
    report.files++
    report.bytes += disk.stat(path)?.bytes ?? 0
    try {
      report.checked += await check()
    } catch (error) {
      report.problems.push(reason(error))
    }
  }
  const path = manifestPath(dir)
  let manifest: Manifest | undefined
  await look({
    path,
    check() {
      manifest = decodeManifest(disk.readFile(path), path)
      return 1
    },
  })
  if (!manifest) return report
  for (const file of logs(disk, dir, manifest, pace.slice)) await look(file)
  for (const file of windowFiles(disk, dir, manifest, pace)) await look(file)
  return report
}

function* logs(disk: Disk, dir: string, manifest: Manifest, slice: TimeSlice): Generator<Checked> {
  const { generation, bytes } = manifest.series
  const series = seriesLogPath(dir, generation)
  yield { path: series, check: () => checkSeriesLog(disk, series, bytes, slice) }
  const seen = lastSeenPath(dir)
  if (disk.stat(seen)) {
    yield {
      path: seen,
      check() {
        readLastSeen(disk, dir)
        return 1
      },
    }
  }
  for (const name of disk.list(walDir(dir))) {
    const segment = parseSegmentName(name)
    if (segment === undefined || segment < manifest.firstSegment) continue
    const path = segmentPath(dir, segment)
    yield { path, check: () => checkSegment(disk, path, slice) }
  }
}

async function checkSeriesLog(
  disk: Disk,
  path: string,
  end: number,
  slice: TimeSlice,
): Promise<number> {
  const { whole, records } = await readLogInSlices(disk, path, {
    magic: SERIES_MAGIC,
    each() {},
    end,
    slice,
  })
  if (whole < end) throw new CorruptionError(path, whole, 'no whole record')
  return records
}

/**
 * A record that a crash left in part at the end is none; one with whole ones behind it is damage. What a live store
 * appends meanwhile does not count.
 */
async function checkSegment(disk: Disk, path: string, slice: TimeSlice): Promise<number> {
  const end = disk.stat(path)?.bytes ?? 0
  const options = { magic: WAL_MAGIC, each() {}, end, slice }
  const { whole, records } = await readLogInSlices(disk, path, options)
  if (wholeRecordBehind(disk, path, whole, end) !== undefined)
    throw new CorruptionError(path, whole, 'no whole record, others behind it')
  return records
}

function* windowFiles(
  disk: Disk,
  dir: string,
  manifest: Manifest,
  pace: CheckPace,
): Generator<Checked> {
  for (const [number, { archives, levels }] of manifest.lanes.entries()) {
    const path = laneFile(dir, number)
    yield {
      path,
      check() {
        const text = fromUtf8(disk.readFile(path)).trim()
        if (text !== formatRetentions(archives))
          throw new CorruptionError(path, 0, `it is not ${formatRetentions(archives)}`)
        return 1
      },
    }
    for (const [depth, windows] of levels.entries()) {
      const folder = levelDir(dir, number, archives[depth]!.step)
      for (const { start, block, extents } of windows) {
        if (block) {
          const at = `${folder}/${blockFileName(start, block.generation)}`
          yield { path: at, check: () => checkExtents(new BlockFile(disk, at, block), pace) }
        }
        for (const extent of extents) {
          const at = `${folder}/${extentFileName(start, extent.generation)}`
          yield { path: at, check: () => checkExtents(ExtentFile.view(disk, at, extent), pace) }
        }
      }
    }
  }
}

/** Decodes every column of every extent. */
async function checkExtents(source: ExtentSource, { slice, breathe }: CheckPace): Promise<number> {
  const reader = new ExtentReader()
  let slots = new Float64Array(0)
  try {
    const { index, damage } = source
    if (damage) throw damage
    for (let at = 0; at < index.length; at++) {
      reader.open(source.read(at), source.path, index.offsets[at]!)
      if (slots.length < reader.slots) slots = new Float64Array(reader.slots)
      for (let k = 0; k < reader.count; k++) {
        reader.decode(k, slots, 0)
        if (slice.isOver()) await slice.rest()
      }
      await breathe?.()
    }
    return index.length
  } finally {
    source.release()
  }
}
