/**
 * The head: the newest slots of a lane's finest archive, in memory, as a ring of rows. A row is one slot of
 * all series; a point is one store into it, and a second value for the slot overwrites the first.
 *
 * ```
 *              from            frozen                         from + rows
 *   … late ────┼───────────────┼──────────────────────────────┼──── stray …
 *              │ being written │ points go here               │
 * ```
 *
 * Slots below `frozen` (late) and from `from + rows` on (ahead) do not fit: late.ts collects them. Rows are
 * in chunks of 256 seats, so that growing never copies. A seat is given to a series with its first point and
 * taken back when it has been silent; seats say nothing about ids.
 */

import { assert } from '../../lib/assert.ts'
import type { SlotMatrix } from '../files/slot-matrix.ts'

const CHUNK_BITS = 8
export const CHUNK_SEATS = 1 << CHUNK_BITS
export const SEAT_MASK = CHUNK_SEATS - 1
export const SEAT_SHIFT = CHUNK_BITS
export const NO_SEAT = 0xffff_ffff
/** A seat whose series was removed. */
const EMPTY = 0xffff_ffff

export class Head {
  readonly step: number
  readonly rows: number
  /** Rows that should be free for what comes while others are written. */
  private readonly roomMin: number
  /** Slots below were written out (or never came). */
  from: number
  frozen: number
  /** The frozen rows are in files, where what came late for them may lie over them. */
  isFrozenWritten = false
  /** One array a chunk: `row × CHUNK_SEATS + (seat & SEAT_MASK)`. */
  readonly chunks: Float64Array[] = []
  /** Which rows got anything since they were last cleared. */
  readonly used: Uint8Array
  /** Little room is left: rows are to be written out before the next checkpoint. */
  isFull = false
  /** None is left: points came for slots behind the last row. */
  isOver = false
  /** Seat → series id. */
  private idOfSeat: Uint32Array<ArrayBuffer> = new Uint32Array(0)
  private seatCount = 0
  private free: number[] = []
  private order: Uint32Array | undefined

  constructor(step: number, ring: { rows: number; roomMin: number }, from: number) {
    const { rows, roomMin } = ring
    this.step = step
    this.rows = rows
    this.roomMin = roomMin
    this.from = from
    this.frozen = from
    this.used = new Uint8Array(rows)
  }

  /** The row of `slot`, or −1 when it lies outside. The row counts as used. */
  aim(slot: number): number {
    const room = this.from + this.rows - slot
    if (slot < this.frozen || room <= 0) return -1
    if (room <= this.roomMin) this.isFull = true
    const row = slot % this.rows
    this.used[row] = 1
    return row
  }

  /** Whether the slot holds anything. */
  isUsed(slot: number): boolean {
    return slot >= this.from && slot < this.from + this.rows && this.used[slot % this.rows] === 1
  }

  /** One past the highest used slot; `from` when there is none. */
  get top(): number {
    for (let slot = this.from + this.rows - 1; slot >= this.from; slot--) {
      if (this.used[slot % this.rows]) return slot + 1
    }
    return this.from
  }

  takeSeat(id: number): number {
    this.order = undefined
    const seat = this.free.pop() ?? this.seatCount++
    if (seat >= this.idOfSeat.length) {
      const grown = new Uint32Array(Math.max(CHUNK_SEATS, this.idOfSeat.length * 2)).fill(EMPTY)
      grown.set(this.idOfSeat)
      this.idOfSeat = grown
    }
    if (seat >> CHUNK_BITS === this.chunks.length) {
      this.chunks.push(new Float64Array(this.rows * CHUNK_SEATS).fill(NaN))
    }
    this.idOfSeat[seat] = id
    return seat
  }

  /** Forgets a series with all that it has here. */
  giveBackSeat(seat: number): void {
    assert(this.idOfSeat[seat] !== EMPTY, `seat ${seat} is free already`)
    const chunk = this.chunks[seat >> CHUNK_BITS]!
    for (let row = 0; row < this.rows; row++) chunk[row * CHUNK_SEATS + (seat & SEAT_MASK)] = NaN
    this.idOfSeat[seat] = EMPTY
    this.free.push(seat)
    this.order = undefined
  }

  /** Whether no row has anything of the seat's series. */
  isSilent(seat: number): boolean {
    const chunk = this.chunks[seat >> CHUNK_BITS]!
    for (let row = 0; row < this.rows; row++) {
      const value = chunk[row * CHUNK_SEATS + (seat & SEAT_MASK)]!
      if (value === value) return false
    }
    return true
  }

  get seats(): number {
    return this.seatCount - this.free.length
  }

  idAt(seat: number): number {
    return this.idOfSeat[seat]!
  }

  /** Taken seats by rising id. */
  seatsByIdOrder(): Uint32Array {
    if (this.order) return this.order
    const seats: number[] = []
    for (let seat = 0; seat < this.seatCount; seat++) {
      if (this.idOfSeat[seat] !== EMPTY) seats.push(seat)
    }
    seats.sort((a, b) => this.idOfSeat[a]! - this.idOfSeat[b]!)
    this.order = Uint32Array.from(seats)
    return this.order
  }

  /**
   * Copies the slots [from, to) of `seats` to `dst`, one series' slots after the other's; counts in `known` how many
   * of each are. Row by row, as they lie here: a series' own slots are far apart.
   */
  gather(
    seats: Uint32Array,
    { from, to }: { from: number; to: number },
    dst: Float64Array,
    known: Uint32Array,
  ): void {
    const { rows, chunks } = this
    const width = to - from
    known.fill(0, 0, seats.length)
    let row = from % rows
    for (let i = 0; i < width; i++) {
      const at = row * CHUNK_SEATS
      for (let k = 0; k < seats.length; k++) {
        const seat = seats[k]!
        const value = chunks[seat >> CHUNK_BITS]![at + (seat & SEAT_MASK)]!
        dst[k * width + i] = value
        if (value === value) known[k] = known[k]! + 1
      }
      if (++row === rows) row = 0
    }
  }

  /** Copies the known values of one slot, for `seats`, with their ids; returns how many there are. */
  gatherRow(slot: number, seats: Uint32Array, ids: Uint32Array, values: Float64Array): number {
    const at = (slot % this.rows) * CHUNK_SEATS
    let count = 0
    for (let i = 0; i < seats.length; i++) {
      const seat = seats[i]!
      const value = this.chunks[seat >> CHUNK_BITS]![at + (seat & SEAT_MASK)]!
      if (value !== value) continue
      ids[count] = this.idOfSeat[seat]!
      values[count++] = value
    }
    return count
  }

  /** Puts what is here of `slots` over series `k` of the matrix. */
  read(seat: number, slots: { from: number; to: number }, matrix: SlotMatrix, k: number): void {
    const from = Math.max(slots.from, matrix.from)
    const to = Math.min(slots.to, matrix.to)
    const chunk = this.chunks[seat >> CHUNK_BITS]!
    const column = seat & SEAT_MASK
    for (let slot = from; slot < to; slot++) {
      const value = chunk[(slot % this.rows) * CHUNK_SEATS + column]!
      if (value === value) matrix.set(k, slot, value)
    }
  }

  /** From now on slots below `slot` are late; their rows stay as they are until `thaw`. */
  freeze(slot: number): void {
    assert(this.frozen === this.from, 'freeze() while frozen')
    assert(slot >= this.from, 'freeze() goes backwards')
    this.frozen = Math.min(slot, this.from + this.rows)
    this.isFrozenWritten = false
  }

  /** The frozen rows are written: they are cleared and used again. */
  thaw(): void {
    for (let slot = this.from; slot < this.frozen; slot++) this.clearRow(slot % this.rows)
    this.from = this.frozen
    this.isFull = false
    this.isOver = false
  }

  /** Moves over slots that got nothing, up to `slot` at most; only between freezes. */
  skipTo(slot: number): void {
    if (this.frozen !== this.from) return
    if (this.top === this.from) {
      if (slot > this.from) this.from = slot
    } else while (this.from < slot && !this.used[this.from % this.rows]) this.from++
    this.frozen = this.from
  }

  /** Puts an empty ring anywhere, for points of another time. */
  moveTo(slot: number): void {
    assert(this.top === this.from && this.frozen === this.from, 'moveTo() with points in the ring')
    this.from = slot
    this.frozen = slot
  }

  private clearRow(row: number): void {
    if (!this.used[row]) return
    this.used[row] = 0
    const at = row * CHUNK_SEATS
    for (const chunk of this.chunks) chunk.fill(NaN, at, at + CHUNK_SEATS)
  }
}
