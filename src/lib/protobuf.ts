/**
 * The little of protobuf (proto3 wire format) that go-graphite's programs speak: varints, 64- and 32-bit numbers,
 * length-delimited fields, packed columns. Numbers are non-negative safe integers. As proto3 has it, fields that
 * are zero or empty are left out, except within packed columns.
 */

import { ByteReader, ByteWriter, fromUtf8, toUtf8 } from './bytes.ts'

const VARINT = 0
const FIXED64 = 1
const BYTES = 2
const FIXED32 = 5

export class ProtoWriter {
  private readonly out: ByteWriter

  constructor(capacity = 256) {
    this.out = new ByteWriter(capacity)
  }

  number(field: number, value: number): void {
    if (value === 0) return
    this.out.varint(field * 8 + VARINT)
    this.out.varint(value)
  }

  bool(field: number, value: boolean): void {
    this.number(field, Number(value))
  }

  float(field: number, value: number): void {
    if (value === 0) return
    this.out.varint(field * 8 + FIXED32)
    this.out.f32(value)
  }

  text(field: number, value: string): void {
    if (value !== '') this.bytes(field, toUtf8(value))
  }

  bytes(field: number, value: Uint8Array): void {
    this.lengthOf(field, value.length)
    this.out.raw(value)
  }

  /** What stands before a field of so many bytes, which the caller adds. */
  lengthOf(field: number, bytes: number): void {
    this.out.varint(field * 8 + BYTES)
    this.out.varint(bytes)
  }

  message(field: number, write: (message: ProtoWriter) => void): void {
    const message = new ProtoWriter()
    write(message)
    this.bytes(field, message.done())
  }

  /** A packed column of doubles. */
  doubles(field: number, values: Float64Array): void {
    if (values.length === 0) return
    this.bytes(field, new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  }

  /** A packed column of bools, true where `test` holds. */
  flags(field: number, values: Float64Array, test: (value: number) => boolean): void {
    if (values.length > 0)
      this.bytes(
        field,
        Uint8Array.from(values, (value) => Number(test(value))),
      )
  }

  done(): Uint8Array<ArrayBuffer> {
    return new Uint8Array(this.out.written())
  }
}

/** A whole message. */
export function protoMessage(write: (message: ProtoWriter) => void): Uint8Array<ArrayBuffer> {
  const message = new ProtoWriter()
  write(message)
  return message.done()
}

export interface ProtoField {
  readonly field: number
  /** 0 when the field holds bytes. */
  readonly number: number
  /** Empty when the field holds a number. */
  readonly bytes: Uint8Array
}

const NOTHING = new Uint8Array(0)

/** The fields of a message in order; throws `RangeError` when it is none. */
export function* protoFields(message: Uint8Array): Generator<ProtoField> {
  const reader = new ByteReader(message)
  while (reader.remaining > 0) {
    const key = reader.varint()
    const field = Math.floor(key / 8)
    const type = key % 8
    if (type === VARINT) yield { field, number: reader.varint(), bytes: NOTHING }
    else if (type === BYTES) yield { field, number: 0, bytes: reader.raw(reader.varint()) }
    else if (type === FIXED64) yield { field, number: reader.f64(), bytes: NOTHING }
    else if (type === FIXED32) yield { field, number: reader.f32(), bytes: NOTHING }
    else throw new RangeError(`wire type ${type}`)
  }
}

export function protoText(field: ProtoField): string {
  return fromUtf8(field.bytes)
}
