/**
 * Reads the newest whole journal of open aggregation buckets (aggregator-journal-format.ts) into an aggregator.
 * A file whose first record is torn was being begun when the process died: the one before it counts. What
 * follows a record that is not whole is left out, and the file copied to corrupt/; a file that is no journal is
 * moved there.
 */

import { assert } from '../../lib/assert.ts'
import { ByteReader, crc32, fromUtf8 } from '../../lib/bytes.ts'
import { NewerVersionError } from '../../lib/corruption.ts'
import type { Disk } from '../../lib/disk.ts'
import { latin1 } from '../../metric/number.ts'
import type { Aggregation, RuleParameters } from './aggregation.ts'
import type { Bucket } from './bucket.ts'
import type { Aggregator } from './aggregator.ts'
import {
  Entry,
  HEADER_BYTES,
  journalName,
  journalNumber,
  MAGIC,
  RECORD_HEADER_BYTES,
  VERSION,
} from './aggregator-journal-format.ts'

export interface RecoveryOptions {
  readonly disk: Disk
  readonly dir: string
  /** Where a file goes that is no journal. */
  readonly corruptDir: string
  readonly aggregator: Aggregator
  /** Told when a file has been moved away, or a torn end left out. */
  readonly onDamage: (text: string) => void
}

/** Answers the numbers of the journals that are there, rising. */
export function recoverAggregations(options: RecoveryOptions): number[] {
  const numbers = journalsThere(options).toReversed()
  for (const number of numbers) if (recoverFile(options, journalName(number))) break
  return journalsThere(options)
}

function journalsThere({ disk, dir }: RecoveryOptions): number[] {
  const numbers = disk.list(dir).flatMap((name) => journalNumber(name) ?? [])
  return numbers.sort((a, b) => a - b)
}

/** False when the file holds no whole state. */
function recoverFile(options: RecoveryOptions, name: string): boolean {
  const { disk, aggregator, onDamage } = options
  const path = `${options.dir}/${name}`
  const bytes = disk.readFile(path)
  if (bytes.length < HEADER_BYTES) return false
  if (fromUtf8(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    disk.makeDir(options.corruptDir)
    disk.rename(path, `${options.corruptDir}/${name}`)
    onDamage(`${path} is no aggregation journal: moved to ${options.corruptDir}`)
    return false
  }
  const reader = new ByteReader(bytes, MAGIC.length)
  const version = reader.u32()
  if (version > VERSION) throw new NewerVersionError(path, version, VERSION)
  const replay = new Replay(aggregator)
  let records = 0
  for (; reader.remaining > 0; records++) {
    const payload = nextRecord(reader)
    if (!payload) break
    replay.record(payload)
  }
  if (records > 0 && reader.remaining > 0) {
    disk.makeDir(options.corruptDir)
    disk.replaceFile(`${options.corruptDir}/${name}`, bytes)
    onDamage(
      `${path}: ${reader.remaining} bytes at the end are torn, a copy is in ${options.corruptDir}`,
    )
  }
  if (records > 0) aggregator.restored()
  return records > 0
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
        this.aggregator.note(sender, reader.u64())
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
    else if (type === Entry.emitted) aggregation.openBucket(start).countedRows = reader.u32()
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
