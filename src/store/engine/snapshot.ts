/**
 * A consistent copy by hard links. After a checkpoint of everything the manifest alone says what the store
 * is. Blocks never change. Files of extents would grow, and the copy would cut its links, that is ours, when it
 * is opened: so what comes from now on goes to new files. The series log is small and is copied.
 */

import { dirname } from 'node:path'
import { errorCode } from '../../lib/disk.ts'
import type { Core } from './core.ts'
import { laneFile, manifestPath, seriesDir, seriesLogPath, walDir } from '../files/filenames.ts'

/** `dir` must not exist; what was made of it when it fails is removed again. */
export async function snapshotStore(core: Core, dir: string): Promise<void> {
  const { disk } = core
  if (disk.stat(dir)) throw new Error(`snapshot folder ${dir} exists already`)
  try {
    await linkInto(core, dir)
  } catch (error) {
    disk.removeTree(dir)
    if (errorCode(error) !== 'EXDEV') throw error
    throw new Error(`${dir} is on another file system, which hard links cannot reach`, {
      cause: error,
    })
  }
}

async function linkInto(core: Core, dir: string): Promise<void> {
  const { disk } = core
  const files: string[] = []
  for (const lane of core.lanes) {
    files.push(laneFile(core.dir, lane.number))
    for (const level of lane.levels) {
      for (const window of level.windows.values()) {
        for (const source of window.sources) files.push(source.path)
        if (window.overlayExtents > 0) core.addExtentFile(lane, level, window)
      }
    }
  }
  const folders = new Set<string>([dir, walDir(dir)])
  disk.makeDir(walDir(dir))
  for (const file of files) {
    const target = dir + file.slice(core.dir.length)
    disk.makeDir(dirname(target))
    disk.link(file, target)
    folders.add(dirname(target))
  }
  const { generation, bytes } = core.seriesLog
  disk.makeDir(seriesDir(dir))
  const definitions = disk.readFile(seriesLogPath(core.dir, generation)).subarray(0, bytes)
  const manifest = disk.readFile(manifestPath(core.dir))
  await disk.replaceFileAsync(seriesLogPath(dir, generation), definitions)
  for (const folder of folders) await disk.syncDirAsync(folder)
  await disk.replaceFileAsync(manifestPath(dir), manifest)
}
