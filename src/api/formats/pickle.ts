/**
 * Python's pickle, protocol 2 (Lib/pickletools.py), as much of it as answers need. graphite-web reads it
 * from other graphite-webs, and so do clients of its `format=pickle`.
 */

import { ByteWriter, toUtf8 } from '../../lib/bytes.ts'
import type { Packable } from './msgpack.ts'

const PROTOCOL = 0x80
const STOP = 0x2e
const NONE = 0x4e
const TRUE = 0x88
const FALSE = 0x89
const INT = 0x4a
const FLOAT = 0x47
const TEXT = 0x58
const EMPTY_LIST = 0x5d
const EMPTY_DICT = 0x7d
const MARK = 0x28
const APPENDS = 0x65
const SETITEMS = 0x75

/** A Float64Array is a list of floats in which NaN is None. */
export function encodePickle(value: unknown): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(4_096)
  out.u8(PROTOCOL)
  out.u8(2)
  append(out, value as Packable)
  out.u8(STOP)
  return out.written() as Uint8Array<ArrayBuffer>
}

function append(out: ByteWriter, value: Packable): void {
  if (value === null) out.u8(NONE)
  else if (typeof value === 'boolean') out.u8(value ? TRUE : FALSE)
  else if (typeof value === 'number') appendNumber(out, value)
  else if (typeof value === 'string') appendText(out, value)
  else if (value instanceof Float64Array) appendValues(out, value)
  else if (value instanceof Map) {
    out.u8(EMPTY_DICT)
    out.u8(MARK)
    for (const [key, member] of value as ReadonlyMap<string, Packable>) {
      appendText(out, key)
      append(out, member)
    }
    out.u8(SETITEMS)
  } else {
    out.u8(EMPTY_LIST)
    out.u8(MARK)
    for (const item of value as readonly Packable[]) append(out, item)
    out.u8(APPENDS)
  }
}

const scratch = new DataView(new ArrayBuffer(8))

function appendNumber(out: ByteWriter, value: number): void {
  if (Number.isInteger(value) && value >= -0x8000_0000 && value <= 0x7fff_ffff) {
    out.u8(INT)
    out.u32(value >>> 0)
  } else appendFloat(out, value)
}

function appendFloat(out: ByteWriter, value: number): void {
  out.u8(FLOAT)
  scratch.setFloat64(0, value)
  out.raw(new Uint8Array(scratch.buffer))
}

function appendValues(out: ByteWriter, values: Float64Array): void {
  out.u8(EMPTY_LIST)
  out.u8(MARK)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value === value) appendFloat(out, value)
    else out.u8(NONE)
  }
  out.u8(APPENDS)
}

function appendText(out: ByteWriter, text: string): void {
  const bytes = toUtf8(text)
  out.u8(TEXT)
  out.u32(bytes.length)
  out.raw(bytes)
}
