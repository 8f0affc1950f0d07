/**
 * Finds the extents of a file by their headers, one behind the other. Where none stands the next whole one is looked
 * for byte by byte, and verified: damage costs what it hit, not what lies behind. It may have hit the length of the
 * extent before, which then hides others, so that one is verified too.
 */

import { CorruptionError } from '../../lib/corruption.ts'
import type { DiskFile } from '../../lib/disk.ts'
import {
  EXTENT_HEADER_BYTES,
  type ExtentIndex,
  isExtent,
  parseExtentHeader,
} from './extent-format.ts'

const WALK_BYTES = 256 * 1024

/** Puts what is in bytes [from, end) into the index; answers the first damage. */
export function walkExtents(
  file: DiskFile,
  span: { readonly from: number; readonly end: number },
  index: ExtentIndex,
): CorruptionError | undefined {
  const { from, end } = span
  const window = new FileWindow(file, end)
  let damage: CorruptionError | undefined
  for (let at = from; at < end;) {
    const extent = parseExtentHeader(window.at(at, EXTENT_HEADER_BYTES))
    if (extent && at + extent.bytes <= end) {
      index.push(at, extent)
      at += extent.bytes
      continue
    }
    const last = index.length - 1
    const isMisled = last >= 0 && !isExtent(window.at(index.offsets[last]!, index.bytes[last]!))
    const wrong = isMisled ? index.offsets[last]! : at
    if (isMisled) index.length--
    damage ??= new CorruptionError(file.path, wrong, 'no whole extent where one should be')
    at = findExtent(window, wrong + 1)
  }
  return damage
}

/** Where the next whole extent starts; the end when there is none. */
function findExtent(window: FileWindow, from: number): number {
  for (let at = from; at < window.end; at++) {
    const extent = parseExtentHeader(window.at(at, EXTENT_HEADER_BYTES))
    if (!extent || at + extent.bytes > window.end) continue
    if (isExtent(window.at(at, extent.bytes))) return at
  }
  return window.end
}

/** The part of a file that was read last. */
class FileWindow {
  readonly end: number
  private readonly file: DiskFile
  private chunk: Uint8Array
  private chunkAt: number

  constructor(file: DiskFile, end: number) {
    this.file = file
    this.end = end
    this.chunk = new Uint8Array(0)
    this.chunkAt = 0
  }

  /** `count` bytes from `offset` on, fewer at the end; valid until the next call. */
  at(offset: number, count: number): Uint8Array {
    const wanted = Math.min(count, this.end - offset)
    if (offset < this.chunkAt || offset + wanted > this.chunkAt + this.chunk.length) {
      this.chunk = this.file.read(offset, Math.min(this.end - offset, Math.max(WALK_BYTES, count)))
      this.chunkAt = offset
    }
    return this.chunk.subarray(offset - this.chunkAt, offset - this.chunkAt + count)
  }
}
