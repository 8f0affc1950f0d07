/**
 * A file of extents that is only appended to: what came for one window since its last fold. For an open
 * window that is everything, for a sealed one its overlay. Extents count in the order in which they
 * stand: a later one's values win.
 *
 * ```
 * magic u32 "EEXT", u16 version, u16 0, extent (extent-format.ts) …
 * ```
 *
 * After a failed sync the kernel may have dropped what it was to write and call it clean, so what was not
 * synced is read back, verified and appended anew before the next one.
 *
 * The manifest says how many bytes are `committed`; what lies behind that at start is cut off before more is
 * appended, because the log still has it. The index is made by walking the headers.
 */

import { assert } from '../../lib/assert.ts'
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'
import { CorruptionError, NewerVersionError } from '../../lib/corruption.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import { FilePool } from './file-pool.ts'
import { ExtentIndex, isExtent } from './extent-format.ts'
import { walkExtents } from './extent-walk.ts'

export const EXTENT_FILE_MAGIC = 0x54584545
export const EXTENT_FILE_VERSION = 1
const HEADER_BYTES = 8

export class ExtentFile {
  readonly path: string
  readonly generation: number
  readonly isSealed = false
  readonly index = new ExtentIndex()
  /** What was wrong with the file when it was loaded. */
  damage: CorruptionError | undefined
  /** Bytes that are there. */
  length = HEADER_BYTES
  /** Bytes that the last sync found: what a manifest may count on. */
  synced = 0
  /** A sync was begun and did not end well. */
  private isSuspect = false
  private readonly disk: Disk
  private readonly pool: FilePool
  private file: DiskFile | undefined
  private isWritable = false

  constructor(disk: Disk, path: string, options: { generation: number; pool?: FilePool }) {
    const { generation, pool = new FilePool() } = options
    this.disk = disk
    this.pool = pool
    this.path = path
    this.generation = generation
  }

  /** The first `bytes` of a file that somebody else may have open; to be read only. */
  static view(disk: Disk, path: string, at: { generation: number; bytes: number }): ExtentFile {
    const file = new ExtentFile(disk, path, at)
    file.load(at.bytes)
    return file
  }

  /** Bytes up to the last whole extent of a file that nobody vouches for; 0 when there is none. */
  static wholeBytes(disk: Disk, path: string): number {
    const file = new ExtentFile(disk, path, { generation: 0 })
    try {
      const { index } = file
      file.load(file.open().size())
      let at = index.length - 1
      while (at >= 0 && !isExtent(file.read(at))) at--
      return at < 0 ? 0 : index.offsets[at]! + index.bytes[at]!
    } finally {
      file.release()
    }
  }

  /** Makes the file with its header; there is none when that fails. */
  create(): void {
    this.file = this.disk.open(this.path, 'create')
    try {
      this.file.append(fileHeader())
      this.isWritable = true
    } catch (error) {
      this.release()
      this.disk.remove(this.path)
      throw error
    }
  }

  /** Takes the first `committed` bytes of a file that is there, as far as they are whole (`damage`). */
  load(committed: number): void {
    const bytes = this.walk(committed)
    if (bytes < committed)
      this.damage ??= new CorruptionError(this.path, bytes, 'file is cut short')
    this.length = bytes
    this.synced = bytes
  }

  /** Appends whole extents, as `ExtentEncoder` made them. */
  append(extents: ByteWriter): void {
    const file = this.openToWrite()
    try {
      file.append(extents.written())
    } catch (error) {
      // What went in is cut off when it is opened to be written again.
      this.isWritable = false
      throw error
    }
    this.index.pushAll(this.length, extents.written())
    this.length += extents.length
  }

  /** The bytes of extent `at`. */
  read(at: number): Uint8Array {
    return this.open().read(this.index.offsets[at]!, this.index.bytes[at]!)
  }

  async sync(): Promise<void> {
    const length = this.length
    if (length === this.synced) return
    if (this.isSuspect) this.appendAgain()
    this.isSuspect = true
    await this.openToWrite().sync()
    this.isSuspect = false
    this.synced = length
  }

  /** Something waits for a sync. */
  get isBusy(): boolean {
    return this.length !== this.synced
  }

  /** Closes the handle; the next use opens it again. */
  release(): void {
    this.file?.close()
    this.file = undefined
    this.isWritable = false
    this.pool.forget(this)
  }

  /** What cannot be read back is in the log: the process ends, and the next start takes it from there. */
  private appendAgain(): void {
    const file = this.openToWrite()
    const from = Math.max(this.synced, HEADER_BYTES)
    const bytes = file.read(from, this.length - from)
    for (let at = this.index.length - 1; at >= 0 && this.index.offsets[at]! >= from; at--) {
      const offset = this.index.offsets[at]! - from
      const isWhole = isExtent(bytes.subarray(offset, offset + this.index.bytes[at]!))
      assert(isWhole, `${this.path}: what a failed sync was to write is gone`)
    }
    file.truncate(this.synced)
    if (this.synced === 0) file.append(fileHeader())
    file.append(bytes)
  }

  /** To read alone, so that a disk that was mounted read-only is read too. */
  private open(): DiskFile {
    this.file ??= this.disk.open(this.path, 'read')
    const { file } = this
    this.pool.use(this)
    return file
  }

  private openToWrite(): DiskFile {
    if (!this.isWritable) {
      const file = this.disk.open(this.path, 'append')
      this.file?.close()
      this.file = file
      // Behind what counts is what an append left that was never committed.
      if (file.size() > this.length) file.truncate(this.length)
      this.isWritable = true
    }
    return this.open()
  }

  /** Fills the index from the first bytes, as many as there are of `committed`; how many that is. */
  private walk(committed: number): number {
    const file = this.open()
    const end = Math.min(committed, file.size())
    const header = new ByteReader(file.read(0, HEADER_BYTES))
    if (header.remaining < HEADER_BYTES || header.u32() !== EXTENT_FILE_MAGIC)
      this.damage = new CorruptionError(this.path, 0, 'no header of an extent file')
    else {
      const version = header.u16()
      if (version > EXTENT_FILE_VERSION) {
        this.release()
        throw new NewerVersionError(this.path, version, EXTENT_FILE_VERSION)
      }
    }
    const damage = walkExtents(file, { from: HEADER_BYTES, end }, this.index)
    this.damage ??= damage
    return end
  }
}

function fileHeader(): Uint8Array {
  const header = new ByteWriter(HEADER_BYTES)
  header.u32(EXTENT_FILE_MAGIC)
  header.u16(EXTENT_FILE_VERSION)
  header.u16(0)
  return header.written()
}
