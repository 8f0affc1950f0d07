/**
 * What a destination that has left could not deliver, and how it goes to its successor: first what its last connection
 * may not have read, then what lies in its spool, in order, as lines. It is deleted when the successor holds all of it,
 * so a crash meanwhile loses nothing; points may arrive twice.
 */

import { NEWLINE } from '../../lib/bytes.ts'
import { type Clock, nextTurn, sleep } from '../../lib/clock.ts'
import type { Outbox } from './outbox.ts'
import { pointsToLines } from './points-text.ts'
import type { ResendWindow } from './resend-window.ts'
import type { Spool } from './spool.ts'

const POLL_MS = 50

export interface Successor {
  /** Returns what `heldWritten` reaches when they are held. */
  adopt(lines: Uint8Array, count: number): number
  readonly heldWritten: number
}

export class Undelivered {
  private readonly window: ResendWindow | undefined
  private readonly outbox: Outbox
  private readonly spool: Spool

  constructor(window: ResendWindow | undefined, outbox: Outbox, spool: Spool) {
    this.window = window
    this.outbox = outbox
    this.spool = spool
  }

  /** `isWanted` turns false when the one that left is back: what is there yet is its own again. */
  async handOver(clock: Clock, successor: Successor, isWanted: () => boolean): Promise<void> {
    let position = 0
    for (const { lines, count } of this.batches()) {
      position = successor.adopt(lines, count)
      await nextTurn()
      if (!isWanted()) return
    }
    while (successor.heldWritten < position) {
      await sleep(clock, POLL_MS)
      if (!isWanted()) return
    }
    this.window?.clear()
    this.spool.release(this.spool.lastSequence)
  }

  private *batches(): Generator<{ lines: Uint8Array; count: number }> {
    for (const block of this.window?.contents() ?? []) {
      const lines = block.slice()
      yield { lines, count: countLines(lines) }
    }
    const { spool } = this
    let sequence = this.outbox.released
    for (let batch = spool.read(sequence); batch; batch = spool.read(sequence)) {
      const { bytes, names, count } = batch
      yield { lines: names ? pointsToLines(bytes, names) : bytes, count }
      sequence = batch.sequence
    }
  }
}

function countLines(bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++
  return count
}
