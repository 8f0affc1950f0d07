/**
 * Puts one message into the queue, as it arrives: created exclusively with mode 0600, written in parts,
 * ended, marked complete with mode 0700, synced once; only then may anybody be told 250 (reference:
 * Postfix's mail_stream.c). A small message is one write.
 *
 * Memory is bounded by one part. Whatever fails, `abort` or a failed `commit` leave no file behind; after
 * a kill the file has no END and is swept away at the next start.
 */

import { ByteWriter } from '../lib/bytes.ts'
import type { Disk, DiskFile } from '../lib/disk.ts'
import { QueueFile, SMALL_BYTES_MAX } from './queue-file.ts'
import {
  END_FLAG_EIGHT_BIT,
  type Envelope,
  MODE_COMPLETE,
  MODE_WRITING,
  PART_BYTES_MAX,
  RecordType,
  writeEnd,
  writeFileHeader,
  writeJsonRecord,
  writeRecord,
} from './queue-format.ts'

export class QueueWriter {
  readonly id: string
  readonly path: string
  private readonly disk: Disk
  private readonly part: ByteWriter
  private readonly out: ByteWriter
  private file: DiskFile | undefined
  private bytes: number
  private eightBit: boolean
  private sentBy: Envelope | undefined

  constructor(disk: Disk, place: { id: string; path: string }) {
    this.disk = disk
    this.id = place.id
    this.path = place.path
    this.part = new ByteWriter(4096)
    this.out = new ByteWriter(8192)
    this.file = undefined
    this.bytes = 0
    this.eightBit = false
    this.sentBy = undefined
  }

  /** Must be called first, once. */
  envelope(envelope: Envelope): void {
    this.sentBy = envelope
    writeFileHeader(this.out)
    writeJsonRecord(this.out, RecordType.envelope, envelope)
  }

  /** Bytes of the message so far. */
  get messageBytes(): number {
    return this.bytes
  }

  /** What was committed, if it was small: saves reading it back. */
  fresh(): QueueFile | undefined {
    const message = this.part.written()
    if (!this.sentBy || message.length !== this.bytes || this.bytes > SMALL_BYTES_MAX) {
      return undefined
    }
    const { sentBy: envelope, eightBit } = this
    return QueueFile.fresh(this.disk, this.path, { envelope, message, eightBit })
  }

  write(bytes: Uint8Array): void {
    if (!this.eightBit) this.eightBit = hasEightBit(bytes)
    let rest = bytes
    while (rest.length > 0) {
      const taken = rest.subarray(0, PART_BYTES_MAX - this.part.length)
      this.part.raw(taken)
      this.bytes += taken.length
      rest = rest.subarray(taken.length)
      if (this.part.length === PART_BYTES_MAX) this.flush()
    }
  }

  /** Resolves when the message survives a power cut; rejects with the file gone. */
  async commit(): Promise<void> {
    try {
      if (this.part.length > 0) writeRecord(this.out, RecordType.part, this.part.written())
      const flags = this.eightBit ? END_FLAG_EIGHT_BIT : 0
      writeEnd(this.out, { messageBytes: this.bytes, flags })
      this.file ??= await this.disk.openAsync(this.path, 'create', MODE_WRITING)
      const { file } = this
      file.append(this.out.written())
      file.setMode(MODE_COMPLETE)
      await file.sync()
      file.close()
    } catch (error) {
      this.abort()
      throw error
    }
  }

  abort(): void {
    if (!this.file) return
    this.file.close()
    this.file = undefined
    this.disk.remove(this.path)
  }

  private flush(): void {
    writeRecord(this.out, RecordType.part, this.part.written())
    this.file ??= this.disk.open(this.path, 'create', MODE_WRITING)
    this.file.append(this.out.written())
    this.part.reset()
    this.out.reset()
  }
}

function hasEightBit(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i]! > 127) return true
  return false
}
