/**
 * One window of one archive: the slots [firstSlot, firstSlot + slots) of all its series. It is read as
 * layers: the block, if it was sealed, then the extents that came since, in their order.
 *
 * ```
 *   open     extents, extents …                   what checkpoints append
 *   folding  [block +] extents │ extents          everything left of │ is being rewritten as one block
 *   sealed   block                                and its slots are rolled up: `settled`
 *   late     block + extents                      an overlay; folded again when it has grown
 * ```
 *
 * While slots of it are being rolled up it is `rolling`: some coarser slots are made of it already. That is so
 * again after a crash that a checkpoint had come before: the manifest that counts those coarser slots says so.
 *
 * Files that a fold replaced are removed when their last reader has left. A damaged extent is left out of
 * the answer, counted, and the next fold moves its file to corrupt/.
 */

import { CorruptionError } from '../../lib/corruption.ts'
import { isMissing } from '../../lib/disk.ts'
import type { BlockFile } from '../files/block-reader.ts'
import type { ExtentFile } from '../files/extent-file.ts'
import { type ExtentIndex, type ExtentReader, readExtentIds } from '../files/extent-format.ts'
import { findId, lowerBound, type SlotMatrix } from '../files/slot-matrix.ts'
import type { WindowState } from '../files/manifest.ts'
import type { OpenExtents } from './open-extents.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'

/** What a window is made of; both kinds of file answer it. */
export interface ExtentSource {
  readonly path: string
  /** What it holds never changes. */
  readonly isSealed: boolean
  readonly index: ExtentIndex
  /** What was met when the index was made; it has all that is whole. */
  readonly damage: CorruptionError | undefined
  read(at: number): Uint8Array
  release(): void
}

/** What all windows share. */
export interface WindowParts {
  readonly extents: OpenExtents
  /** Called once a damaged file. */
  readonly onDamage: (error: CorruptionError) => void
}

export class Window {
  readonly step: number
  /** Unix time. */
  readonly start: number
  readonly firstSlot: number
  readonly slots: number
  block: BlockFile | undefined
  /** Oldest first; what comes is appended to the last. */
  extents: ExtentFile[] = []
  state: WindowState = 'open'
  /** Monotonic time of the last append. */
  lastAppendMs = 0
  readonly damagedFiles = new Set<string>()
  private readonly parts: WindowParts
  private readers = 0
  private retired: (() => void)[] = []

  constructor(step: number, span: { start: number; slots: number }, parts: WindowParts) {
    const { start, slots } = span
    this.parts = parts
    this.step = step
    this.start = start
    this.firstSlot = start / step
    this.slots = slots
  }

  /** Unix time at which it ends. */
  get end(): number {
    return this.start + this.slots * this.step
  }

  /** All of its slots were rolled up. */
  get settled(): boolean {
    return this.state === 'settled'
  }

  /** Its files, oldest layer first. */
  get sources(): ExtentSource[] {
    return this.block ? [this.block, ...this.extents] : [...this.extents]
  }

  /** Extents that are not folded yet, and their bytes. */
  get overlayExtents(): number {
    let count = 0
    for (const file of this.extents) count += file.index.length
    return count
  }

  get overlayBytes(): number {
    let bytes = 0
    for (const file of this.extents) bytes += file.length
    return bytes
  }

  /** Puts what is stored over the matrix; `sources`: all of it, or what a fold has chosen. */
  async read(
    matrix: SlotMatrix,
    slice: TimeSlice,
    sources: readonly ExtentSource[] = this.sources,
  ): Promise<void> {
    this.readers++
    try {
      for (const source of sources) await this.readSource(source, matrix, slice)
    } finally {
      this.readers--
      if (this.readers === 0) this.removeRetired()
    }
  }

  /** Runs `remove` when nobody reads what it removes any more. */
  retire(remove: () => void): void {
    this.retired.push(remove)
    if (this.readers === 0) this.removeRetired()
  }

  /** Every id that has a column in `sources`, rising. */
  async readIds(sources: readonly ExtentSource[], slice: TimeSlice): Promise<Uint32Array> {
    const ids = new Set<number>()
    for (const source of sources) {
      const index = this.indexOf(source)
      for (let at = 0; at < (index?.length ?? 0); at++) {
        if (slice.isOver()) await slice.rest()
        try {
          for (const id of readExtentIds(source.read(at), source.path, index!.offsets[at]!))
            ids.add(id)
        } catch (error) {
          this.noteDamage(source.path, error)
        }
      }
    }
    return Uint32Array.from(ids).sort()
  }

  /** The highest id that may have a column here; -1 when none has. */
  highestId(): number {
    let highest = -1
    for (const source of this.sources) {
      const index = this.indexOf(source)
      for (let at = 0; at < (index?.length ?? 0); at++)
        highest = Math.max(highest, index!.lastIds[at]!)
    }
    return highest
  }

  private async readSource(
    source: ExtentSource,
    matrix: SlotMatrix,
    slice: TimeSlice,
  ): Promise<void> {
    const index = this.indexOf(source)
    if (!index || matrix.count === 0) return
    const wanted = { first: matrix.ids[0]!, last: matrix.ids[matrix.count - 1]! }
    for (let at = 0; at < index.length; at++) {
      if (!index.overlaps(at, wanted, matrix.from, matrix.to)) continue
      if (!hasIdWithin(matrix, index.firstIds[at]!, index.lastIds[at]!)) continue
      if (slice.isOver()) await slice.rest()
      const reader = this.takeReader(source, at)
      if (!reader) continue
      const onDamage = (error: unknown): void => this.noteDamage(source.path, error)
      await overlayExtent(reader, matrix, slice, onDamage)
      this.parts.extents.giveBack(source, at, reader)
    }
  }

  private indexOf(source: ExtentSource): ExtentIndex | undefined {
    try {
      const { index, damage } = source
      if (damage) this.noteDamage(source.path, damage)
      return index
    } catch (error) {
      this.noteDamage(source.path, error)
      return undefined
    }
  }

  private takeReader(source: ExtentSource, at: number): ExtentReader | undefined {
    try {
      return this.parts.extents.take(source, at)
    } catch (error) {
      this.noteDamage(source.path, error)
      return undefined
    }
  }

  /** Counted once a file, which the next fold moves away. */
  noteDamage(path: string, error: unknown): void {
    const damage = isMissing(error) ? new CorruptionError(path, 0, 'file is missing') : error
    if (!(damage instanceof CorruptionError)) throw error
    if (this.damagedFiles.has(path)) return
    this.damagedFiles.add(path)
    this.parts.onDamage(damage)
  }

  private removeRetired(): void {
    const retired = this.retired
    this.retired = []
    for (const remove of retired) remove()
  }
}

function hasIdWithin(matrix: SlotMatrix, first: number, last: number): boolean {
  const at = lowerBound(matrix.ids, matrix.count, first)
  return at < matrix.count && matrix.ids[at]! <= last
}

let scratch = new Float64Array(0)
/** Values that are decoded between two looks at the clock. */
const VALUES_A_LOOK = 3_600

/**
 * Decodes the columns that the matrix asks for and puts them over it; rests between two when it takes long. A column
 * that cannot be decoded knows nothing.
 */
async function overlayExtent(
  reader: ExtentReader,
  matrix: SlotMatrix,
  slice: TimeSlice,
  onDamage: (error: unknown) => void,
): Promise<void> {
  const { slots, firstSlot, count, ids } = reader
  if (scratch.length < slots) scratch = new Float64Array(slots)
  const last = ids[count - 1]!
  let k = lowerBound(matrix.ids, matrix.count, ids[0]!)
  let unseen = 0
  // Where both have the same series, as when a window is folded, the next one is next in both.
  for (let next = 0; k < matrix.count; k++) {
    const id = matrix.ids[k]!
    if (id > last) return
    const position = ids[next] === id ? next : findId(ids, count, id)
    if (position < 0) continue
    next = position + 1
    unseen += slots
    if (unseen >= VALUES_A_LOOK) {
      unseen = 0
      if (slice.isOver()) await slice.rest()
    }
    const at = matrix.claim(k, firstSlot, slots)
    try {
      if (at >= 0) reader.decode(position, matrix.values, at)
      else {
        reader.decode(position, scratch, 0)
        matrix.overlay(k, scratch, 0, firstSlot, slots)
      }
    } catch (error) {
      onDamage(error)
    }
  }
}
