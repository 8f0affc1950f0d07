/**
 * One destination's overflow on disk: an ordered queue of batches in segment files (spool-format.ts).
 *
 * Batches are appended in order of sequence, read in that order from wherever the last connection got to,
 * and their segment is deleted when all of it has been delivered. Beyond `bytesMax` or `ageMsMax` the
 * oldest segment goes, counted. Segments that an earlier process left are found by `open`; they count as
 * synced when this process has synced them.
 *
 * A segment that is damaged is delivered up to the damage, then moved to `corrupt/`. An append that fails
 * (disk full) throws: the batch is still the caller's, the next one starts a new segment. What a failed sync means
 * is the segment's (spool-segment.ts).
 */

import { letGo } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk } from '../../lib/disk.ts'
import { type Log, reason } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import { type Batch, parseSegmentName, SEGMENT_BYTES, segmentName } from './spool-format.ts'
import { SpoolReader, summarizeSegment } from './spool-reader.ts'
import { type SegmentOptions, SpoolSegment } from './spool-segment.ts'

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

export class Spool {
  private readonly options: SpoolOptions
  /** Oldest first; batches are appended to the last one. */
  private readonly segments: SpoolSegment[]
  /** A sync goes on. */
  private isSyncing: boolean
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
    this.isSyncing = false
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
      const options = this.segmentOptions(firstSequence)
      const summary = summarizeSegment(disk, options.path, firstSequence)
      if (summary.lastSequence < firstSequence) {
        disk.remove(options.path)
        continue
      }
      const segment = SpoolSegment.found(options, summary)
      this.segments.push(segment)
      this.count(segment)
    }
    this.enforceLimits()
  }

  get isEmpty(): boolean {
    return this.segments.length === 0
  }

  /** Throws what the disk throws; the batch is then not in the spool. */
  append(batch: Batch): void {
    const segment = this.openSegment(batch.sequence)
    const bytesBefore = segment.bytes
    try {
      segment.append(batch, this.options.clock.nowMs())
    } catch (error) {
      segment.end()
      if (segment.points === 0) this.delete(segment)
      throw error
    }
    this.bytes += segment.bytes - bytesBefore
    this.points += batch.count
    this.lastSequence = batch.sequence
    if (segment.bytes >= (this.options.segmentBytes ?? SEGMENT_BYTES)) segment.end()
    this.enforceLimits()
  }

  /**
   * Puts batches that were taken for delivered in front of all others, which they came before; those that are here
   * yet need not come again. Throws what the disk throws.
   */
  putBack(first: number, batches: readonly Batch[]): void {
    const oldest = this.segments[0]
    if (oldest && oldest.firstSequence <= first) return
    const segment = this.create(first)
    try {
      for (const batch of batches) segment.append(batch, this.options.clock.nowMs())
    } finally {
      segment.end()
      this.segments.unshift(segment)
      this.count(segment)
      this.releasedSequence = Math.min(this.releasedSequence, first - 1)
    }
    this.enforceLimits()
  }

  /**
   * The first batch after `sequence`; the same one until `sequence` has reached it. Lines are the caller's, points are
   * valid until the next one is read. To go back call `rewind` first.
   */
  read(sequence: number): Batch | undefined {
    const { ahead } = this
    if (ahead && ahead.sequence > sequence) return ahead
    // A replay reads faster than garbage is collected.
    if (ahead?.names) letGo(new Uint8Array(ahead.bytes.buffer))
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
      this.delete(this.segments[0]!)
    }
  }

  /** Makes everything appended so far survive a power cut; throws when that cannot be. One at a time. */
  async sync(): Promise<void> {
    if (this.isSyncing) return
    this.isSyncing = true
    try {
      for (const segment of this.segments.slice()) {
        if (!segment.isSynced && (await segment.sync())) this.rewindFrom(segment)
      }
    } finally {
      this.isSyncing = false
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
      this.delete(oldest)
    }
  }

  /** Syncs what it can; what it cannot stays in the files, and is reported. */
  close(): void {
    this.rewind()
    for (const segment of this.segments) {
      segment.end()
      try {
        if (!segment.isSynced) segment.syncNow()
      } catch (error) {
        this.options.log.error('spool cannot be synced', { file: segment.path, why: reason(error) })
      }
      segment.closeFile()
    }
    this.syncedSequence = Math.max(this.syncedSequence, this.firstUnsynced())
  }

  private openSegment(sequence: number): SpoolSegment {
    const last = this.segments.at(-1)
    if (last?.isOpen) return last
    const segment = this.create(sequence)
    this.segments.push(segment)
    return segment
  }

  private create(firstSequence: number): SpoolSegment {
    const { disk, dir } = this.options
    const segment = SpoolSegment.create(this.segmentOptions(firstSequence))
    try {
      disk.syncDir(dir)
    } catch (error) {
      segment.forget()
      throw error
    }
    return segment
  }

  private segmentOptions(firstSequence: number): SegmentOptions {
    const { disk, log, dir } = this.options
    return { disk, log, path: `${dir}/${segmentName(firstSequence)}`, firstSequence }
  }

  /** One more segment has what it has. */
  private count({ bytes, points, lastSequence }: SpoolSegment): void {
    this.bytes += bytes
    this.points += points
    this.lastSequence = Math.max(this.lastSequence, lastSequence)
  }

  /** Up to where nothing is that would not survive a power cut. */
  private firstUnsynced(): number {
    for (const { isSynced, syncedSequence } of this.segments) if (!isSynced) return syncedSequence
    return this.lastSequence
  }

  // ── reading ─────────────────────────────────────────────────────────────────────────────────────

  private segmentAfter(sequence: number): SpoolSegment | undefined {
    for (const segment of this.segments) if (segment.lastSequence > sequence) return segment
    return undefined
  }

  private openReader(segment: SpoolSegment): void {
    this.reader?.close()
    this.reader = new SpoolReader(this.options.disk, segment.path)
  }

  /** What was read of the segment ahead may not be what is there now. */
  private rewindFrom(segment: SpoolSegment): void {
    if (this.reader?.path === segment.path) this.rewind()
  }

  /** The reader's next batch; undefined at the segment's end or at damage. */
  private readOne(segment: SpoolSegment): Batch | undefined {
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
  private giveUpRest(segment: SpoolSegment, sequence: number): void {
    const { disk, dir, damaged, dropped, log } = this.options
    damaged.value++
    dropped.value += segment.points - (this.reader?.pointsRead ?? 0)
    this.reader?.close()
    this.reader = undefined
    try {
      disk.makeDir(`${dir}/corrupt`)
      disk.rename(segment.path, `${dir}/corrupt/${segmentName(segment.firstSequence)}`)
    } catch (error) {
      log.error('damaged spool segment cannot be moved', { file: segment.path, why: reason(error) })
    }
    segment.lastSequence = sequence
    this.forget(segment)
  }

  /** One that cannot be removed comes again at the next start, under sequences that were delivered. */
  private delete(segment: SpoolSegment): void {
    this.rewindFrom(segment)
    try {
      this.options.disk.remove(segment.path)
    } catch (error) {
      const facts = { file: segment.path, why: reason(error) }
      this.options.log.error('spool segment cannot be removed', facts)
    }
    this.forget(segment)
  }

  private forget(segment: SpoolSegment): void {
    segment.forget()
    const index = this.segments.indexOf(segment)
    if (index < 0) return
    this.segments.splice(index, 1)
    this.bytes -= segment.bytes
    this.points -= segment.points
  }
}
