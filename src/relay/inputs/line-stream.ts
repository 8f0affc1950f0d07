/**
 * One client of a line port: cuts what arrives into whole lines and hands them on in one piece. The first
 * line may be an opening line (ipc/points-format.ts): then the rest of the connection is frames from
 * another relay, or a remote query.
 *
 * Limits: a line of more than `lineBytesMax` is skipped to its end and counted; what waits for its newline is
 * that much at most. The last line needs its newline on TCP (a cut connection would make a wrong value of
 * it), not on UDP.
 */

import { NEWLINE } from '../../lib/bytes.ts'
import type { Counter } from '../../lib/stats.ts'
import { latin1 } from '../../metric/number.ts'
import { type Opening, OPENING_PREFIX, parseOpening } from '../../ipc/points-format.ts'
import type { Dispatcher } from '../routing/dispatcher.ts'

export interface LineStreamOptions {
  readonly dispatcher: Dispatcher
  readonly lineBytesMax: number
  /** Lines without an end, or too long. */
  readonly discarded: Counter
  /** The client's address. */
  readonly origin: string
  /** The first line is an opening line: everything that follows is this function's. */
  readonly onOpening?: (opening: Opening) => (bytes: Uint8Array) => void
}

const OPENING_BYTES = Buffer.from(OPENING_PREFIX)

export class LineStream {
  private readonly options: LineStreamOptions
  /** The beginning of a line whose end has not come. */
  private pending: Uint8Array
  private pendingLength: number
  private skipping: boolean
  private opened: boolean
  private takeOver: ((bytes: Uint8Array) => void) | undefined
  private last: number

  constructor(options: LineStreamOptions) {
    this.options = options
    this.pending = new Uint8Array(0)
    this.pendingLength = 0
    this.skipping = false
    this.opened = options.onOpening === undefined
    this.takeOver = undefined
    this.last = 0
  }

  feed(bytes: Uint8Array): void {
    if (this.takeOver) this.takeOver(bytes)
    else this.feedLines(bytes)
  }

  private feedLines(bytes: Uint8Array): void {
    let from = 0
    if (this.pendingLength > 0 || this.skipping) {
      const newline = bytes.indexOf(NEWLINE)
      if (newline < 0) return this.keep(bytes, 0)
      from = newline + 1
      if (!this.skipping) {
        this.keep(bytes.subarray(0, from), 0)
        if (!this.skipping) this.dispatchPending()
      }
      this.skipping = false
      this.pendingLength = 0
      if (this.takeOver) return this.takeOver(bytes.subarray(from))
    }
    if (!this.opened && from < bytes.length && this.open(bytes, from)) return
    const end = bytes.lastIndexOf(NEWLINE) + 1
    if (end > from) this.dispatch(bytes, from, end)
    else if (end < from) return this.keep(bytes, from)
    if (end < bytes.length) this.keep(bytes, end)
  }

  /** The connection is over: what has no newline is no line. */
  end(): void {
    if (this.pendingLength > 0 || this.skipping) this.options.discarded.value++
    this.pendingLength = 0
    this.skipping = false
  }

  private dispatch(bytes: Uint8Array, from: number, to: number): void {
    const { dispatcher, origin } = this.options
    this.last = dispatcher.dispatch(bytes, from, to, this.last, origin)
  }

  private dispatchPending(): void {
    const line = this.pending.subarray(0, this.pendingLength)
    if (!this.opened && this.open(line, 0)) return
    this.dispatch(line, 0, line.length)
  }

  /** Looks at the first line of the connection; true when it opens something else than lines. */
  private open(bytes: Uint8Array, from: number): boolean {
    for (let i = 0; i < OPENING_BYTES.length; i++) {
      if (from + i === bytes.length) return false
      if (bytes[from + i] !== OPENING_BYTES[i]) {
        this.opened = true
        return false
      }
    }
    const newline = bytes.indexOf(NEWLINE, from)
    if (newline < 0) return false
    this.opened = true
    const opening = parseOpening(latin1(bytes, from, newline).trimEnd())
    if (!opening || !this.options.onOpening) return false
    const takeOver = this.options.onOpening(opening)
    this.takeOver = takeOver
    if (newline + 1 < bytes.length) takeOver(bytes.subarray(newline + 1))
    return true
  }

  private keep(bytes: Uint8Array, from: number): void {
    if (this.skipping) return
    const needed = this.pendingLength + bytes.length - from
    if (needed > this.options.lineBytesMax + 1) {
      this.skipping = true
      this.pendingLength = 0
      this.pending = new Uint8Array(0)
      this.options.discarded.value++
      return
    }
    if (needed > this.pending.length) {
      const grown = new Uint8Array(Math.max(needed, 256))
      grown.set(this.pending.subarray(0, this.pendingLength))
      this.pending = grown
    }
    this.pending.set(from === 0 ? bytes : bytes.subarray(from), this.pendingLength)
    this.pendingLength = needed
  }
}
