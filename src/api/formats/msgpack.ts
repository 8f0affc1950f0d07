/**
 * MessagePack (spec.md of msgpack/msgpack), as much of it as answers need: dictionaries, arrays, texts, numbers,
 * null.
 */

import { ByteWriter, toUtf8 } from '../../lib/bytes.ts'

type Packable =
  | null
  | boolean
  | number
  | string
  | Float64Array
  | readonly Packable[]
  | { readonly [key: string]: Packable }

/** A Float64Array is a list of floats in which NaN is nil. */
export function encodeMsgpack(value: Packable): Uint8Array<ArrayBuffer> {
  const out = new ByteWriter(4_096)
  append(out, value)
  return out.written() as Uint8Array<ArrayBuffer>
}

function append(out: ByteWriter, value: Packable): void {
  if (value === null) out.u8(0xc0)
  else if (value === true) out.u8(0xc3)
  else if (value === false) out.u8(0xc2)
  else if (typeof value === 'number') appendNumber(out, value)
  else if (typeof value === 'string') appendText(out, value)
  else if (value instanceof Float64Array) appendValues(out, value)
  else if (isList(value)) {
    appendLength(out, value.length, { fix: 0x90, fixMax: 15, sixteen: 0xdc })
    for (const item of value) append(out, item)
  } else {
    const members = Object.entries(value)
    appendLength(out, members.length, { fix: 0x80, fixMax: 15, sixteen: 0xde })
    for (const [key, member] of members) {
      appendText(out, key)
      append(out, member)
    }
  }
}

function isList(value: Packable): value is readonly Packable[] {
  return Array.isArray(value)
}

function appendNumber(out: ByteWriter, value: number): void {
  if (!Number.isSafeInteger(value)) return appendFloat(out, value)
  if (value >= 0 && value < 0x80) out.u8(value)
  else if (value < 0 && value >= -0x20) out.u8(0x100 + value)
  else if (value >= 0 && value <= 0xffff_ffff) {
    out.u8(0xce)
    appendBigEndian(out, value)
  } else appendFloat(out, value)
}

const scratch = new DataView(new ArrayBuffer(8))

function appendFloat(out: ByteWriter, value: number): void {
  out.u8(0xcb)
  scratch.setFloat64(0, value)
  out.raw(new Uint8Array(scratch.buffer))
}

function appendBigEndian(out: ByteWriter, value: number): void {
  scratch.setUint32(0, value)
  out.raw(new Uint8Array(scratch.buffer, 0, 4))
}

function appendValues(out: ByteWriter, values: Float64Array): void {
  appendLength(out, values.length, { fix: 0x90, fixMax: 15, sixteen: 0xdc })
  const view = new DataView(new ArrayBuffer(9))
  view.setUint8(0, 0xcb)
  const bytes = new Uint8Array(view.buffer)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value === value) {
      view.setFloat64(1, value)
      out.raw(bytes)
    } else out.u8(0xc0)
  }
}

function appendText(out: ByteWriter, text: string): void {
  const bytes = toUtf8(text)
  if (bytes.length > 31 && bytes.length < 0x100) {
    out.u8(0xd9)
    out.u8(bytes.length)
  } else appendLength(out, bytes.length, { fix: 0xa0, fixMax: 31, sixteen: 0xda })
  out.raw(bytes)
}

/** The 32-bit form's code is the 16-bit form's plus one, for texts, lists and maps alike. */
function appendLength(
  out: ByteWriter,
  length: number,
  codes: { fix: number; fixMax: number; sixteen: number },
): void {
  if (length <= codes.fixMax) out.u8(codes.fix | length)
  else if (length <= 0xffff) {
    out.u8(codes.sixteen)
    out.u8(length >> 8)
    out.u8(length & 0xff)
  } else {
    out.u8(codes.sixteen + 1)
    appendBigEndian(out, length)
  }
}
