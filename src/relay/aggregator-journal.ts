/**
 * The journal of open aggregation buckets, so that they survive a restart and kill -9: one file, a state
 * and what changed since, appended every 200 ms by the owner. Rows are written as they are, not as what was
 * added to them, so a record that is read twice does no harm.
 *
 * ```
 *   file     "EMONAGGR" version:u32, then records
 *   record   length:u32 crc32:u32 payload of that length: entries until its end
 *   entry    type:u8, then
 *     1 rule     number:u32 length:u32 JSON            the parameters of an aggregation
 *     2 output   number:u32 id:u32 computation:u16 length:u16 name
 *     3 rows     number:u32 start:f64 count:u32, each id:u32 count:f64 first:f64 second:f64
 *     4 values   number:u32 start:f64 id:u32 offset:u32 count:u32, each value:f64   (for percentiles)
 *     5 closed   number:u32 start:f64
 *     6 sender   length:u16 name sequence:u64
 * ```
 *
 * A bucket that has been emitted is written as closed only when its results have been somewhere for a while
 * (SETTLE_MS; promise 3 gives them 200 ms), so a crash emits it again, with the same values, rather than
 * never. When the log has grown past four times the state, the state is written to a new file that replaces
 * the old one. A torn end is cut off; a file that is no journal is moved to corrupt/.
 */

import { assert } from '../lib/assert.ts'
import { ByteReader, ByteWriter, crc32, fromUtf8, toUtf8 } from '../lib/bytes.ts'
import { NewerVersionError } from '../lib/corruption.ts'
import type { Disk, DiskFile } from '../lib/disk.ts'
import { latin1 } from '../metric/number.ts'
import type { Aggregation, Bucket, Output, RuleParameters } from './aggregation.ts'
import type { Aggregator, Numbered } from './aggregator.ts'

const MAGIC = 'EMONAGGR'
const VERSION = 1
const HEADER_BYTES = 12
const RECORD_HEADER_BYTES = 8
const LOG_BYTES_MIN = 4 * 1024 * 1024
const SETTLE_MS = 500

const Entry = { rule: 1, output: 2, rows: 3, values: 4, closed: 5, sender: 6 } as const

export interface JournalOptions {
  readonly disk: Disk
  readonly path: string
  /** Where a file goes that is no journal. */
  readonly corruptDir: string
  readonly aggregator: Aggregator
  /** Told when a damaged file has been moved away, or a torn end cut off. */
  readonly onDamage: (text: string) => void
}

export class AggregatorJournal {
  /** `Aggregator.version` that is in the file, and that survives a power cut. */
  writtenVersion: number
  syncedVersion: number
  private readonly options: JournalOptions
  private readonly out: ByteWriter
  private file: DiskFile | undefined
  private logBytes: number
  private stateBytes: number
  /** When each emitted bucket was first seen as such. */
  private readonly closedAtMs: Map<Bucket, number>
  /** Numbers of the rules that are in the file. */
  private known: Set<number>

  /** Reads the file, if there is one, into the aggregator; then `Aggregator.configure` may be called. */
  constructor(options: JournalOptions) {
    this.options = options
    this.out = new ByteWriter(64 * 1024)
    this.file = undefined
    this.logBytes = 0
    this.stateBytes = 0
    this.closedAtMs = new Map()
    this.known = new Set()
    this.writtenVersion = -1
    this.syncedVersion = -1
    recover(options)
  }

  /** Appends what changed; throws when the disk does not take it, and writes everything the next time. */
  write(nowMs: number): void {
    const { aggregator } = this.options
    const version = aggregator.version
    const settled = this.settled(nowMs)
    if (version === this.writtenVersion && settled.length === 0) return
    if (this.file && this.logBytes <= Math.max(LOG_BYTES_MIN, 4 * this.stateBytes)) {
      this.appendChanges(settled)
    } else this.replaceState()
    this.writtenVersion = version
    for (const { numbered, bucket } of settled) {
      this.closedAtMs.delete(bucket)
      numbered.aggregation.settle(bucket.start)
    }
    if (settled.length > 0) aggregator.dropEmpty()
  }

  async sync(): Promise<void> {
    const version = this.writtenVersion
    await this.file?.sync()
    this.syncedVersion = Math.max(this.syncedVersion, version)
  }

  close(): void {
    this.file?.close()
    this.file = undefined
  }

  /** Buckets that were emitted long enough ago. */
  private settled(nowMs: number): { numbered: Numbered; bucket: Bucket }[] {
    const settled: { numbered: Numbered; bucket: Bucket }[] = []
    for (const numbered of this.options.aggregator.all) {
      for (const bucket of numbered.aggregation.closing.values()) {
        const atMs = this.closedAtMs.get(bucket)
        if (atMs === undefined) this.closedAtMs.set(bucket, nowMs)
        else if (nowMs - atMs >= SETTLE_MS || nowMs < atMs) settled.push({ numbered, bucket })
      }
    }
    return settled
  }

  private appendChanges(settled: readonly { numbered: Numbered; bucket: Bucket }[]): void {
    const { out } = this
    const { aggregator } = this.options
    out.reset()
    const at = beginRecord(out)
    for (const { number, aggregation } of aggregator.all) {
      if (!this.known.has(number)) encodeRule(out, number, aggregation.rule)
      for (const output of aggregation.takeFresh()) encodeOutput(out, number, output)
      for (const bucket of allBuckets(aggregation)) {
        encodeRows(out, number, bucket, bucket.takeChanged())
      }
    }
    for (const { numbered, bucket } of settled) encodeClosed(out, numbered.number, bucket.start)
    encodeSenders(out, aggregator, aggregator.changedSenders)
    endRecord(out, at)
    const { file } = this
    // Cleared first: when the disk does not take all of it, the state is written anew.
    this.file = undefined
    file!.append(out.written())
    this.file = file
    this.noteWritten()
    this.logBytes += out.length
  }

  private replaceState(): void {
    const { out } = this
    const { aggregator, disk, path } = this.options
    out.reset()
    out.raw(toUtf8(MAGIC))
    out.u32(VERSION)
    const at = beginRecord(out)
    for (const { number, aggregation } of aggregator.all) {
      encodeRule(out, number, aggregation.rule)
      aggregation.takeFresh()
      for (const output of aggregation.outputs) if (output) encodeOutput(out, number, output)
      for (const bucket of allBuckets(aggregation)) {
        bucket.takeChanged()
        bucket.journalled.clear()
        encodeRows(out, number, bucket, bucket.filledRows())
      }
    }
    encodeSenders(out, aggregator, aggregator.sequences.keys())
    endRecord(out, at)
    this.close()
    disk.replaceFile(path, out.written())
    this.file = disk.open(path, 'append')
    this.noteWritten()
    this.stateBytes = out.length
    this.logBytes = 0
  }

  private noteWritten(): void {
    const { aggregator } = this.options
    aggregator.changedSenders.clear()
    this.known = new Set(aggregator.all.map(({ number }) => number))
  }
}

function allBuckets(aggregation: Aggregation): Bucket[] {
  return [...aggregation.buckets.values(), ...aggregation.closing.values()]
}

// ── out ─────────────────────────────────────────────────────────────────────────────────────────────

function beginRecord(out: ByteWriter): number {
  return out.skip(RECORD_HEADER_BYTES)
}

function endRecord(out: ByteWriter, at: number): void {
  const payload = out.written().subarray(at + RECORD_HEADER_BYTES)
  out.patchU32(at, payload.length)
  out.patchU32(at + 4, crc32(payload))
}

function encodeRule(out: ByteWriter, number: number, rule: RuleParameters): void {
  const json = toUtf8(JSON.stringify(rule))
  out.u8(Entry.rule)
  out.u32(number)
  out.u32(json.length)
  out.raw(json)
}

function encodeOutput(out: ByteWriter, number: number, output: Output): void {
  const name = Buffer.from(output.name, 'latin1')
  out.u8(Entry.output)
  out.u32(number)
  out.u32(output.id)
  out.u16(output.computation)
  out.u16(name.length)
  out.raw(name)
}

function encodeRows(
  out: ByteWriter,
  number: number,
  bucket: Bucket,
  rows: readonly number[],
): void {
  if (rows.length === 0) return
  const { counts, first, second, lists, journalled } = bucket
  out.u8(Entry.rows)
  out.u32(number)
  out.f64(bucket.start)
  out.u32(rows.length)
  for (const row of rows) {
    out.u32(row)
    out.f64(counts[row]!)
    out.f64(first[row]!)
    out.f64(second[row]!)
  }
  if (lists.size === 0) return
  for (const row of rows) {
    const list = lists.get(row)
    if (!list) continue
    const offset = journalled.get(row) ?? 0
    out.u8(Entry.values)
    out.u32(number)
    out.f64(bucket.start)
    out.u32(row)
    out.u32(offset)
    out.u32(list.length - offset)
    for (let i = offset; i < list.length; i++) out.f64(list[i]!)
    journalled.set(row, list.length)
  }
}

function encodeClosed(out: ByteWriter, number: number, start: number): void {
  out.u8(Entry.closed)
  out.u32(number)
  out.f64(start)
}

function encodeSenders(out: ByteWriter, aggregator: Aggregator, senders: Iterable<string>): void {
  for (const sender of senders) {
    out.u8(Entry.sender)
    out.text16(sender)
    out.u64(aggregator.sequences.get(sender)!)
  }
}

// ── in ──────────────────────────────────────────────────────────────────────────────────────────────

function recover(options: JournalOptions): void {
  const { disk, path } = options
  if (!disk.stat(path)) return
  const bytes = disk.readFile(path)
  if (bytes.length < HEADER_BYTES || fromUtf8(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    disk.makeDir(options.corruptDir)
    disk.rename(path, `${options.corruptDir}/${path.slice(path.lastIndexOf('/') + 1)}`)
    options.onDamage(`${path} is no aggregation journal: moved to ${options.corruptDir}`)
    return
  }
  const reader = new ByteReader(bytes, MAGIC.length)
  const version = reader.u32()
  if (version > VERSION) throw new NewerVersionError(path, version, VERSION)
  const replay = new Replay(options.aggregator)
  while (reader.remaining > 0) {
    const payload = nextRecord(reader)
    if (!payload) {
      options.onDamage(`${path}: ${bytes.length - reader.offset} bytes at the end are torn`)
      break
    }
    replay.record(payload)
  }
  options.aggregator.restored()
}

/** The payload of the next record; undefined when it is not whole. */
function nextRecord(reader: ByteReader): Uint8Array | undefined {
  const at = reader.offset
  if (reader.remaining >= RECORD_HEADER_BYTES) {
    const length = reader.u32()
    const checksum = reader.u32()
    if (length <= reader.remaining) {
      const payload = reader.raw(length)
      if (crc32(payload) === checksum) return payload
    }
  }
  reader.offset = at
  return undefined
}

class Replay {
  private readonly aggregator: Aggregator
  private readonly byNumber: Map<number, Aggregation>

  constructor(aggregator: Aggregator) {
    this.aggregator = aggregator
    this.byNumber = new Map()
  }

  record(payload: Uint8Array): void {
    const reader = new ByteReader(payload)
    while (reader.remaining > 0) this.entry(reader)
  }

  private entry(reader: ByteReader): void {
    const type = reader.u8()
    switch (type) {
      case Entry.sender: {
        const sender = reader.text16()
        this.aggregator.sequences.set(sender, reader.u64())
        return
      }
      case Entry.rule: {
        const number = reader.u32()
        const rule = JSON.parse(fromUtf8(reader.raw(reader.u32()))) as RuleParameters
        this.byNumber.set(number, this.aggregator.add(rule, number).aggregation)
        return
      }
    }
    const aggregation = this.byNumber.get(reader.u32())
    assert(aggregation, 'an entry of the aggregation journal comes before its rule')
    if (type === Entry.output) return readOutput(reader, aggregation)
    const start = reader.f64()
    if (type === Entry.rows) readRows(reader, aggregation, start)
    else if (type === Entry.values) readValues(reader, aggregation.openBucket(start))
    else if (type === Entry.closed) aggregation.forgetBucket(start)
    else assert(false, `an entry of the aggregation journal has type ${type}`)
  }
}

function readOutput(reader: ByteReader, aggregation: Aggregation): void {
  const id = reader.u32()
  const computation = reader.u16()
  const name = reader.raw(reader.u16())
  aggregation.restoreOutput(id, computation, latin1(name, 0, name.length))
}

function readRows(reader: ByteReader, aggregation: Aggregation, start: number): void {
  const bucket = aggregation.openBucket(start)
  for (let left = reader.u32(); left > 0; left--) {
    const row = reader.u32()
    bucket.reserve(row)
    bucket.counts[row] = reader.f64()
    bucket.first[row] = reader.f64()
    bucket.second[row] = reader.f64()
    const output = aggregation.outputs[row]
    if (output && start > output.newest) output.newest = start
  }
}

function readValues(reader: ByteReader, bucket: Bucket): void {
  const row = reader.u32()
  const list = (bucket.lists.get(row) ?? []).slice(0, reader.u32())
  for (let left = reader.u32(); left > 0; left--) list.push(reader.f64())
  bucket.lists.set(row, list)
}
