/**
 * Gathers what the dispatcher has for one destination into batches: lines into blocks of 64 KiB, points into
 * columns of 8,192. A block ends after 10 ms, columns after 50 ms, both when they are full; then they are the
 * outbox's. Only one of the two is open at a time, and everything in it counts under one sequence.
 *
 * What a part of a source (ipc/sources-format.ts) becomes is kept in one batch, and noted with it. It is divided only
 * when it fills one by itself, or the table of names is full.
 *
 * Neighbouring lines that go on unchanged are noted as a run and copied together (`extendRun`, `endRun`).
 */

import { bytesEqual, toUtf8 } from '../../lib/bytes.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import { PointsBlock } from '../../ipc/points-block.ts'
import { NameTable } from '../../ipc/points-sender.ts'
import type { SourceSpan } from '../../ipc/sources-format.ts'
import { copyBytes, viewOf } from './copy-bytes.ts'
import { BATCH_POINTS, type Outbox } from './outbox.ts'
import type { SenderId } from './sender-id.ts'

const BLOCK_BYTES = 64 * 1024
/** A run of lines is copied when it is this long, so that blocks fill evenly. */
const RUN_BYTES_MAX = 32 * 1024
const LINE_FLUSH_MS = 10
const POINT_FLUSH_MS = 50
/** When no points are open: there is no room in it. */
const NO_POINTS = new PointsBlock(0)

export interface GathererOptions {
  readonly clock: Clock
  readonly senderId: SenderId
  readonly outbox: Outbox
  /** What each line begins with, made from the address that it came from. */
  readonly prefix: ((origin: string) => string) | undefined
  /** The outbox has a new batch. */
  readonly onSealed: () => void
}

/** The ids that names have in a table, by the numbers of the names: a column, because names are many. */
export class NameIds {
  /** Id + 1, 0 for none. */
  private ids: Uint32Array = new Uint32Array(1)

  /** −1 when it has none. */
  get(number: number): number {
    return number < this.ids.length ? this.ids[number]! - 1 : -1
  }

  set(number: number, id: number): void {
    if (number >= this.ids.length) {
      const grown = new Uint32Array(Math.max(number + 1, this.ids.length * 2))
      grown.set(this.ids)
      this.ids = grown
    }
    this.ids[number] = id + 1
  }
}

export class Gatherer {
  /** The names of points. */
  names: NameTable
  /** In all batches before it. */
  sealed: number
  private readonly options: GathererOptions
  /** For the first point of a line, the second if it has two, and so on. */
  private columns: NameIds[]
  private points: PointsBlock
  private block: Uint8Array
  private blockView: DataView
  private blockLength: number
  /** In the block. */
  private lines: number
  /** Neighbouring lines that go on unchanged and are not copied yet; −1: none. */
  private runStart: number
  private runEnd: number
  private runCount: number
  /** Of the open batch, or of the last one sealed; 0 before the first. */
  lastSequence: number
  private bornMs: number
  private flushTimer: Timer | undefined
  /** Where points come from at present, and from where on in the open batch. */
  private part: { readonly source: string; readonly sequence: number } | undefined
  private partStart: number
  /** Of the open batch. */
  private spans: SourceSpan[]

  constructor(options: GathererOptions) {
    this.names = new NameTable()
    this.sealed = 0
    this.options = options
    this.columns = []
    this.points = NO_POINTS
    this.block = new Uint8Array(0)
    this.blockView = viewOf(this.block)
    this.blockLength = 0
    this.lines = 0
    this.runStart = 0
    this.runEnd = -1
    this.runCount = 0
    this.lastSequence = 0
    this.bornMs = 0
    this.flushTimer = undefined
    this.part = undefined
    this.partStart = 0
    this.spans = []
  }

  /** Lines or points in the open batch. */
  get count(): number {
    return this.lines + this.points.length
  }

  /** Points until `endPart` come from there. */
  beginPart(source: string, sequence: number): void {
    this.part = { source, sequence }
    this.partStart = this.points.length
  }

  endPart(isLast: boolean): void {
    this.endSpan(isLast)
    this.part = undefined
    if (this.isFull) this.sealFull()
  }

  /** The line `bytes[start, end)`, with its newline. Call `endRun` before the bytes go. */
  extendRun(bytes: DataView, start: number, end: number): void {
    if (start !== this.runEnd || end - this.runStart > RUN_BYTES_MAX) {
      this.endRun(bytes)
      this.runStart = start
    }
    this.runEnd = end
    this.runCount++
  }

  /** Takes over the lines that `extendRun` was given. */
  endRun(bytes: DataView): void {
    const { runStart, runEnd } = this
    if (runEnd < 0) return
    this.room(runEnd - runStart)
    this.blockLength = copyBytes(this.blockView, this.blockLength, bytes, runStart, runEnd)
    this.lines += this.runCount
    this.runEnd = -1
    this.runCount = 0
  }

  /** A line under another name, `name[nameStart, nameEnd)`: `data` is from the blank on, with the newline. */
  appendLine(
    name: DataView,
    nameStart: number,
    nameEnd: number,
    data: DataView,
    start: number,
    end: number,
  ): void {
    this.room(nameEnd - nameStart + end - start)
    const { blockView } = this
    const at = copyBytes(blockView, this.blockLength, name, nameStart, nameEnd)
    this.blockLength = copyBytes(blockView, at, data, start, end)
    this.lines++
  }

  /** As `appendLine`, behind what the destination puts before each line. */
  appendPrefixed(origin: string, name: DataView, data: DataView, start: number, end: number): void {
    const prefix = viewOf(toUtf8(this.options.prefix!(origin)))
    const { byteLength } = prefix
    this.room(byteLength + name.byteLength + end - start)
    this.blockLength = copyBytes(this.blockView, this.blockLength, prefix, 0, byteLength)
    this.appendLine(name, 0, name.byteLength, data, start, end)
  }

  /** A point under an id of `names`. */
  appendPoint(id: number, timestamp: number, value: number): void {
    if (!this.points.hasRoom) this.makeRoom()
    this.points.push(id, timestamp, value)
    if (this.isFull && !this.part) this.sealFull()
  }

  /**
   * A new id in `names` for a name. When `names` is full there is another table afterwards, and all ids that were
   * given before are of no use.
   */
  defineName(name: Uint8Array): number {
    if (this.names.isFull) {
      this.seal()
      this.names = new NameTable()
      this.columns = []
    }
    return this.names.add(name)
  }

  /** Where the ids are that numbered names have here; `nth`: so many times their lines came here already. */
  idsOf(nth: number): NameIds {
    return (this.columns[nth] ??= new NameIds())
  }

  /** Gives the name with that number an id, as `defineName` does; one that it has already stays. */
  define(ids: NameIds, number: number, name: Uint8Array): void {
    const known = ids.get(number)
    if (known < 0 || !bytesEqual(this.names.name(known), name))
      ids.set(number, this.defineName(name))
  }

  close(): void {
    this.flushTimer?.cancel()
    this.flushTimer = undefined
  }

  private get isFull(): boolean {
    return this.points.length === BATCH_POINTS
  }

  private room(bytes: number): void {
    if (this.blockLength + bytes > this.block.length) this.newBlock(bytes)
    if (this.lines === 0) this.begin(LINE_FLUSH_MS)
  }

  private newBlock(bytes: number): void {
    if (this.blockLength > 0) {
      this.seal()
      this.options.onSealed()
    }
    if (bytes > this.block.length) {
      const capacity = Math.max(BLOCK_BYTES, bytes)
      this.block = this.options.outbox.window?.takeSpare(capacity) ?? new Uint8Array(capacity)
      this.blockView = viewOf(this.block)
    }
  }

  /** For points. An open part that does not fit beside what was there before it goes to the next batch, all of it. */
  private makeRoom(): void {
    const { part, partStart } = this
    const moved = part && partStart > 0 ? this.points.cut(partStart) : undefined
    this.sealFull()
    this.points = new PointsBlock(BATCH_POINTS, this.options.outbox.blocks.take())
    this.begin(POINT_FLUSH_MS)
    if (moved) this.points.append(moved)
  }

  private sealFull(): void {
    if (this.count === 0) return
    this.seal()
    this.options.onSealed()
  }

  private endSpan(isLast: boolean): void {
    const { part, partStart: start } = this
    const count = this.points.length - start
    if (part && count > 0) this.spans.push({ ...part, start, count, isLast })
  }

  private begin(flushMs: number): void {
    const { clock, senderId } = this.options
    this.lastSequence = senderId.next()
    this.bornMs = clock.monotonicMs()
    this.flushTimer ??= clock.after(flushMs, () => {
      this.flushTimer = undefined
      this.seal()
      this.options.onSealed()
    })
  }

  /** Ends the open batch; it is the outbox's from now on. */
  seal(): void {
    const { count, lastSequence: sequence, bornMs, names } = this
    if (count === 0) return
    this.sealed += count
    const common = { sequence, count, bornMs }
    if (this.lines > 0) {
      const bytes = this.takeBlock()
      this.options.outbox.push({ ...common, bytes, names: undefined, nameCount: 0 })
      return
    }
    this.endSpan(false)
    const { spans: sources } = this
    this.spans = []
    this.partStart = 0
    const bytes = this.takePoints(sequence)
    this.options.outbox.push({ ...common, bytes, names, nameCount: names.count, sources })
  }

  /** The open points: in their own memory when they fill most of it, else in a copy. */
  private takePoints(sequence: number): Uint8Array {
    const isFilled = this.points.length * 2 >= BATCH_POINTS
    const bytes = this.points.close(sequence)
    this.points = NO_POINTS
    if (isFilled) return bytes
    const copy = bytes.slice()
    this.options.outbox.blocks.giveBack(bytes)
    return copy
  }

  /** The open block's lines: the block itself when it is well filled, else a copy. */
  private takeBlock(): Uint8Array {
    const length = this.blockLength
    this.blockLength = 0
    this.lines = 0
    if (length * 2 < this.block.length) return this.block.slice(0, length)
    const full = this.block.subarray(0, length)
    this.block = new Uint8Array(0)
    return full
  }
}
