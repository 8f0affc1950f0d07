/**
 * One segment file of a spool, from its first batch to the sync after its last: what it holds, and how much of
 * that survives a power cut.
 *
 * After a failed sync nothing that the file holds counts as synced, and no later sync of the same file says anything
 * about it: the system may take the lost pages for clean (Rebello et al., "Can applications recover from fsync
 * failures?", 2020). The segment is read back, checked, and written anew at once; only a process that is killed
 * while the disk refuses that too leaves a file of which the next one cannot know it.
 */

import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk } from '../../lib/disk.ts'
import { type Log, reason } from '../../lib/log.ts'
import type { Batch } from './spool-format.ts'
import { lastReadable, type SegmentSummary } from './spool-reader.ts'
import { SpoolWriter } from './spool-writer.ts'

interface Syncable {
  sync(): Promise<void>
  syncNow(): void
  close(): void
}

export interface SegmentOptions {
  readonly disk: Disk
  readonly log: Log
  readonly path: string
  /** Its name's. */
  readonly firstSequence: number
}

export class SpoolSegment {
  readonly path: string
  readonly firstSequence: number
  lastSequence: number
  /** Up to here it survives a power cut. */
  syncedSequence: number
  points: number
  bytes: number
  /** Wall clock, of its last append. */
  modifiedMs: number
  private readonly disk: Disk
  private readonly log: Log
  /** Undefined when no more batches may be appended. */
  private writer: SpoolWriter | undefined
  /** Open until it is full and synced. */
  private file: Syncable | undefined
  /** A sync of the file has failed. */
  private isDoubtful: boolean
  private isSyncing: boolean
  private isGone: boolean

  private constructor(
    { disk, log, path, firstSequence }: SegmentOptions,
    { lastSequence, points, bytes }: SegmentSummary,
    writer: SpoolWriter | undefined,
  ) {
    this.path = path
    this.firstSequence = firstSequence
    this.lastSequence = lastSequence
    this.syncedSequence = firstSequence - 1
    this.points = points
    this.bytes = bytes
    this.modifiedMs = writer ? 0 : (disk.stat(path)?.modifiedMs ?? 0)
    this.disk = disk
    this.log = log
    this.writer = writer
    this.file = writer
    this.isDoubtful = false
    this.isSyncing = false
    this.isGone = false
  }

  /** One that an earlier process left; it counts as synced when this process has synced it. */
  static found(options: SegmentOptions, summary: SegmentSummary): SpoolSegment {
    return new SpoolSegment(options, summary, undefined)
  }

  /** A new file in a folder that the caller syncs. */
  static create(options: SegmentOptions): SpoolSegment {
    const { disk, path, firstSequence } = options
    disk.remove(path)
    const empty = { lastSequence: firstSequence - 1, points: 0, bytes: 0 }
    return new SpoolSegment(options, empty, new SpoolWriter(disk, path))
  }

  get isOpen(): boolean {
    return this.writer !== undefined
  }

  get isSynced(): boolean {
    return this.syncedSequence >= this.lastSequence
  }

  /** Throws what the disk throws; the batch is then not in it, and the segment is to be ended. */
  append(batch: Batch, nowMs: number): void {
    const writer = this.writer!
    writer.append(batch)
    this.lastSequence = batch.sequence
    this.points += batch.count
    this.bytes = writer.length
    this.modifiedMs = nowMs
  }

  /** No more batches come. */
  end(): void {
    this.writer = undefined
  }

  /** True when it had to be written anew: what was read of it before may be wrong. Throws when the disk refuses. */
  async sync(): Promise<boolean> {
    const { lastSequence } = this
    if (!this.isDoubtful) {
      this.isSyncing = true
      try {
        await this.opened().sync()
        this.syncedSequence = lastSequence
      } catch (error) {
        this.doubt(error)
      } finally {
        this.isSyncing = false
      }
    }
    const writesAnew = this.isDoubtful && !this.isGone
    if (writesAnew) this.writeAnew()
    if (this.isGone || !this.isOpen) this.closeFile()
    return writesAnew
  }

  /** As `sync`, before it returns. */
  syncNow(): void {
    if (!this.isDoubtful) {
      try {
        this.opened().syncNow()
        this.syncedSequence = this.lastSequence
        return
      } catch (error) {
        this.doubt(error)
      }
    }
    this.writeAnew()
  }

  /** Its file stays; one that is being synced is closed afterwards. */
  closeFile(): void {
    if (this.isSyncing) return
    this.file?.close()
    this.file = undefined
  }

  /** It belongs to the spool no more. */
  forget(): void {
    this.end()
    this.isGone = true
    this.closeFile()
  }

  private opened(): Syncable {
    this.file ??= this.disk.open(this.path, 'read')
    return this.file
  }

  private doubt(error: unknown): void {
    this.isDoubtful = true
    const facts = { file: this.path, why: reason(error) }
    this.log.error('a sync of the spool failed: the segment is written anew', facts)
  }

  /** Puts a synced copy in the file's place. Throws what the disk throws. */
  private writeAnew(): void {
    const { disk, path, lastSequence } = this
    this.end()
    this.closeFile()
    const readable = lastReadable(disk, path)
    if (readable < lastSequence) {
      throw new CorruptionError(path, this.bytes, `cannot be read after sequence ${readable}`)
    }
    disk.replaceFile(path, disk.readFile(path))
    this.syncedSequence = lastSequence
    this.isDoubtful = false
  }
}
