/** Text that is built as bytes: JSON, CSV and raw answers of millions of numbers without a string for each. */

import { NUMBER_BYTES_MAX, writeNumber } from '../../lib/number-text.ts'

const encoder = new TextEncoder()

export class TextBuffer {
  bytes: Uint8Array<ArrayBuffer>
  view: DataView
  length: number

  constructor(capacity = 4_096) {
    this.bytes = new Uint8Array(capacity)
    this.view = new DataView(this.bytes.buffer)
    this.length = 0
  }

  /** Hands out what was written, valid until the next write; the buffer starts anew. */
  take(): Uint8Array<ArrayBuffer> {
    const written = this.bytes.subarray(0, this.length)
    this.length = 0
    return written
  }

  /** Room for `count` more bytes at `length`. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.bytes.length) return
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2))
    larger.set(this.bytes.subarray(0, this.length))
    this.bytes = larger
    this.view = new DataView(larger.buffer)
  }

  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }

  text(text: string): void {
    this.reserve(text.length * 3)
    this.length += encoder.encodeInto(text, this.bytes.subarray(this.length)).written
  }

  /** A text in quotes, as JSON has it. */
  json(value: unknown): void {
    this.text(JSON.stringify(value))
  }

  /** As `String` prints it. */
  number(value: number): void {
    this.reserve(NUMBER_BYTES_MAX)
    this.length = writeNumber(this.view, this.length, value)
  }
}
