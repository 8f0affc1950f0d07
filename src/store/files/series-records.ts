/**
 * Records about series, in the write-ahead log and in the series log (wal-format.ts has what is around them).
 *
 * ```
 * DEFINE    u32 id, rule, u16 length, path
 * RENAME    u32 id, u16 length, path
 * REMOVE    u32 id
 * REDEFINE  u32 id, u32 from, rule                                  to be in force from that time on, or later
 * SWITCH    u32 id, u32 from                                        the rule of REDEFINE is in force, from then on
 * rule      = u8 method, u8 flags (1: pinned), f32 xFilesFactor, u8 archives, repeated: u32 step, u32 count
 * ```
 */

import { ByteReader, type ByteWriter, fromUtf8, toUtf8, u32At } from '../../lib/bytes.ts'
import { AGGREGATION_METHODS } from '../../metric/consolidation.ts'
import type { Archive } from '../../metric/retention.ts'
import type { SeriesDefinition, SeriesRule } from '../engine.ts'
import { beginRecord, endRecord, RecordType } from './wal-format.ts'

/** In a DEFINE record: behind the id; without its archives, of which the last byte is the count. */
const RULE_AT = 4
const RULE_BYTES = 7
const ARCHIVE_BYTES = 8

function appendRule(dst: ByteWriter, rule: SeriesRule): void {
  dst.u8(AGGREGATION_METHODS.indexOf(rule.method))
  dst.u8(rule.pinned ? 1 : 0)
  dst.f32(rule.xFilesFactor)
  dst.u8(rule.archives.length)
  for (const { step, count } of rule.archives) {
    dst.u32(step)
    dst.u32(count)
  }
}

function readRule(reader: ByteReader): SeriesRule {
  const method = AGGREGATION_METHODS[reader.u8()]
  if (method === undefined) throw new RangeError('unknown aggregation method')
  const pinned = (reader.u8() & 1) === 1
  const xFilesFactor = reader.f32()
  const archives: Archive[] = []
  const count = reader.u8()
  for (let i = 0; i < count; i++) {
    const step = reader.u32()
    archives.push({ step, count: reader.u32() })
  }
  return { method, pinned, xFilesFactor, archives }
}

export function appendDefine(dst: ByteWriter, definition: SeriesDefinition): void {
  const at = beginRecord(dst, RecordType.define)
  dst.u32(definition.id)
  appendRule(dst, definition)
  appendPath(dst, definition.path)
  endRecord(dst, at)
}

export function decodeDefine(payload: Uint8Array): SeriesDefinition {
  const reader = new ByteReader(payload)
  const id = reader.u32()
  const rule = readRule(reader)
  return { id, ...rule, path: readPath(reader) }
}

/** Where a DEFINE record, of which a store has as many as series, has its parts: it is read in place. */
export class DefineReader {
  id = 0
  /** The same object as before when the record has the same rule. */
  rule!: SeriesRule
  /** The path is `payload[pathFrom, pathTo)`. */
  pathFrom = 0
  pathTo = 0
  private ruleBytes: Uint8Array = new Uint8Array(0)

  read(payload: Uint8Array): void {
    const archives = payload[RULE_AT + RULE_BYTES - 1] ?? 0
    const ruleEnd = RULE_AT + RULE_BYTES + ARCHIVE_BYTES * archives
    const pathFrom = ruleEnd + 2
    if (payload.length < pathFrom) throw new RangeError('DEFINE record is cut short')
    const pathTo = pathFrom + (payload[ruleEnd]! | (payload[ruleEnd + 1]! << 8))
    if (payload.length < pathTo) throw new RangeError('path of a DEFINE record is cut short')
    if (!this.hasSameRule(payload, ruleEnd)) {
      this.rule = readRule(new ByteReader(payload, RULE_AT))
      this.ruleBytes = payload.slice(RULE_AT, ruleEnd)
    }
    this.id = u32At(payload, 0)
    this.pathFrom = pathFrom
    this.pathTo = pathTo
  }

  private hasSameRule(payload: Uint8Array, end: number): boolean {
    const { ruleBytes } = this
    if (ruleBytes.length !== end - RULE_AT) return false
    for (let i = 0; i < ruleBytes.length; i++)
      if (payload[RULE_AT + i] !== ruleBytes[i]) return false
    return true
  }
}

export function appendRename(dst: ByteWriter, id: number, path: string): void {
  const at = beginRecord(dst, RecordType.rename)
  dst.u32(id)
  appendPath(dst, path)
  endRecord(dst, at)
}

export function decodeRename(payload: Uint8Array): { id: number; path: string } {
  const reader = new ByteReader(payload)
  const id = reader.u32()
  return { id, path: readPath(reader) }
}

function appendPath(dst: ByteWriter, path: string): void {
  const bytes = toUtf8(path)
  dst.u16(bytes.length)
  dst.raw(bytes)
}

function readPath(reader: ByteReader): string {
  return fromUtf8(reader.raw(reader.u16()))
}

export function appendRemove(dst: ByteWriter, id: number): void {
  const at = beginRecord(dst, RecordType.remove)
  dst.u32(id)
  endRecord(dst, at)
}

export function decodeRemove(payload: Uint8Array): number {
  return new ByteReader(payload).u32()
}

export interface Redefinition {
  readonly id: number
  /** Unix time from which the rule is in force. */
  readonly from: number
  readonly rule: SeriesRule
}

export function appendRedefine(dst: ByteWriter, redefinition: Redefinition): void {
  const at = beginRecord(dst, RecordType.redefine)
  dst.u32(redefinition.id)
  dst.u32(redefinition.from)
  appendRule(dst, redefinition.rule)
  endRecord(dst, at)
}

export function decodeRedefine(payload: Uint8Array): Redefinition {
  const reader = new ByteReader(payload)
  const id = reader.u32()
  const from = reader.u32()
  return { id, from, rule: readRule(reader) }
}

export function appendSwitch(dst: ByteWriter, id: number, from: number): void {
  const at = beginRecord(dst, RecordType.switch)
  dst.u32(id)
  dst.u32(from)
  endRecord(dst, at)
}

export function decodeSwitch(payload: Uint8Array): { id: number; from: number } {
  const reader = new ByteReader(payload)
  return { id: reader.u32(), from: reader.u32() }
}
