/**
 * Reads a block: its index once it is needed, extents one at a time. Handle and index are given back by
 * `release` and come again with the next use, so that thousands of blocks cost nothing while nobody looks.
 */

import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import {
  BLOCK_HEADER_BYTES,
  BLOCK_TRAILER_BYTES,
  checkBlockHeader,
  decodeBlockIndex,
  decodeBlockTrailer,
} from './block-format.ts'
import { FilePool } from './file-pool.ts'
import { ExtentIndex } from './extent-format.ts'
import { walkExtents } from './extent-walk.ts'

export class BlockFile {
  readonly path: string
  readonly generation: number
  readonly bytes: number
  readonly isBusy = false
  readonly isSealed = true
  private readonly disk: Disk
  private readonly pool: FilePool
  private file: DiskFile | undefined
  private loaded: ExtentIndex | undefined
  /** What was wrong with the index when it was read. */
  damage: CorruptionError | undefined

  constructor(
    disk: Disk,
    path: string,
    block: { generation: number; bytes: number; pool?: FilePool },
  ) {
    this.pool = block.pool ?? new FilePool()
    this.disk = disk
    this.path = path
    this.generation = block.generation
    this.bytes = block.bytes
  }

  /** Made anew from the extents when the file's own is damaged. Throws `NewerVersionError`. */
  get index(): ExtentIndex {
    if (this.loaded) return this.loaded
    try {
      this.loaded = this.readIndex()
    } catch (error) {
      if (!(error instanceof CorruptionError)) throw error
      this.damage = error
      this.loaded = new ExtentIndex()
      const file = this.open()
      walkExtents(file, { from: BLOCK_HEADER_BYTES, end: file.size() }, this.loaded)
    }
    return this.loaded
  }

  /** The bytes of extent `at`. */
  read(at: number): Uint8Array {
    return this.open().read(this.index.offsets[at]!, this.index.bytes[at]!)
  }

  release(): void {
    this.file?.close()
    this.file = undefined
    this.loaded = undefined
    this.pool.forget(this)
  }

  private readIndex(): ExtentIndex {
    const file = this.open()
    const size = file.size()
    checkBlockHeader(file.read(0, BLOCK_HEADER_BYTES), this.path)
    const trailer = decodeBlockTrailer(
      file.read(Math.max(0, size - BLOCK_TRAILER_BYTES), BLOCK_TRAILER_BYTES),
      this.path,
      size,
    )
    const offset = size - BLOCK_TRAILER_BYTES - trailer.indexBytes
    const bytes = file.read(offset, trailer.indexBytes)
    return decodeBlockIndex(bytes, trailer.checksum, this.path, offset)
  }

  private open(): DiskFile {
    this.file ??= this.disk.open(this.path, 'read')
    const { file } = this
    this.pool.use(this)
    return file
  }
}
