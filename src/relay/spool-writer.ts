/**
 * Appends batches to a spool's newest segment (spool-format.ts). A writer is for one segment; it never
 * continues a file that an earlier process began. Each batch goes to the disk in one write, so a kill
 * leaves whole records; `sync` is for the power cut.
 */

import { ByteWriter } from '../lib/bytes.ts'
import type { Disk, DiskFile } from '../lib/disk.ts'
import type { NameTable } from '../ipc/points-sender.ts'
import { appendBatch, appendNames, appendSegmentHeader, type Batch } from './spool-format.ts'

export class SpoolWriter {
  readonly path: string
  private readonly file: DiskFile
  private readonly out: ByteWriter
  private names: NameTable | undefined
  private namesWritten: number
  length: number

  constructor(disk: Disk, path: string) {
    this.path = path
    this.file = disk.open(path, 'create')
    this.out = new ByteWriter(4096)
    this.names = undefined
    this.namesWritten = 0
    this.length = 0
    appendSegmentHeader(this.out)
  }

  /** Throws what the disk throws; a part may then have been written, and the writer is of no more use. */
  append(batch: Batch): void {
    const { out } = this
    if (batch.names) this.appendNewNames(batch.names, batch.nameCount)
    appendBatch(out, batch)
    this.file.append(out.written())
    this.length += out.length
    out.reset()
  }

  sync(): Promise<void> {
    return this.file.sync()
  }

  syncNow(): void {
    this.file.syncNow()
  }

  close(): void {
    this.file.close()
  }

  private appendNewNames(names: NameTable, count: number): void {
    if (this.names !== names) {
      this.names = names
      this.namesWritten = 0
      appendNames(this.out, names, { from: 0, to: count })
    } else if (count > this.namesWritten) {
      appendNames(this.out, names, { from: this.namesWritten, to: count })
    }
    this.namesWritten = Math.max(this.namesWritten, count)
  }
}
