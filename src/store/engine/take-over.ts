/**
 * What is written when the store opens: damaged files go to corrupt/, what a crash left is removed, the replayed log is
 * cut and synced, a new segment and a manifest are begun. Points and series are taken once all of it is done.
 *
 * Every step may be done again: on a full disk, or one that is mounted read-only, it is tried again until it works, and
 * until then the store only answers questions.
 */

import { basename } from 'node:path'
import { reason } from '../../lib/log.ts'
import type { Core } from './core.ts'
import type { DiskSpace } from './disk-space.ts'
import {
  corruptDir,
  dataDir,
  lastSeenPath,
  seriesDir,
  seriesLogPath,
  walDir,
} from '../files/filenames.ts'
import type { Senders } from './senders.ts'

export class TakeOver {
  /** Files that are to go to corrupt/. */
  readonly damaged: string[] = []
  /** Segments that are to be copied there before what is not whole is cut off. */
  readonly cutSegments: string[] = []
  /** Files that count no more. */
  readonly passed: string[] = []
  /** Segments that were replayed, and how far they are whole. */
  readonly segments: { readonly path: string; readonly whole: number }[] = []
  isDone = false
  private readonly core: Core
  private readonly senders: Senders

  constructor(core: Core, senders: Senders) {
    this.core = core
    this.senders = senders
  }

  /** Does it, or says in the log why it has to wait. */
  async attempt(space: DiskSpace): Promise<void> {
    try {
      await this.run()
    } catch (error) {
      if (!space.noteFailure(error)) throw error
      // There is the room of the reserve now.
      await this.run().catch((again: unknown) => {
        if (!space.noteFailure(again)) throw again
        this.core.log.error('the store cannot write, it only answers', { reason: reason(again) })
      })
    }
    if (this.isDone) space.check()
  }

  /** Throws what the disk throws. */
  async run(): Promise<void> {
    if (this.isDone) return
    const { core, senders, damaged, passed } = this
    const { disk, dir } = core
    for (const path of [dir, walDir(dir), seriesDir(dir), dataDir(dir)]) disk.makeDir(path)
    while (this.cutSegments.length > 0) {
      this.keepCopy(this.cutSegments[0]!)
      this.cutSegments.shift()
    }
    while (damaged.length > 0) {
      core.quarantine(damaged[0]!)
      damaged.shift()
    }
    removeUnnamed(core)
    for (const path of passed) disk.remove(path)
    for (const segment of this.segments) await this.syncSegment(segment)
    const damagedLog = await core.seriesLog.save(core.table.count, () => core.takeGeneration())
    core.wal.open()
    await core.saveManifest()
    if (damagedLog !== undefined) core.quarantine(damagedLog)
    senders.markSynced(senders.written())
    this.isDone = true
  }

  private keepCopy(path: string): void {
    const { disk, dir } = this.core
    disk.makeDir(corruptDir(dir))
    const target = `${corruptDir(dir)}/${basename(path)}.${this.core.takeGeneration()}`
    disk.replaceFile(target, disk.readFile(path))
    this.core.log.error('damaged file copied, its end is left out', { file: path, to: target })
  }

  /** What a killed process wrote may be in the page cache alone: it counts as synced from here on. */
  private async syncSegment({ path, whole }: { path: string; whole: number }): Promise<void> {
    const file = this.core.disk.open(path, 'append')
    try {
      if (file.size() > whole) file.truncate(whole)
      await file.sync()
    } finally {
      file.close()
    }
  }
}

/** Removes what a crash left: files that no manifest came to name. */
function removeUnnamed(core: Core): void {
  const { disk, dir, lanes } = core
  const named = new Set([lastSeenPath(dir), seriesLogPath(dir, core.seriesLog.generation)])
  for (const lane of lanes) {
    for (const level of lane.levels) {
      for (const window of level.windows.values())
        for (const source of window.sources) named.add(source.path)
    }
  }
  for (const path of listFiles(core)) if (!named.has(path)) disk.remove(path)
}

function listFiles({ disk, dir }: Core): string[] {
  const files = disk.list(seriesDir(dir)).map((name) => `${seriesDir(dir)}/${name}`)
  for (const lane of disk.list(dataDir(dir))) {
    for (const step of disk.list(`${dataDir(dir)}/${lane}`)) {
      const folder = `${dataDir(dir)}/${lane}/${step}`
      if (!disk.stat(folder)?.isDirectory) continue
      for (const name of disk.list(folder)) files.push(`${folder}/${name}`)
    }
  }
  return files
}
