/**
 * Reads a queue file (queue-format.ts): its envelope, where its parts lie, its state.
 *
 * Opening walks the records' headers and checks all but the message's own bytes; `verify` checks those
 * too, and nothing is delivered before it has. Throws `CorruptionError` for damage, `IncompleteError`
 * where the END is missing: such a message was never acknowledged.
 */

import { ByteReader } from '../lib/bytes.ts'
import { CorruptionError } from '../lib/corruption.ts'
import type { Disk, DiskFile } from '../lib/disk.ts'
import {
  checkFileHeader,
  END_FLAG_EIGHT_BIT,
  type Envelope,
  FILE_HEADER_BYTES,
  PART_BYTES_MAX,
  parseJson,
  readRecordHeader,
  readRecordPayload,
  RECORD_EXTRA_BYTES,
  RECORD_HEADER_BYTES,
  RecordType,
  type State,
} from './queue-format.ts'

/** The writer did not get as far as END. */
export class IncompleteError extends Error {
  override readonly name = 'IncompleteError'
}

/** A message up to this stays in memory while it is being tried. */
export const SMALL_BYTES_MAX = 16 * 1024
const START_BYTES = 32 * 1024

/** What a walk over a file finds. */
interface Contents {
  readonly envelope: Envelope
  readonly state: State | undefined
  readonly messageBytes: number
  readonly eightBit: boolean
  readonly soundBytes: number
  readonly parts: readonly Part[]
  readonly small: Uint8Array | undefined
}

interface Part {
  readonly offset: number
  readonly length: number
}

export class QueueFile {
  readonly envelope: Envelope
  /** The last state; undefined when nothing was tried yet. */
  readonly state: State | undefined
  readonly messageBytes: number
  /** It has bytes above 127. */
  readonly eightBit: boolean
  /** Where the last whole record ends: what lies behind it is torn. */
  readonly soundBytes: number
  private readonly disk: Disk
  private readonly path: string
  private readonly parts: readonly Part[]
  /** A small message, once it has been verified. */
  private small: Uint8Array | undefined

  private constructor(disk: Disk, path: string, contents: Contents) {
    this.disk = disk
    this.path = path
    this.envelope = contents.envelope
    this.state = contents.state
    this.messageBytes = contents.messageBytes
    this.eightBit = contents.eightBit
    this.soundBytes = contents.soundBytes
    this.parts = contents.parts
    this.small = contents.small
  }

  static open(disk: Disk, path: string): QueueFile {
    const file = disk.open(path, 'read')
    try {
      return new QueueFile(disk, path, new Walk(file).run())
    } finally {
      file.close()
    }
  }

  /** One that has just been written and is still in memory. */
  static fresh(
    disk: Disk,
    path: string,
    written: { envelope: Envelope; message: Uint8Array; eightBit: boolean },
  ): QueueFile {
    const { envelope, message, eightBit } = written
    return new QueueFile(disk, path, {
      envelope,
      state: undefined,
      messageBytes: message.length,
      eightBit,
      soundBytes: 0,
      parts: [],
      small: message,
    })
  }

  /** Reads every byte of the message and throws `CorruptionError` at the first that is not as written. */
  verify(): void {
    for (const part of this.chunks()) if (part.length > PART_BYTES_MAX) return
  }

  /** The message in pieces of at most 256 KiB. The file must not move meanwhile. */
  *chunks(): Generator<Uint8Array> {
    if (this.small) {
      yield this.small
      return
    }
    const file = this.disk.open(this.path, 'read')
    try {
      for (const { offset, length } of this.parts) {
        const payload = readRecordPayload(file.read(offset, length + RECORD_EXTRA_BYTES))
        if (!payload) throw changed(this.path, offset)
        yield payload
      }
    } finally {
      file.close()
    }
  }
}

function changed(path: string, offset: number): CorruptionError {
  return new CorruptionError(path, offset, 'the message has changed since it was queued')
}

/** One pass over the records' headers. */
class Walk {
  private envelope: Envelope | undefined
  private state: State | undefined
  private messageBytes = 0
  private eightBit = false
  private offset = FILE_HEADER_BYTES
  private ended = false
  private readonly parts: Part[] = []
  private readonly file: DiskFile
  private readonly size: number
  /** Its first bytes: all of a small file. */
  private readonly start: Uint8Array

  constructor(file: DiskFile) {
    this.file = file
    this.size = file.size()
    this.start = file.read(0, Math.min(this.size, START_BYTES))
  }

  run(): Contents {
    if (this.size < FILE_HEADER_BYTES) throw new IncompleteError(`${this.file.path} is too short`)
    checkFileHeader(this.file.path, this.read(0, FILE_HEADER_BYTES))
    while (this.offset < this.size && this.step());
    const { envelope, state, messageBytes, eightBit, parts } = this
    if (!envelope || !this.ended) throw new IncompleteError(`${this.file.path} has no end record`)
    const first = parts.length === 1 ? parts[0] : undefined
    const small = first && first.length <= SMALL_BYTES_MAX ? this.payloadOf(first) : undefined
    return { envelope, state, messageBytes, eightBit, soundBytes: this.offset, parts, small }
  }

  private payloadOf({ offset, length }: Part): Uint8Array {
    const payload = readRecordPayload(this.read(offset, length + RECORD_EXTRA_BYTES))
    if (!payload) throw changed(this.file.path, offset)
    return payload
  }

  /** Takes the record at `offset`; false when it is torn. */
  private step(): boolean {
    const header = readRecordHeader(this.read(this.offset, RECORD_HEADER_BYTES))
    const total = RECORD_EXTRA_BYTES + (header?.length ?? 0)
    if (!header || this.offset + total > this.size) return false
    if (header.type === RecordType.part) {
      if (!this.envelope || this.ended) throw this.corrupt('a part out of place')
      this.parts.push({ offset: this.offset, length: header.length })
      this.messageBytes += header.length
    } else {
      const payload = readRecordPayload(this.read(this.offset, total))
      if (!payload) return false
      this.take(header.type, payload)
    }
    this.offset += total
    return true
  }

  private take(type: number, payload: Uint8Array): void {
    if (type === RecordType.envelope) {
      if (this.envelope) throw this.corrupt('a second envelope')
      this.envelope = parseJson<Envelope>(payload)
    } else if (type === RecordType.end) {
      if (!this.envelope || this.ended) throw this.corrupt('an end out of place')
      const reader = new ByteReader(payload)
      const bytes = reader.u64()
      if (bytes !== this.messageBytes) {
        throw this.corrupt(`holds ${this.messageBytes} of ${bytes} bytes`)
      }
      this.eightBit = (reader.u8() & END_FLAG_EIGHT_BIT) !== 0
      this.ended = true
    } else {
      if (!this.ended) throw this.corrupt('a state before the end')
      this.state = parseJson<State>(payload)
    }
  }

  private read(offset: number, length: number): Uint8Array {
    const end = offset + length
    return end <= this.start.length
      ? this.start.subarray(offset, end)
      : this.file.read(offset, length)
  }

  private corrupt(problem: string): CorruptionError {
    return new CorruptionError(this.file.path, this.offset, problem)
  }
}
