/**
 * The log's writing end: one open segment, a record handed to the kernel at each call (that survives
 * kill -9), a sync once a second (that survives a power cut).
 *
 * After a failed sync the kernel may have dropped what it was to write and marked it clean (the
 * "fsyncgate" of PostgreSQL, 2018), so nothing is synced twice: a new segment is opened and everything
 * since the last good sync is written there again, from memory. A record that only went in part
 * (disk full) is cut off again, so that the segment always ends with a whole one.
 */

import type { ByteWriter } from '../lib/bytes.ts'
import type { Disk, DiskFile } from '../lib/disk.ts'
import { segmentPath, walDir } from './filenames.ts'
import { FILE_HEADER_BYTES, fileHeader, WAL_MAGIC } from './wal-format.ts'

export class WalWriter {
  private readonly disk: Disk
  private readonly dir: string
  private file: DiskFile
  /** Records since the last good sync, in order. */
  private unsynced: Uint8Array[] = []
  /** Segments before this one that are not synced yet. */
  private unsyncedFiles: DiskFile[] = []
  private syncing: Promise<void> | undefined
  /** A sync failed, and the segment to write everything to again could not be made yet. */
  private isBroken = false
  /** Highest number that was tried. */
  private lastTried: number
  segment: number
  /** Bytes in the open segment. */
  bytes = 0

  constructor(disk: Disk, dir: string, segment: number) {
    this.disk = disk
    this.dir = dir
    this.segment = segment
    this.lastTried = segment - 1
    this.file = this.create()
  }

  /** Writes whole records. Throws when the disk does not take them all; none of them is then in the log. */
  append(records: ByteWriter): void {
    if (this.isBroken) this.writeAgain()
    const bytes = records.copy()
    this.write(bytes)
    this.unsynced.push(bytes)
  }

  /** Starts the next segment; the one before is closed with the next sync. */
  rotate(): void {
    if (this.isBroken) this.writeAgain()
    const next = this.create()
    this.unsyncedFiles.push(this.file)
    this.file = next
  }

  /** Resolves when all that was appended before the call survives a power cut. */
  async sync(): Promise<void> {
    while (this.syncing) await this.syncing.catch(() => {})
    this.syncing = this.syncOnce()
    try {
      await this.syncing
    } finally {
      this.syncing = undefined
    }
  }

  /** As `sync`, but blocks. */
  syncNow(): void {
    for (const earlier of this.unsyncedFiles) {
      earlier.syncNow()
      earlier.close()
    }
    this.unsyncedFiles = []
    this.file.syncNow()
    this.unsynced = []
  }

  close(): void {
    for (const file of this.unsyncedFiles) file.close()
    this.file.close()
  }

  private async syncOnce(): Promise<void> {
    if (this.isBroken) this.writeAgain()
    const records = this.unsynced
    const older = this.unsyncedFiles
    const file = this.file
    if (records.length === 0 && older.length === 0) return
    this.unsynced = []
    this.unsyncedFiles = []
    try {
      for (const earlier of older) {
        await earlier.sync()
        earlier.close()
      }
      await file.sync()
    } catch (error) {
      this.unsynced = [...records, ...this.unsynced]
      for (const earlier of older) earlier.close()
      this.file.close()
      this.isBroken = true
      this.writeAgain()
      throw error
    }
  }

  /** A new segment with everything that may not have reached the disk; tried again until it works. */
  private writeAgain(): void {
    const file = this.create()
    try {
      for (const bytes of this.unsynced) file.append(bytes)
    } catch (error) {
      file.close()
      throw error
    }
    for (const bytes of this.unsynced) this.bytes += bytes.length
    this.file = file
    this.isBroken = false
  }

  private write(bytes: Uint8Array): void {
    try {
      this.file.append(bytes)
    } catch (error) {
      this.file.truncate(this.bytes)
      throw error
    }
    this.bytes += bytes.length
  }

  /** The next segment; a number that failed is not tried again, its file may be there. */
  private create(): DiskFile {
    const segment = ++this.lastTried
    const file = this.disk.open(segmentPath(this.dir, segment), 'create')
    try {
      file.append(fileHeader(WAL_MAGIC))
      this.disk.syncDir(walDir(this.dir))
    } catch (error) {
      file.close()
      throw error
    }
    this.segment = segment
    this.bytes = FILE_HEADER_BYTES
    return file
  }
}
