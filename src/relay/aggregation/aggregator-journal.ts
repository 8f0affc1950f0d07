/**
 * Keeps open aggregation buckets over restarts and kill -9: a journal of the state and what changed since
 * (aggregator-journal-format.ts), to which the owner has changes appended every 200 ms.
 *
 * When the changes have grown past four times the state, the state goes to a new journal. Nothing waits for the
 * disk then: the one before is removed when the new one is synced, and counts until then after a power cut. A
 * journal whose sync failed is taken no further, whatever a later sync of it would say: a new one begins.
 *
 * A bucket that has been emitted is written as closed only when its results have been somewhere for a while
 * (SETTLE_MS; promise 3 gives them 200 ms), so a crash emits it again, with the same values, rather than never. A
 * result that is aggregated itself counts once all the same: the record that has it also says so.
 */

import { ByteWriter } from '../../lib/bytes.ts'
import type { DiskFile } from '../../lib/disk.ts'
import type { Aggregation } from './aggregation.ts'
import type { Bucket } from './bucket.ts'
import type { Numbered } from './aggregator.ts'
import {
  beginRecord,
  encodeClosed,
  encodeEmitted,
  encodeHeader,
  encodeOutput,
  encodeRows,
  encodeRule,
  encodeSenders,
  endRecord,
  journalName,
} from './aggregator-journal-format.ts'
import { recoverAggregations, type RecoveryOptions } from './aggregator-journal-reader.ts'

const LOG_BYTES_MIN = 4 * 1024 * 1024
/** A whole state may take much more than the changes of 200 ms; then its memory is given back. */
const OUT_BYTES_KEPT = 1024 * 1024
const SETTLE_MS = 500

/** An emitted bucket that can be forgotten. */
interface Settled {
  readonly numbered: Numbered
  readonly bucket: Bucket
}

interface OpenJournal {
  readonly number: number
  readonly file: DiskFile
}

export interface JournalOptions extends RecoveryOptions {
  /** Bytes of changes before the state is written anew; for tests. */
  readonly logBytesMin?: number
}

export class AggregatorJournal {
  /** `Aggregator.version` that is in the journal, and that survives a power cut. */
  writtenVersion: number
  syncedVersion: number
  private readonly options: JournalOptions
  private readonly out: ByteWriter
  private current: OpenJournal | undefined
  /** It is closed when its sync is over. */
  private syncing: OpenJournal | undefined
  /** Numbers of journals that wait for the current one to be synced. */
  private older: number[]
  private nextNumber: number
  private logBytes: number
  private stateBytes: number
  /** When each emitted bucket was first seen as such. */
  private readonly closedAtMs: Map<Bucket, number>
  /** Numbers of the rules that are in the journal. */
  private known: Set<number>

  /** Reads what is there into the aggregator; then `Aggregator.configure` may be called. */
  constructor(options: JournalOptions) {
    this.options = options
    this.out = new ByteWriter(64 * 1024)
    this.current = undefined
    this.syncing = undefined
    this.older = recoverAggregations(options)
    this.nextNumber = (this.older.at(-1) ?? 0) + 1
    this.logBytes = 0
    this.stateBytes = 0
    this.closedAtMs = new Map()
    this.known = new Set()
    this.writtenVersion = -1
    this.syncedVersion = -1
  }

  /**
   * Appends what changed; throws when the disk does not take it, and writes everything the next time. `settleMs`:
   * how long ago a bucket was emitted that need not be emitted again.
   */
  write(nowMs: number, settleMs = SETTLE_MS): void {
    const { aggregator } = this.options
    const version = aggregator.version
    const settled = this.settled(nowMs, settleMs)
    if (this.current && version === this.writtenVersion && settled.length === 0) return
    const logBytesMin = this.options.logBytesMin ?? LOG_BYTES_MIN
    if (this.current && this.logBytes <= Math.max(logBytesMin, 4 * this.stateBytes)) {
      this.appendChanges(this.current, settled)
    } else this.begin(settled)
    this.writtenVersion = version
    aggregator.changedSenders.clear()
    this.known = new Set(aggregator.all.map(({ number }) => number))
    for (const { numbered, bucket } of settled) {
      this.closedAtMs.delete(bucket)
      numbered.aggregation.settle(bucket.start)
    }
    if (settled.length > 0) aggregator.dropEmpty()
  }

  async sync(): Promise<void> {
    const { current, writtenVersion } = this
    if (!current || this.syncing) return
    this.syncing = current
    try {
      await current.file.sync()
    } catch (error) {
      if (this.current === current) this.retire()
      throw error
    } finally {
      this.syncing = undefined
      if (this.current !== current) current.file.close()
    }
    this.syncedVersion = Math.max(this.syncedVersion, writtenVersion)
    this.removeBefore(current.number)
  }

  close(): void {
    this.retire()
  }

  /** Buckets that were emitted long enough ago. */
  private settled(nowMs: number, settleMs: number): Settled[] {
    const settled: Settled[] = []
    for (const numbered of this.options.aggregator.all) {
      for (const bucket of numbered.aggregation.closing.values()) {
        const atMs = this.closedAtMs.get(bucket) ?? nowMs
        this.closedAtMs.set(bucket, atMs)
        if (nowMs - atMs >= settleMs || nowMs < atMs) settled.push({ numbered, bucket })
      }
    }
    return settled
  }

  private appendChanges(journal: OpenJournal, settled: readonly Settled[]): void {
    const { out } = this
    const { aggregator } = this.options
    out.reset()
    const at = beginRecord(out)
    for (const { number, aggregation } of aggregator.all) {
      if (!this.known.has(number)) encodeRule(out, number, aggregation.rule)
      for (const output of aggregation.takeFresh()) encodeOutput(out, number, output)
      for (const bucket of allBuckets(aggregation)) {
        encodeRows(out, number, bucket, bucket.takeChanged())
        encodeEmitted(out, number, bucket)
      }
    }
    for (const { numbered, bucket } of settled) encodeClosed(out, numbered.number, bucket.start)
    encodeSenders(out, aggregator, aggregator.changedSenders)
    endRecord(out, at)
    this.append(journal, out.written())
    this.logBytes += out.length
  }

  /** A new journal, with the whole state but what has settled. */
  private begin(settled: readonly Settled[]): void {
    const { out } = this
    const { aggregator, disk, dir } = this.options
    const gone = new Set(settled.map(({ bucket }) => bucket))
    out.reset()
    encodeHeader(out)
    const at = beginRecord(out)
    for (const { number, aggregation } of aggregator.all) {
      encodeRule(out, number, aggregation.rule)
      aggregation.takeFresh()
      for (const output of aggregation.outputs) if (output) encodeOutput(out, number, output)
      for (const bucket of allBuckets(aggregation)) {
        if (gone.has(bucket)) continue
        bucket.takeChanged()
        bucket.journalled.clear()
        bucket.journalledEmitted = 0
        encodeRows(out, number, bucket, bucket.filledRows())
        encodeEmitted(out, number, bucket)
      }
    }
    encodeSenders(out, aggregator, aggregator.sequences.keys())
    endRecord(out, at)
    this.retire()
    const number = this.nextNumber++
    const file = disk.open(`${dir}/${journalName(number)}`, 'create')
    this.append({ number, file }, out.written())
    this.stateBytes = out.length
    this.logBytes = 0
    out.resetTo(OUT_BYTES_KEPT)
  }

  /** What the disk does not take whole is followed by a new journal. */
  private append(journal: OpenJournal, bytes: Uint8Array): void {
    this.current = journal
    try {
      journal.file.append(bytes)
    } catch (error) {
      this.retire()
      throw error
    }
  }

  private retire(): void {
    if (!this.current) return
    if (this.syncing !== this.current) this.current.file.close()
    this.older.push(this.current.number)
    this.current = undefined
  }

  private removeBefore(number: number): void {
    const { disk, dir } = this.options
    for (const old of this.older) if (old < number) disk.remove(`${dir}/${journalName(old)}`)
    this.older = this.older.filter((old) => old >= number)
  }
}

function allBuckets(aggregation: Aggregation): Bucket[] {
  return [...aggregation.buckets.values(), ...aggregation.closing.values()]
}
