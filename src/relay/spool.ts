/**
 * One destination's overflow on disk: an ordered queue of batches in segment files (spool-format.ts).
 *
 * Batches are appended in order of sequence, read in that order from wherever the last connection got to,
 * and their segment is deleted when all of it has been delivered. Beyond `bytesMax` or `ageMsMax` the
 * oldest segment goes, counted. Segments that an earlier process left are found by `open`.
 *
 * A segment that is damaged is delivered up to the damage, then moved to `corrupt/`. An append that fails
 * (disk full) throws: the batch is still the caller's, the next one starts a new segment. After a failed
 * sync the bytes since the last good one may be gone from the disk, so `syncedSequence` stays where it was
 * until they are delivered.
 */

import type { Clock } from '../lib/clock.ts'
import { CorruptionError } from '../lib/corruption.ts'
import type { Disk } from '../lib/disk.ts'
import { type Log, reason } from '../lib/log.ts'
import type { Counter } from '../lib/stats.ts'
import { type Batch, parseSegmentName, SEGMENT_BYTES, segmentName } from './spool-format.ts'
import { SpoolReader, summarizeSegment } from './spool-reader.ts'
import { SpoolWriter } from './spool-writer.ts'

export interface SpoolOptions {
  readonly dir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly bytesMax: number
  readonly ageMsMax: number
  readonly segmentBytes?: number
  /** Points that were deleted undelivered. */
  readonly dropped: Counter
  /** Files that were damaged. */
  readonly damaged: Counter
}

interface Segment {
  readonly path: string
  readonly firstSequence: number
  lastSequence: number
  points: number
  bytes: number
  /** Wall clock, of its last append. */
  modifiedMs: number
}

export class Spool {
  private readonly options: SpoolOptions
  /** Oldest first; the last one is the writer's while there is a writer. */
  private readonly segments: Segment[]
  private writer: SpoolWriter | undefined
  /** Full segments that are not synced yet. */
  private retired: SpoolWriter[]
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
    this.retired = []
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
      const { lastSequence, points, bytes } = summarizeSegment(disk, path)
      const modifiedMs = disk.stat(path)?.modifiedMs ?? 0
      if (lastSequence === 0) disk.remove(path)
      else this.add({ path, firstSequence, lastSequence, points, bytes, modifiedMs })
    }
    this.syncedSequence = this.lastSequence
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
    if (writer.length >= (this.options.segmentBytes ?? SEGMENT_BYTES)) {
      this.retired.push(writer)
      this.writer = undefined
    }
    this.enforceLimits()
  }

  /** The first batch after `sequence`, its bytes its own; the same one until `sequence` has reached it. */
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
      if (this.segments.length === 1) this.endSegment()
      this.deleteOldest()
    }
  }

  /** Makes everything appended so far survive a power cut. */
  async sync(): Promise<void> {
    const { writer, lastSequence, retired } = this
    if (this.syncedSequence >= lastSequence) return
    this.retired = []
    for (const full of retired) {
      await full.sync()
      full.close()
    }
    await writer?.sync()
    if (lastSequence > this.syncedSequence) this.syncedSequence = lastSequence
  }

  /** Deletes what is too old or too much. */
  enforceLimits(): void {
    const { bytesMax, ageMsMax, clock } = this.options
    const oldestMs = clock.nowMs() - ageMsMax
    while (this.segments.length > 0) {
      const oldest = this.segments[0]!
      const tooMuch = this.bytes > bytesMax && this.segments.length > 1
      if (!tooMuch && oldest.modifiedMs >= oldestMs) break
      if (this.segments.length === 1) this.endSegment()
      this.options.dropped.value += oldest.points
      this.deleteOldest()
    }
  }

  close(): void {
    this.rewind()
    for (const writer of this.writer ? [...this.retired, this.writer] : this.retired) {
      writer.syncNow()
      writer.close()
    }
    this.retired = []
    this.writer = undefined
    this.syncedSequence = this.lastSequence
  }

  private startSegment(sequence: number): SpoolWriter {
    const { disk, dir, clock } = this.options
    const path = `${dir}/${segmentName(sequence)}`
    disk.remove(path)
    this.writer = new SpoolWriter(disk, path)
    disk.syncDir(dir)
    const modifiedMs = clock.nowMs()
    const bounds = { firstSequence: sequence, lastSequence: sequence - 1 }
    this.add({ path, ...bounds, points: 0, bytes: 0, modifiedMs })
    return this.writer
  }

  private endSegment(): void {
    this.writer?.close()
    this.writer = undefined
    const last = this.segments.at(-1)
    if (last?.points === 0) {
      this.segments.pop()
      this.options.disk.remove(last.path)
    }
  }

  private add(segment: Segment): void {
    this.segments.push(segment)
    this.bytes += segment.bytes
    this.points += segment.points
    if (segment.lastSequence > this.lastSequence) this.lastSequence = segment.lastSequence
  }

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
    if (segment === this.segments.at(-1)) this.endSegment()
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
    if (this.reader?.path === oldest.path) this.rewind()
    this.options.disk.remove(oldest.path)
    this.forget(oldest)
  }

  private forget(segment: Segment): void {
    this.segments.splice(this.segments.indexOf(segment), 1)
    this.bytes -= segment.bytes
    this.points -= segment.points
  }
}
