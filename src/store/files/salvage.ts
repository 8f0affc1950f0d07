/**
 * A manifest made anew from the files that are there, for a store whose own is damaged or gone. Nothing is
 * lost by it but what one window's file cannot give: all extents lie over the newest block (those that are
 * in it already change nothing), and every window counts as not rolled up, so that sealing does it again.
 *
 * Windows of a lane whose own archives cannot be read either are nobody's, and a start removes what is: then there is
 * no start, until somebody has written the archives down again.
 */

import { fromUtf8 } from '../../lib/bytes.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk } from '../../lib/disk.ts'
import { isMissing } from '../../lib/disk.ts'
import { type Archive, parseRetentions } from '../../metric/retention.ts'
import { ExtentFile } from './extent-file.ts'
import {
  dataDir,
  laneDir,
  laneFile,
  levelDir,
  parseSegmentName,
  parseSeriesLogName,
  parseWindowFileName,
  seriesDir,
  walDir,
} from './filenames.ts'
import type { Manifest, ManifestFile, ManifestLane, ManifestWindow } from './manifest.ts'

/** Undefined when there is nothing to be found: a new store. Throws `CorruptionError` for windows without archives. */
export function salvageManifest(disk: Disk, dir: string): Manifest | undefined {
  const generation = highest(disk.list(seriesDir(dir)).map(parseSeriesLogName))
  if (generation === undefined) return undefined
  const lanes: ManifestLane[] = []
  let newest = generation
  for (let number = 0; ; number++) {
    const archives = readLaneFile(disk, dir, number)
    if (!archives) break
    const levels = archives.map(({ step }) => findWindows(disk, levelDir(dir, number, step)))
    for (const { block, extents } of levels.flat()) {
      for (const file of block ? [block, ...extents] : extents)
        newest = Math.max(newest, file.generation)
    }
    lanes.push({ archives, headFrom: 0, levels })
  }
  if (hasWindowsFrom(disk, dir, lanes.length))
    throw new CorruptionError(
      laneFile(dir, lanes.length),
      0,
      'neither the manifest nor this file says of which archives the windows are: write it, such as 1s:1d,1m:30d',
    )
  if (lanes.length === 0 && disk.list(dataDir(dir)).length === 0) return undefined
  const segments = disk.list(walDir(dir)).map(parseSegmentName)
  return {
    nextGeneration: newest + 1,
    firstSegment: segments.find((segment) => segment !== undefined) ?? 1,
    series: { generation, bytes: Infinity },
    newest: 0,
    trusted: 0,
    lanes,
  }
}

/** Whether a lane of that number or a higher one has windows. */
function hasWindowsFrom(disk: Disk, dir: string, number: number): boolean {
  const lanes = disk.list(dataDir(dir)).map(Number)
  return lanes.some((lane) => lane >= number && hasWindows(disk, laneDir(dir, lane)))
}

function hasWindows(disk: Disk, lane: string): boolean {
  const steps = disk.list(lane).map((name) => `${lane}/${name}`)
  return steps.some(
    (step) => disk.stat(step)?.isDirectory && disk.list(step).some(parseWindowFileName),
  )
}

function readLaneFile(disk: Disk, dir: string, lane: number): readonly Archive[] | undefined {
  try {
    const archives = parseRetentions(fromUtf8(disk.readFile(laneFile(dir, lane))))
    return archives.ok ? archives.value : undefined
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

function findWindows(disk: Disk, dir: string): ManifestWindow[] {
  const windows = new Map<number, { block: ManifestFile | undefined; extents: ManifestFile[] }>()
  for (const name of disk.list(dir)) {
    const file = parseWindowFileName(name)
    if (!file) continue
    const window = windows.get(file.start) ?? { block: undefined, extents: [] }
    windows.set(file.start, window)
    const path = `${dir}/${name}`
    const { generation } = file
    if (file.kind === 'ext')
      window.extents.push({ generation, bytes: ExtentFile.wholeBytes(disk, path) })
    else if (generation > (window.block?.generation ?? 0))
      window.block = { generation, bytes: disk.stat(path)!.bytes }
  }
  return [...windows].map(([start, { block, extents }]) => {
    extents.sort((a, b) => a.generation - b.generation)
    return { start, state: 'open', block, extents: extents.filter(({ bytes }) => bytes > 0) }
  })
}

function highest(numbers: readonly (number | undefined)[]): number | undefined {
  let found: number | undefined
  for (const number of numbers) {
    if (number !== undefined && (found === undefined || number > found)) found = number
  }
  return found
}
