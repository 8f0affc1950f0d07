/**
 * Writes a block: extents as they come, then the index. The file has another name until it is whole and
 * synced; a crash leaves only that, which the next start removes.
 */

import { dirname } from 'node:path'
import type { ByteWriter } from '../../lib/bytes.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import { BLOCK_HEADER_BYTES, blockHeader, encodeBlockEnd } from './block-format.ts'
import { ExtentIndex } from './extent-format.ts'

export class BlockWriter {
  private readonly disk: Disk
  private readonly path: string
  private readonly aside: string
  private readonly step: number
  private readonly file: DiskFile
  private readonly index = new ExtentIndex()
  private length = BLOCK_HEADER_BYTES

  constructor(disk: Disk, path: string, step: number) {
    this.disk = disk
    this.path = path
    this.aside = `${path}.new`
    this.step = step
    disk.remove(this.aside)
    this.file = disk.open(this.aside, 'create')
    try {
      this.file.append(blockHeader())
    } catch (error) {
      this.abandon()
      throw error
    }
  }

  append(extents: ByteWriter): void {
    this.file.append(extents.written())
    this.index.pushAll(this.length, extents.written())
    this.length += extents.length
  }

  /** Puts the block in its place, synced; returns its bytes. */
  async finish(): Promise<number> {
    const end = encodeBlockEnd(this.index, this.step)
    this.file.append(end)
    await this.file.sync()
    this.file.close()
    this.disk.rename(this.aside, this.path)
    await this.disk.syncDirAsync(dirname(this.path))
    return this.length + end.length
  }

  /** Gives up, also when `finish` failed: nothing is left of it. */
  abandon(): void {
    this.file.close()
    this.disk.remove(this.aside)
    this.disk.remove(this.path)
  }
}
