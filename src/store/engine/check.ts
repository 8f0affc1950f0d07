/**
 * Reads everything that the manifest names and verifies every checksum; a live store or a folder that
 * nobody has open.
 */

import type { Disk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import { BlockFile } from '../files/block-reader.ts'
import type { CheckReport } from '../engine.ts'
import { ExtentFile } from '../files/extent-file.ts'
import { ExtentReader } from '../files/extent-format.ts'
import {
  blockFileName,
  extentFileName,
  levelDir,
  manifestPath,
  parseSegmentName,
  segmentPath,
  seriesLogPath,
  walDir,
} from '../files/filenames.ts'
import { decodeManifest, type Manifest } from '../files/manifest.ts'
import { SERIES_MAGIC, WAL_MAGIC } from '../files/wal-format.ts'
import { readLog } from '../files/wal-reader.ts'
import type { ExtentSource } from './window.ts'

export async function checkStore(disk: Disk, dir: string): Promise<CheckReport> {
  const report = { files: 0, bytes: 0, checked: 0, problems: [] as string[] }
  const look = (path: string, check: () => number): void => {
    report.files++
    report.bytes += disk.stat(path)?.bytes ?? 0
    try {
      report.checked += check()
    } catch (error) {
      report.problems.push(reason(error))
    }
  }
  let manifest: Manifest | undefined
  look(manifestPath(dir), () => {
    manifest = decodeManifest(disk.readFile(manifestPath(dir)), manifestPath(dir))
    return 1
  })
  if (!manifest) return report
  const { series } = manifest
  const seriesPath = seriesLogPath(dir, series.generation)
  look(seriesPath, () => checkLog(disk, seriesPath, SERIES_MAGIC, series.bytes))
  for (const name of disk.list(walDir(dir))) {
    const segment = parseSegmentName(name)
    if (segment === undefined || segment < manifest.firstSegment) continue
    const path = segmentPath(dir, segment)
    look(path, () => readLog(disk, path, WAL_MAGIC, () => {}).records)
  }
  for (const source of sources(disk, dir, manifest)) {
    await Promise.resolve()
    look(source.path, () => checkExtents(source))
  }
  return report
}

function checkLog(disk: Disk, path: string, magic: number, bytes: number): number {
  const { whole, records } = readLog(disk, path, magic, () => {}, bytes)
  if (whole < bytes) throw new Error(`${path} at byte ${whole}: no whole record`)
  return records
}

function* sources(disk: Disk, dir: string, manifest: Manifest): Generator<ExtentSource> {
  for (const [number, lane] of manifest.lanes.entries()) {
    for (const [depth, windows] of lane.levels.entries()) {
      const folder = levelDir(dir, number, lane.archives[depth]!.step)
      for (const { start, block, extents } of windows) {
        if (block) {
          const path = `${folder}/${blockFileName(start, block.generation)}`
          yield new BlockFile(disk, path, block)
        }
        for (const { generation, bytes } of extents) {
          const path = `${folder}/${extentFileName(start, generation)}`
          yield ExtentFile.view(disk, path, { generation, bytes })
        }
      }
    }
  }
}

/** Decodes every column of every extent. */
function checkExtents(source: ExtentSource): number {
  const reader = new ExtentReader()
  let slots = new Float64Array(0)
  try {
    const { index } = source
    for (let at = 0; at < index.length; at++) {
      reader.open(source.read(at), source.path, index.offsets[at]!)
      if (slots.length < reader.slots) slots = new Float64Array(reader.slots)
      for (let k = 0; k < reader.count; k++) reader.decode(k, slots, 0)
    }
    return index.length
  } finally {
    source.release()
  }
}
