/**
 * The journal of open aggregation buckets: its records. Rows are written as they are, not as what was added to
 * them, so a record that is read twice does no harm.
 *
 * ```
 *   file     "EMONAGGR" version:u32, then records; the first holds the whole state
 *   record   length:u32 crc32:u32 payload of that length: entries until its end
 *   entry    type:u8, then
 *     1 rule     number:u32 length:u32 JSON            the parameters of an aggregation
 *     2 output   number:u32 id:u32 computation:u16 length:u16 name
 *     3 rows     number:u32 start:f64 count:u32, each id:u32 count:f64 first:f64 second:f64
 *     4 values   number:u32 start:f64 id:u32 offset:u32 count:u32, each value:f64   (for percentiles)
 *     5 closed   number:u32 start:f64
 *     6 sender   length:u16 name sequence:u64
 *     7 emitted  number:u32 start:f64 rows:u32         rows before this one: what became of them is in the state
 * ```
 */

import { type ByteWriter, crc32, toUtf8 } from '../../lib/bytes.ts'
import type { Output, RuleParameters } from './aggregation.ts'
import type { Bucket } from './bucket.ts'
import type { Aggregator } from './aggregator.ts'

export const MAGIC = 'EMONAGGR'
export const VERSION = 2
export const HEADER_BYTES = 12
export const RECORD_HEADER_BYTES = 8

export const Entry = {
  rule: 1,
  output: 2,
  rows: 3,
  values: 4,
  closed: 5,
  sender: 6,
  emitted: 7,
} as const

const FILE_NAME = /^aggregations-(\d{8,})\.journal$/

export function journalName(number: number): string {
  return `aggregations-${String(number).padStart(8, '0')}.journal`
}

/** The number in a journal's name; undefined for other files. */
export function journalNumber(name: string): number | undefined {
  const found = FILE_NAME.exec(name)
  return found ? Number(found[1]) : undefined
}

export function encodeHeader(out: ByteWriter): void {
  out.raw(toUtf8(MAGIC))
  out.u32(VERSION)
}

export function beginRecord(out: ByteWriter): number {
  return out.skip(RECORD_HEADER_BYTES)
}

export function endRecord(out: ByteWriter, at: number): void {
  const payload = out.written().subarray(at + RECORD_HEADER_BYTES)
  out.patchU32(at, payload.length)
  out.patchU32(at + 4, crc32(payload))
}

export function encodeRule(out: ByteWriter, number: number, rule: RuleParameters): void {
  const json = toUtf8(JSON.stringify(rule))
  out.u8(Entry.rule)
  out.u32(number)
  out.u32(json.length)
  out.raw(json)
}

export function encodeOutput(out: ByteWriter, number: number, output: Output): void {
  const name = Buffer.from(output.name, 'latin1')
  out.u8(Entry.output)
  out.u32(number)
  out.u32(output.id)
  out.u16(output.computation)
  out.u16(name.length)
  out.raw(name)
}

export function encodeRows(
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

export function encodeClosed(out: ByteWriter, number: number, start: number): void {
  out.u8(Entry.closed)
  out.u32(number)
  out.f64(start)
}

export function encodeEmitted(out: ByteWriter, number: number, bucket: Bucket): void {
  const { start, emittedRows, countedRows, journalledEmitted } = bucket
  const rows = Math.max(emittedRows, countedRows)
  if (rows === journalledEmitted) return
  out.u8(Entry.emitted)
  out.u32(number)
  out.f64(start)
  out.u32(rows)
  bucket.journalledEmitted = rows
}

export function encodeSenders(
  out: ByteWriter,
  aggregator: Aggregator,
  senders: Iterable<string>,
): void {
  for (const sender of senders) {
    out.u8(Entry.sender)
    out.text16(sender)
    out.u64(aggregator.sequences.get(sender)!)
  }
}
