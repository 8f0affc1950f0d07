/**
 * Python's pickle, protocol 2, as far as graphite-web's cluster protocol needs it: None, booleans, numbers, texts,
 * lists and dictionaries (pickletools.py says what each byte means). Columns of values are
 * written straight from their array, NaN as None.
 */

import { ByteWriter, toUtf8 } from './bytes.ts'

const OP = {
  proto: 0x80,
  stop: 0x2e,
  mark: 0x28,
  none: 0x4e,
  true: 0x88,
  false: 0x89,
  int: 0x4a,
  float: 0x47,
  text: 0x58,
  emptyList: 0x5d,
  appends: 0x65,
  emptyDict: 0x7d,
  setItems: 0x75,
} as const

export type Picklable =
  | null
  | boolean
  | number
  | string
  | Float64Array
  | readonly Picklable[]
  | { readonly [key: string]: Picklable }

/** A list, pickled. */
export function pickleList(members: Iterable<Picklable>): Uint8Array<ArrayBuffer> {
  const out = new PickleWriter()
  out.beginList()
  for (const member of members) out.write(member)
  out.endList()
  return out.take()
}

export class PickleWriter {
  private readonly out: ByteWriter
  private readonly double: DataView

  constructor() {
    this.out = new ByteWriter(1024)
    this.double = new DataView(new ArrayBuffer(8))
  }

  /** The start of a pickle that is one list; add its members with `write`, close it with `endList`. */
  beginList(): void {
    this.out.u8(OP.proto)
    this.out.u8(2)
    this.out.u8(OP.emptyList)
    this.out.u8(OP.mark)
  }

  endList(): void {
    this.out.u8(OP.appends)
    this.out.u8(OP.stop)
  }

  write(value: Picklable): void {
    if (value === null) this.out.u8(OP.none)
    else if (typeof value === 'boolean') this.out.u8(value ? OP.true : OP.false)
    else if (typeof value === 'number') this.number(value)
    else if (typeof value === 'string') this.text(value)
    else if (value instanceof Float64Array) this.column(value)
    else if (isList(value)) this.list(value)
    else this.dict(value)
  }

  /** What was written since the last call. */
  take(): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(this.out.written())
    this.out.reset()
    return bytes
  }

  private number(value: number): void {
    if (Number.isInteger(value) && Math.abs(value) < 0x8000_0000) {
      this.out.u8(OP.int)
      this.out.u32(value >>> 0)
    } else this.float(value)
  }

  private float(value: number): void {
    this.double.setFloat64(0, value)
    this.out.u8(OP.float)
    this.out.raw(new Uint8Array(this.double.buffer))
  }

  private text(value: string): void {
    const bytes = toUtf8(value)
    this.out.u8(OP.text)
    this.out.u32(bytes.length)
    this.out.raw(bytes)
  }

  private column(values: Float64Array): void {
    this.out.u8(OP.emptyList)
    this.out.u8(OP.mark)
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      if (value === value) this.float(value)
      else this.out.u8(OP.none)
    }
    this.out.u8(OP.appends)
  }

  private list(values: readonly Picklable[]): void {
    this.out.u8(OP.emptyList)
    this.out.u8(OP.mark)
    for (const value of values) this.write(value)
    this.out.u8(OP.appends)
  }

  private dict(values: { readonly [key: string]: Picklable }): void {
    this.out.u8(OP.emptyDict)
    this.out.u8(OP.mark)
    for (const [key, value] of Object.entries(values)) {
      this.text(key)
      this.write(value)
    }
    this.out.u8(OP.setItems)
  }
}

function isList(value: Picklable): value is readonly Picklable[] {
  return Array.isArray(value)
}
