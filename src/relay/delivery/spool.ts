/**
 * One destination's overflow on disk: an ordered queue of batches in segment files (spool-format.ts).
 *
 * Batches are appended in order of sequence, read in that order from wherever the last connection got to,
 * and their segment is deleted when all of it has been delivered. Beyond `bytesMax` or `ageMsMax` the
 * oldest segment goes, counted. Segments that an earlier process left are found by `open`; they count as
 * synced when this process has synced them.
 *
 * A segment that is damaged is delivered up to the damage, then moved to `corrupt/`. An append that fails
 * (disk full) throws: the batch is still the caller's, the next one starts a new segment. After a failed
 * sync nothing that the file holds counts as synced, and no later sync of the same file says anything about
 * it: the system may take the lost pages for clean (Rebello et al., "Can applications recover from fsync
 * failures?", 2020). The segment is read back, checked, and written anew at once; only a process that is killed
 * while the disk refuses that too leaves a file of which the next one cannot know it.
 */

import type { Clock } from '../../lib/clock.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk } from '../../lib/disk.ts'
import { type Log, reason } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import { type Batch, parseSegmentName, SEGMENT_BYTES, segmentName } from './spool-format.ts'
import { lastReadable, SpoolReader, summarizeSegment } from './spool-reader.ts'
import { SpoolWriter } from './spool-writer.ts'

export interface SpoolOptions {
  readonly dir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  /** As they are now. */
  readonly limits: () => SpoolLimits
  readonly segmentBytes?: number
  /** Points that were deleted undelivered. */
  readonly dropped: Counter
  /** Files that were damaged. */
  readonly damaged: Counter
}

export interface SpoolLimits {
  readonly bytesMax: number
  readonly ageMsMax: number
}

/** A segment's file, as far as syncing it goes. */
interface Syncable {
  sync(): Promise<void>
  syncNow(): void
  close(): void
}

interface Segment {
  readonly path: string
  readonly firstSequence: number
  lastSequence: number
  /** Up to here it survives a power cut. */
  syncedSequence: number
  points: number
  bytes: number
  /** Wall clock, of its last append. */
  modifiedMs: number
  /** Open until it is full and synced. */
  file: Syncable | undefined
  /** A sync of the file has failed. */
  isDoubtful: boolean
}

export class Spool {
  private readonly options: SpoolOptions
  /** Oldest first; the last one is the writer's while there is a writer. */
  private readonly segments: Segment[]
  private writer: SpoolWriter | undefined
  /** Its file must stay open. */
  private syncing: Segment | undefined
  private reader: SpoolReader | undefined
  /** The batch that was read last, which may not have been sent yet. */
  private ahead: Batch | undefined
  /** Delivered or given up: everything up to here is of no more interest. */
  private releasedSequence: number
  lastSequence: number
  syncedSequence: number
  bytes: number
  points: number

  constructor(options: SpoolOptions) {
    this.options = options
    this.segments = []
    this.writer = undefined
    this.syncing = undefined
    this.reader = undefined
    this.ahead = undefined
    this.releasedSequence = 0
    this.lastSequence = 0
    this.syncedSequence = 0
    this.bytes = 0
    this.points = 0
  }

  /** Finds what an earlier process left. */
  open(): void {
    const { disk, dir } = this.options
    disk.makeDir(dir)
    for (const name of disk.list(dir)) {
      const firstSequence = parseSegmentName(name)
      if (firstSequence === undefined) continue
      const path = `${dir}/${name}`
      const { lastSequence, points, bytes } = summarizeSegment(disk, path, firstSequence)
      const modifiedMs = disk.stat(path)?.modifiedMs ?? 0
      if (lastSequence < firstSequence) {
        disk.remove(path)
        continue
      }
      const found = { path, firstSequence, lastSequence, points, bytes, modifiedMs }
      this.segments.push(this.counted(found, undefined))
      this.lastSequence = Math.max(this.lastSequence, lastSequence)
    }
    this.enforceLimits()
  }

  get isEmpty(): boolean {
    return this.segments.length === 0
  }

  /** Throws what the disk throws; the batch is then not in the spool. */
  append(batch: Batch): void {
    const writer = this.writer ?? this.startSegment(batch.sequence)
    const segment = this.segments.at(-1)!
    try {
      writer.append(batch)
    } catch (error) {
      this.endSegment()
      throw error
    }
    segment.lastSequence = batch.sequence
    segment.points += batch.count
    segment.modifiedMs = this.options.clock.nowMs()
    this.bytes += writer.length - segment.bytes
    segment.bytes = writer.length
    this.points += batch.count
    this.lastSequence = batch.sequence
    if (writer.length >= (this.options.segmentBytes ?? SEGMENT_BYTES)) this.endSegment()
    this.enforceLimits()
  }

  /**
   * Puts batches that were taken for delivered in front of all others, which they came before; those that are here
   * yet need not come again. Throws what the disk throws.
   */
  putBack(first: number, batches: readonly Batch[]): void {
    const oldest = this.segments[0]
    if (oldest && oldest.firstSequence <= first) return
    const writer = this.create(first)
    let points = 0
    let lastSequence = first
    try {
      for (const batch of batches) {
        writer.append(batch)
        points += batch.count
        lastSequence = batch.sequence
      }
    } finally {
      const modifiedMs = this.options.clock.nowMs()
      const bounds = { firstSequence: first, lastSequence, points, bytes: writer.length }
      this.segments.unshift(this.counted({ path: writer.path, ...bounds, modifiedMs }, writer))
      this.lastSequence = Math.max(this.lastSequence, lastSequence)
      this.releasedSequence = Math.min(this.releasedSequence, first - 1)
    }
    this.enforceLimits()
  }

  /**
   * The first batch after `sequence`, its bytes its own; the same one until `sequence` has reached it. To go back
   * call `rewind` first.
   */
  read(sequence: number): Batch | undefined {
    if (this.ahead && this.ahead.sequence > sequence) return this.ahead
    this.ahead = this.readAfter(sequence)
    return this.ahead
  }

  private readAfter(sequence: number): Batch | undefined {
    for (;;) {
      const segment = this.segmentAfter(sequence)
      if (!segment) return undefined
      if (this.reader?.path !== segment.path) this.openReader(segment)
      const batch = this.readOne(segment)
      if (batch === undefined) {
        if (segment.lastSequence > sequence) this.giveUpRest(segment, sequence)
        continue
      }
      if (batch.sequence > sequence) return batch
    }
  }

  /** A new connection starts over, perhaps further back. */
  rewind(): void {
    this.ahead = undefined
    this.reader?.close()
    this.reader = undefined
  }

  /** Everything up to `sequence` is delivered. */
  release(sequence: number): void {
    if (sequence > this.releasedSequence) this.releasedSequence = sequence
    while (this.segments.length > 0 && this.segments[0]!.lastSequence <= this.releasedSequence) {
      this.deleteOldest()
    }
  }

  /** Makes everything appended so far survive a power cut; throws when that cannot be. One at a time. */
  async sync(): Promise<void> {
    if (this.syncing) return
    try {
      for (const segment of this.segments.slice()) {
        if (segment.syncedSequence < segment.lastSequence) await this.syncSegment(segment)
      }
    } finally {
      this.syncedSequence = Math.max(this.syncedSequence, this.firstUnsynced())
    }
  }

  /** Deletes what is too old or too much. */
  enforceLimits(): void {
    const { limits, clock } = this.options
    const { bytesMax, ageMsMax } = limits()
    const oldestMs = clock.nowMs() - ageMsMax
    while (this.segments.length > 0) {
      const oldest = this.segments[0]!
      const tooMuch = this.bytes > bytesMax && this.segments.length > 1
      if (!tooMuch && oldest.modifiedMs >= oldestMs) break
      this.options.dropped.value += oldest.points
      this.deleteOldest()
    }
  }

  /** Syncs what it can; what it cannot stays in the files, and is reported. */
  close(): void {
    this.rewind()
    this.endSegment()
    for (const segment of this.segments) {
      try {
        if (segment.syncedSequence < segment.lastSequence) this.syncSegmentNow(segment)
      } catch (error) {
        this.options.log.error('spool cannot be synced', { file: segment.path, why: reason(error) })
      }
      this.closeFile(segment)
    }
    this.syncedSequence = Math.max(this.syncedSequence, this.firstUnsynced())
  }

  private startSegment(sequence: number): SpoolWriter {
    const writer = this.create(sequence)
    const modifiedMs = this.options.clock.nowMs()
    const bounds = { firstSequence: sequence, lastSequence: sequence - 1, points: 0, bytes: 0 }
    this.segments.push(this.counted({ path: writer.path, ...bounds, modifiedMs }, writer))
    this.writer = writer
    return writer
  }

  private create(sequence: number): SpoolWriter {
    const { disk, dir } = this.options
    const path = `${dir}/${segmentName(sequence)}`
    disk.remove(path)
    const writer = new SpoolWriter(disk, path)
    try {
      disk.syncDir(dir)
    } catch (error) {
      writer.close()
      throw error
    }
    return writer
  }

  /** The next batch begins a new segment. */
  private endSegment(): void {
    if (!this.writer) return
    this.writer = undefined
    const last = this.segments.at(-1)!
    if (last.points === 0) this.delete(last)
  }

  /** A segment that comes to the others. */
  private counted(
    segment: Omit<Segment, 'syncedSequence' | 'file' | 'isDoubtful'>,
    file: Syncable | undefined,
  ): Segment {
    this.bytes += segment.bytes
    this.points += segment.points
    return { ...segment, syncedSequence: segment.firstSequence - 1, file, isDoubtful: false }
  }

  // ── syncing ─────────────────────────────────────────────────────────────────────────────────────

  private async syncSegment(segment: Segment): Promise<void> {
    const { lastSequence } = segment
    if (!segment.isDoubtful) {
      this.syncing = segment
      try {
        await this.fileOf(segment).sync()
        segment.syncedSequence = lastSequence
      } catch (error) {
        this.doubt(segment, error)
      } finally {
        this.syncing = undefined
      }
    }
    const isGone = !this.segments.includes(segment)
    if (segment.isDoubtful && !isGone) this.writeAnew(segment)
    if (isGone || segment.file !== this.writer) this.closeFile(segment)
  }

  private syncSegmentNow(segment: Segment): void {
    if (!segment.isDoubtful) {
      try {
        this.fileOf(segment).syncNow()
        segment.syncedSequence = segment.lastSequence
        return
      } catch (error) {
        this.doubt(segment, error)
      }
    }
    this.writeAnew(segment)
  }

  private doubt(segment: Segment, error: unknown): void {
    segment.isDoubtful = true
    const facts = { file: segment.path, why: reason(error) }
    this.options.log.error('a sync of the spool failed: the segment is written anew', facts)
  }

  /** Puts a synced copy in the file's place. Throws what the disk throws. */
  private writeAnew(segment: Segment): void {
    const { disk } = this.options
    if (segment.file === this.writer) this.endSegment()
    this.closeFile(segment)
    if (this.reader?.path === segment.path) this.rewind()
    const { lastSequence, path } = segment
    const readable = lastReadable(disk, path)
    if (readable < lastSequence) {
      throw new CorruptionError(path, segment.bytes, `cannot be read after sequence ${readable}`)
    }
    disk.replaceFile(path, disk.readFile(path))
    segment.syncedSequence = lastSequence
    segment.isDoubtful = false
  }

  private fileOf(segment: Segment): Syncable {
    segment.file ??= this.options.disk.open(segment.path, 'read')
    return segment.file
  }

  private closeFile(segment: Segment): void {
    if (segment === this.syncing) return
    segment.file?.close()
    segment.file = undefined
  }

  /** Up to where nothing is that would not survive a power cut. */
  private firstUnsynced(): number {
    for (const { syncedSequence, lastSequence } of this.segments) {
      if (syncedSequence < lastSequence) return syncedSequence
    }
    return this.lastSequence
  }

  // ── reading ─────────────────────────────────────────────────────────────────────────────────────

  private segmentAfter(sequence: number): Segment | undefined {
    for (const segment of this.segments) if (segment.lastSequence > sequence) return segment
    return undefined
  }

  private openReader(segment: Segment): void {
    this.reader?.close()
    this.reader = new SpoolReader(this.options.disk, segment.path)
  }

  /** The reader's next batch; undefined at the segment's end or at damage. */
  private readOne(segment: Segment): Batch | undefined {
    try {
      return this.reader!.next()
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      this.options.log.error('spool segment is damaged', {
        file: segment.path,
        problem: error.message,
      })
      return undefined
    }
  }

  /** What a segment should still hold cannot be read: it counts as dropped, and the file is set aside. */
  private giveUpRest(segment: Segment, sequence: number): void {
    const { disk, dir, damaged, dropped, log } = this.options
    damaged.value++
    dropped.value += segment.points - (this.reader?.pointsRead ?? 0)
    this.reader?.close()
    this.reader = undefined
    if (segment.file === this.writer) this.endSegment()
    this.closeFile(segment)
    try {
      disk.makeDir(`${dir}/corrupt`)
      disk.rename(segment.path, `${dir}/corrupt/${segmentName(segment.firstSequence)}`)
    } catch (error) {
      log.error('damaged spool segment cannot be moved', { file: segment.path, why: reason(error) })
    }
    segment.lastSequence = sequence
    this.forget(segment)
  }

  private deleteOldest(): void {
    const oldest = this.segments[0]!
    if (oldest.file === this.writer) this.endSegment()
    this.delete(oldest)
  }

  /** One that cannot be removed comes again at the next start, under sequences that were delivered. */
  private delete(segment: Segment): void {
    if (this.reader?.path === segment.path) this.rewind()
    this.closeFile(segment)
    try {
      this.options.disk.remove(segment.path)
    } catch (error) {
      const facts = { file: segment.path, why: reason(error) }
      this.options.log.error('spool segment cannot be removed', facts)
    }
    this.forget(segment)
  }

  private forget(segment: Segment): void {
    const index = this.segments.indexOf(segment)
    if (index < 0) return
    this.segments.splice(index, 1)
    this.bytes -= segment.bytes
    this.points -= segment.points
  }
}
