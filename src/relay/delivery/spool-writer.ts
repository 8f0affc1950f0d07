/**
 * Appends batches to a spool's newest segment (spool-format.ts). A writer is for one segment; it never
 * continues a file that an earlier process began. Each batch goes to the disk in one write, so a kill
 * leaves whole records; `sync` is for the power cut.
 *
 * A segment brings the names that its points use and no others: a table of a million names would fill
 * several segments by itself. So it has a table of its own, and ids are translated on the way.
 */

import { ByteWriter } from '../../lib/bytes.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import { NameTable } from '../../ipc/points-sender.ts'
import { viewOf } from './copy-bytes.ts'
import {
  appendBatch,
  appendNames,
  appendSegmentHeader,
  BATCH_HEADER_BYTES,
  type Batch,
} from './spool-format.ts'

const ID_BYTES = 4

export class SpoolWriter {
  readonly path: string
  private readonly file: DiskFile
  private readonly out: ByteWriter
  /** The table that the last batch spoke of. */
  private names: NameTable | undefined
  /** By id of that table: one more than the id in the segment's table, 0: not there yet. */
  private ownIds: Uint32Array
  private own: NameTable
  private ownWritten: number
  length: number

  constructor(disk: Disk, path: string) {
    this.path = path
    this.file = disk.open(path, 'create')
    this.out = new ByteWriter(4096)
    this.names = undefined
    this.ownIds = new Uint32Array(0)
    this.own = new NameTable()
    this.ownWritten = 0
    this.length = 0
    appendSegmentHeader(this.out)
  }

  /** Throws what the disk throws; a part may then have been written, and the writer is of no more use. */
  append(batch: Batch): void {
    const { out } = this
    appendBatch(out, batch.names ? this.translated(batch, batch.names) : batch)
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

  /** The frame with ids of the segment's own table; names that are new there are written before it. */
  private translated(batch: Batch, names: NameTable): Batch {
    if (this.names !== names) this.begin(names)
    if (this.ownIds.length < batch.nameCount) this.growOwnIds(batch.nameCount)
    const { own, ownIds } = this
    const bytes = batch.bytes.slice()
    const view = viewOf(bytes)
    const end = BATCH_HEADER_BYTES + batch.count * ID_BYTES
    for (let at = BATCH_HEADER_BYTES; at < end; at += ID_BYTES) {
      const id = view.getUint32(at, true)
      if (ownIds[id] === 0) ownIds[id] = own.add(names.name(id)) + 1
      view.setUint32(at, ownIds[id]! - 1, true)
    }
    if (own.count > this.ownWritten) {
      appendNames(this.out, own, { from: this.ownWritten, to: own.count })
      this.ownWritten = own.count
    }
    return { ...batch, bytes }
  }

  private begin(names: NameTable): void {
    this.names = names
    this.ownIds = new Uint32Array(0)
    this.own = new NameTable()
    this.ownWritten = 0
  }

  private growOwnIds(count: number): void {
    const grown = new Uint32Array(Math.max(count, this.ownIds.length * 2))
    grown.set(this.ownIds)
    this.ownIds = grown
  }
}
