/**
 * What a destination has been given and its peer does not hold yet: an ordered queue of batches, the
 * older part in the spool on disk, the newer in memory. In front of it is the resend window of a plain peer: what it
 * holds as far as one can tell.
 *
 * ```
 *      spool (disk)              memory
 *  ┌────────┬────────────┬─────────────────────┐
 *  │released│            │                     │  push()
 *  └────────┴──────▲─────┴─────────────────────┘
 *                  └ sentSequence: next() gives what follows
 * ```
 *
 * A batch moves to the spool when it is older than `SPILL_AFTER_MS` and its peer has not got it, or when
 * memory is short, together with everything older: the order never changes. When the disk refuses
 * (`refusal`), memory holds up to `memoryBytesMax`, then the oldest batch goes, counted.
 *
 * A batch is *held* when losing this process does not lose it (`heldWritten`), or losing power
 * (`heldSynced`): the peer says so, or the spool has it.
 */

import { assert } from '../../lib/assert.ts'
import { BlockPool } from '../../lib/block-pool.ts'
import { errorCode } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import { pointsBlockBytes } from '../../ipc/points-block.ts'
import type { ResendWindow } from './resend-window.ts'
import type { Spool } from './spool.ts'
import type { Batch } from './spool-format.ts'

/** Promise 3: a line is written somewhere within 200 ms; the rest is for the timer and the disk. */
export const SPILL_AFTER_MS = 150

/** Points of a batch, at most. */
export const BATCH_POINTS = 8_192
/** How many blocks for so many are kept: a window's worth. */
const SPARES_MAX = 32

export interface OutboxOptions {
  readonly spool: Spool
  /** Undefined where nothing is written again. */
  readonly window: ResendWindow | undefined
  /** False while the disk is too full for spools to grow. */
  readonly maySpool: () => boolean
  readonly memoryBytesMax: number
  /** Points that were let go because neither disk nor memory had room. */
  readonly dropped: Counter
  readonly spooled: Counter
}

export class Outbox {
  readonly window: ResendWindow | undefined
  private readonly options: OutboxOptions
  /** In memory, oldest first; what is before `head` has gone. */
  private queue: Batch[]
  /** Where the bytes of batches of points come from, and go when the peer has synced them. */
  readonly blocks: BlockPool
  private head: number
  private memoryBytes: number
  /** Index in `queue` of the next batch to send, once the spool's are sent. */
  private cursor: number
  private lastSequence: number
  private written: number
  private synced: number
  /** Why the disk did not take what was to move there last; undefined: it did. */
  refusal: string | undefined
  sentSequence: number
  /** The highest that any connection was given. */
  mostSent: number

  constructor(options: OutboxOptions) {
    this.options = options
    this.window = options.window
    this.queue = []
    this.blocks = new BlockPool({
      blockBytes: pointsBlockBytes(BATCH_POINTS),
      sparesMax: SPARES_MAX,
    })
    this.head = 0
    this.memoryBytes = 0
    this.cursor = 0
    this.lastSequence = options.spool.lastSequence
    this.written = 0
    this.synced = 0
    this.refusal = undefined
    this.sentSequence = 0
    this.mostSent = 0
  }

  get isEmpty(): boolean {
    return this.head === this.queue.length && this.options.spool.isEmpty
  }

  /** Points that wait. */
  get points(): number {
    return this.options.spool.points + this.pointsInMemory
  }

  /** Of those that the peer has not written. */
  get pointsInMemory(): number {
    let count = 0
    for (let i = this.queue.length - 1; i >= this.head; i--) {
      if (this.queue[i]!.sequence <= this.written) break
      count += this.queue[i]!.count
    }
    return count
  }

  /** The peer has written all that it was sent. */
  get isAcknowledged(): boolean {
    return this.written >= this.sentSequence
  }

  /** Nothing up to there is of interest any more. */
  get released(): number {
    return this.synced
  }

  get heldWritten(): number {
    return Math.max(this.written, this.options.spool.lastSequence)
  }

  get heldSynced(): number {
    return Math.max(this.synced, this.options.spool.syncedSequence)
  }

  push(batch: Batch): void {
    assert(batch.sequence > this.lastSequence, 'push() in order of sequence')
    this.lastSequence = batch.sequence
    this.queue.push(batch)
    this.memoryBytes += batch.bytes.length
    if (this.memoryBytes > this.options.memoryBytesMax) this.relieveMemory()
  }

  /** The batch after the last one sent, or undefined. Call `sent` when it is on its way. */
  next(): Batch | undefined {
    const { spool } = this.options
    if (spool.lastSequence > this.sentSequence) {
      const batch = spool.read(this.sentSequence)
      if (batch) return batch
    }
    return this.queue[this.cursor]
  }

  sent(batch: Batch): void {
    this.sentSequence = batch.sequence
    if (batch.sequence > this.mostSent) this.mostSent = batch.sequence
    if (this.queue[this.cursor] === batch) this.cursor++
  }

  /** True when the next batch comes from the disk: a replay. */
  get isReplaying(): boolean {
    return this.options.spool.lastSequence > this.sentSequence
  }

  /**
   * The connection is over, or a new one begins: sends again what follows `written`, which is all that the peer
   * has now. Of a peer that does not say, that is what it had synced: it may have lost its power.
   */
  rewind(written = this.synced): void {
    this.written = written
    this.sentSequence = written
    this.options.spool.rewind()
    this.cursor = this.head
    while (this.cursor < this.queue.length && this.queue[this.cursor]!.sequence <= written) {
      this.cursor++
    }
  }

  /** The peer has everything up to `written`; up to `synced` nothing is needed any more. */
  acknowledge(written: number, synced: number): void {
    if (written > this.written) this.written = written
    if (synced <= this.synced) return
    this.synced = synced
    while (this.head < this.queue.length && this.queue[this.head]!.sequence <= synced) {
      const { names, bytes } = this.queue[this.head]!
      this.shift()
      if (names) this.blocks.giveBack(bytes)
    }
    this.options.spool.release(synced)
  }

  /** Milliseconds (monotonic) at which the oldest batch that nobody holds has to move; undefined: none. */
  spillAtMs(): number | undefined {
    const batch = this.firstUnheld()
    return batch && batch.bornMs + SPILL_AFTER_MS
  }

  /** Moves what is overdue at `nowMs` to disk. */
  spillOverdue(nowMs: number): void {
    let last = this.head - 1
    for (let i = this.queue.length - 1; i >= this.head; i--) {
      const batch = this.queue[i]!
      if (batch.sequence <= this.written) break
      if (batch.bornMs + SPILL_AFTER_MS <= nowMs) {
        last = i
        break
      }
    }
    this.spillThroughIndex(last)
  }

  /** Moves everything up to `sequence` to disk, whoever holds it. */
  spillThrough(sequence: number): void {
    let last = this.head - 1
    while (last + 1 < this.queue.length && this.queue[last + 1]!.sequence <= sequence) last++
    this.spillThroughIndex(last)
  }

  /** The process ends: moves everything that the peer may not have to disk, however little room there is. */
  spillRest(): void {
    this.moveThrough(this.queue.length - 1)
    this.moveWindow()
  }

  /** The peer is away: moves what it may not have read to disk, in front of all the rest. */
  spillWindow(): void {
    if (this.options.maySpool()) this.moveWindow()
  }

  private moveWindow(): void {
    const sent = this.window?.contents() ?? []
    const first = sent[0]?.firstSequence
    if (first === undefined) return
    const common = { names: undefined, nameCount: 0, bornMs: 0 }
    this.toDisk(() =>
      this.options.spool.putBack(
        first,
        sent.map((lines) => ({ ...lines, ...common })),
      ),
    )
    if (this.refusal !== undefined) return
    for (const { count } of sent) this.options.spooled.value += count
    this.synced = Math.min(this.synced, first - 1)
    this.rewind()
    this.window?.clear()
  }

  private spillThroughIndex(last: number): void {
    if (this.options.maySpool()) this.moveThrough(last)
  }

  private moveThrough(last: number): void {
    if (last < this.head) return
    const { spool, spooled } = this.options
    this.toDisk(() => {
      for (let left = last - this.head + 1; left > 0; left--) {
        const batch = this.queue[this.head]!
        spool.append(batch)
        spooled.value += batch.count
        this.shift()
        if (batch.names) this.blocks.giveBack(batch.bytes)
      }
    })
  }

  private toDisk(work: () => void): void {
    try {
      work()
      this.refusal = undefined
    } catch (error) {
      if (errorCode(error) === '') throw error
      this.refusal = reason(error)
    }
  }

  private relieveMemory(): void {
    this.spillThroughIndex(this.queue.length - 1)
    while (this.memoryBytes > this.options.memoryBytesMax) {
      this.options.dropped.value += this.queue[this.head]!.count
      this.shift()
    }
  }

  private firstUnheld(): Batch | undefined {
    for (let i = this.head; i < this.queue.length; i++) {
      if (this.queue[i]!.sequence > this.written) return this.queue[i]
    }
    return undefined
  }

  private shift(): void {
    const batch = this.queue[this.head]!
    this.memoryBytes -= batch.bytes.length
    this.head++
    if (this.cursor < this.head) this.cursor = this.head
    if (this.head < 16 || this.head * 2 < this.queue.length) return
    this.queue.splice(0, this.head)
    this.cursor -= this.head
    this.head = 0
  }
}
