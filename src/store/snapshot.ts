/**
 * A consistent copy by hard links. After a checkpoint of everything the manifest alone says what the store
 * is: its files are linked (blocks never change; files of extents only grow behind what it counts on), the
 * series log too, and the manifest is written last.
 */

import { dirname } from 'node:path'
import type { Core } from './core.ts'
import { laneFile, manifestPath, seriesLogPath, walDir } from './filenames.ts'

/** `dir` must not exist. */
export function snapshotStore(core: Core, dir: string): void {
  const { disk } = core
  if (disk.stat(dir)) throw new Error(`snapshot folder ${dir} exists already`)
  const files = [seriesLogPath(core.dir, core.seriesLog.generation)]
  for (const lane of core.lanes) {
    files.push(laneFile(core.dir, lane.number))
    for (const level of lane.levels) {
      for (const window of level.windows.values())
        for (const source of window.sources) files.push(source.path)
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
  for (const folder of folders) disk.syncDir(folder)
  disk.replaceFile(manifestPath(dir), disk.readFile(manifestPath(core.dir)))
}
