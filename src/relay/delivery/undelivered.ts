/**
 * What a destination that has left could not deliver, and how it goes to its successor: what lies in its spool after
 * it has been closed, in order, as lines. It is deleted when the successor holds all of it, so a crash meanwhile
 * loses nothing; points may arrive twice.
 */

import { type Clock, nextTurn, sleep } from '../../lib/clock.ts'
import { pointsToLines } from './points-text.ts'
import type { Spool } from './spool.ts'

const POLL_MS = 50

export interface Successor {
  /** Returns what `heldWritten` reaches when they are held. */
  adopt(lines: Uint8Array, count: number): number
  readonly heldWritten: number
}

export class Undelivered {
  private readonly spool: Spool
  /** Up to there everything has been delivered. */
  private readonly delivered: number

  constructor(spool: Spool, delivered: number) {
    this.spool = spool
    this.delivered = delivered
  }

  /** `isWanted` turns false when the one that left is back: what is there yet is its own again. */
  async handOver(clock: Clock, successor: Successor, isWanted: () => boolean): Promise<void> {
    const { spool } = this
    let position = 0
    let sequence = this.delivered
    for (let batch = spool.read(sequence); batch; batch = spool.read(sequence)) {
      const { bytes, names, count } = batch
      position = successor.adopt(names ? pointsToLines(bytes, names) : bytes, count)
      sequence = batch.sequence
      await nextTurn()
      if (!isWanted()) return
    }
    while (successor.heldWritten < position) {
      await sleep(clock, POLL_MS)
      if (!isWanted()) return
    }
    spool.release(spool.lastSequence)
  }
}
