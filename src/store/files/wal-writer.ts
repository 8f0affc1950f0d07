/**
 * The log's writing end: one open segment, a record handed to the kernel at each call (that survives
 * kill -9), a sync once a second (that survives a power cut).
 *
 * After a failed sync the kernel may have dropped what it was to write and marked it clean (the
 * "fsyncgate" of PostgreSQL, 2018), so nothing is synced twice: a new segment is opened, and everything since
 * the last good sync is written there again, from memory, in the record that says where the log goes on from
 * (FOLLOW, log-chain.ts). It is there whole or not at all, so whatever a crash leaves, a replay meets each
 * record once and in order. A record that only went in part (disk full) is cut off again, so that the segment
 * always ends with a whole one.
 */

import { BlockPool } from '../../lib/block-pool.ts'
import { ByteWriter } from '../../lib/bytes.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import { segmentPath, walDir } from './filenames.ts'
import { appendFollow, fileHeader, type LogPosition, WAL_MAGIC } from './wal-format.ts'

/** What waits for a sync is kept in memory: with so much one should begin, … */
const UNSYNCED_BYTES_DUE = 4 * 1024 * 1024
/** … with so much those who can wait should, … */
const UNSYNCED_BYTES_FULL = 12 * 1024 * 1024
/** … and more than this does not wait. */
const UNSYNCED_BYTES_MAX = 32 * 1024 * 1024

/** What the points of a relay's whole batch take as a record, and how many blocks for one are kept. */
const BLOCK_BYTES = 128 * 1024 + 64
const SPARES_MAX = 32

export class WalWriter {
  private readonly disk: Disk
  private readonly dir: string
  /** The open segment; none before the first write, and when it was given up and a new one could not be made yet. */
  private file: DiskFile | undefined
  /** Records since the last good sync, in order, and their bytes. */
  private unsynced: Uint8Array[] = []
  private unsyncedBytes = 0
  /** Where their copies come from, and go when they are synced. */
  private readonly blocks = new BlockPool({ blockBytes: BLOCK_BYTES, sparesMax: SPARES_MAX })
  /** Segments before this one that are not synced yet. */
  private unsyncedFiles: DiskFile[] = []
  /** How far the last good sync got. */
  private safe: LogPosition
  private syncing: Promise<void> | undefined
  private timesGivenUp = 0
  /** A segment's name may not be on the disk. */
  private isNameNew = false
  /** Highest number that was tried. */
  private lastTried: number
  segment: number
  /** Bytes in the open segment. */
  bytes = 0

  /** `end`: how far the log that is there goes; `segment`: the number that the next one gets. */
  constructor(disk: Disk, dir: string, options: { end: LogPosition; segment: number }) {
    this.disk = disk
    this.dir = dir
    this.safe = options.end
    this.segment = options.segment
    this.lastTried = options.segment - 1
  }

  /** Makes the segment that is written to next, when there is none. */
  open(): DiskFile {
    // What a failed sync may have lost is written again.
    this.file ??= this.create(this.safe, this.unsynced)
    return this.file
  }

  /** A sync should not wait for its tick. */
  get isSyncDue(): boolean {
    return this.unsyncedBytes > UNSYNCED_BYTES_DUE
  }

  /** More should come when a sync is done. */
  get isFull(): boolean {
    return this.unsyncedBytes > UNSYNCED_BYTES_FULL
  }

  /** Syncs take too long: nothing more should be appended before one is done. */
  get isBehind(): boolean {
    return this.unsyncedBytes > UNSYNCED_BYTES_MAX
  }

  /** Writes whole records. Throws when the disk does not take them all; none of them is then in the log. */
  append(records: ByteWriter): void {
    const file = this.open()
    const bytes = this.blocks.copy(records.written())
    this.write(file, bytes)
    this.unsynced.push(bytes)
    this.unsyncedBytes += bytes.length
  }

  /** As `append`, but it returns when the records survive a power cut; none is in the log when it throws. */
  appendSynced(records: ByteWriter): void {
    this.append(records)
    try {
      this.syncNow()
    } catch (error) {
      this.unsyncedBytes -= this.unsynced.pop()!.length
      this.giveUp()
      throw error
    }
  }

  /** Starts the next segment; the one before is closed with the next sync. */
  rotate(): void {
    const file = this.open()
    const next = this.create(this)
    this.unsyncedFiles.push(file)
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

  close(): void {
    for (const file of this.unsyncedFiles) file.close()
    this.file?.close()
  }

  private syncNow(): void {
    for (const earlier of this.unsyncedFiles) earlier.syncNow()
    this.file?.syncNow()
    if (this.isNameNew) this.disk.syncDir(walDir(this.dir))
    this.isNameNew = false
    // One that is on its way keeps the books.
    if (!this.syncing) this.noteSynced(this.unsynced.length, this.unsyncedFiles.length, this)
  }

  private async syncOnce(): Promise<void> {
    const records = this.unsynced.length
    const older = [...this.unsyncedFiles]
    if (records === 0 && older.length === 0) return
    const file = this.open()
    const { segment, bytes, timesGivenUp } = this
    try {
      for (const earlier of older) await earlier.sync()
      await file.sync()
      await this.syncName()
      if (timesGivenUp !== this.timesGivenUp) throw new Error('the segment was given up meanwhile')
    } catch (error) {
      if (timesGivenUp === this.timesGivenUp) this.giveUp()
      throw error
    }
    this.noteSynced(records, older.length, { segment, bytes })
  }

  private async syncName(): Promise<void> {
    if (!this.isNameNew) return
    // One that is made meanwhile says so again.
    this.isNameNew = false
    try {
      await this.disk.syncDirAsync(walDir(this.dir))
    } catch (error) {
      this.isNameNew = true
      throw error
    }
  }

  /** The oldest so many records and earlier segments are on the disk. */
  private noteSynced(records: number, older: number, { segment, bytes }: LogPosition): void {
    for (const earlier of this.unsyncedFiles.splice(0, older)) earlier.close()
    for (const record of this.unsynced.splice(0, records)) {
      this.unsyncedBytes -= record.length
      this.blocks.giveBack(record)
    }
    this.safe = { segment, bytes }
  }

  /** Nothing more goes to the segments that are not synced. */
  private giveUp(): void {
    this.close()
    this.unsyncedFiles = []
    this.file = undefined
    this.timesGivenUp++
  }

  private write(file: DiskFile, bytes: Uint8Array): void {
    try {
      file.append(bytes)
    } catch (error) {
      this.cutOff(file)
      throw error
    }
    this.bytes += bytes.length
  }

  /** Removes what went in of a record; a segment whose end cannot be told gets nothing more. */
  private cutOff(file: DiskFile): void {
    try {
      file.truncate(this.bytes)
    } catch {
      this.giveUp()
    }
  }

  /** The next segment, with `records`; a number that failed is not tried again, its file may be there. */
  private create(follows: LogPosition, records: readonly Uint8Array[] = []): DiskFile {
    const segment = ++this.lastTried
    const start = new ByteWriter(64)
    start.raw(fileHeader(WAL_MAGIC))
    appendFollow(start, follows, records)
    const path = segmentPath(this.dir, segment)
    const file = this.disk.open(path, 'create')
    try {
      file.append(start.written())
    } catch (error) {
      file.close()
      // It may be there after a crash and say how far the log goes, so nothing may be added to what it follows.
      if (this.file) this.giveUp()
      this.disk.remove(path)
      throw error
    }
    this.isNameNew = true
    this.segment = segment
    this.bytes = start.length
    return file
  }
}
