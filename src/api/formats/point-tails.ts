/**
 * What follows the value of a point in JSON, from the comma to where the next value stands: `, 1760000000],[`.
 * The series of one answer mostly have the same times, so these texts are made once for all of them, and
 * copied eight bytes at a time.
 */

import { toUtf8 } from '../../lib/bytes.ts'
import { writeInteger } from '../../lib/number-text.ts'

const TAILS_MAX = 64

const BEFORE = toUtf8(', ')
/** Ten digits, and room for what writing them touches. */
const TIME_BYTES_MAX = 12

/** `lengths[i]` bytes of the i-th tail, padded to `words` doubles, start at `doubles[i × words]`. */
export interface Tails {
  readonly words: number
  readonly doubles: Float64Array
  readonly lengths: Uint8Array
}

export interface TailLayout {
  /** Zeros behind the seconds of a time. */
  readonly zeros: number
  /** From the end of one point to the value of the next. */
  readonly between: string
}

export class PointTails {
  /** What stands behind the seconds. */
  private readonly behind: Uint8Array
  private readonly made: Map<string, Tails>

  constructor(layout: TailLayout) {
    this.behind = toUtf8(`${'0'.repeat(layout.zeros)}]${layout.between}`)
    this.made = new Map()
  }

  /** The tails of `count` points from Unix time `start` on. */
  of(start: number, step: number, count: number): Tails {
    const key = `${start} ${step} ${count}`
    let tails = this.made.get(key)
    if (!tails) {
      if (this.made.size >= TAILS_MAX) this.made.clear()
      tails = this.make(start, step, count)
      this.made.set(key, tails)
    }
    return tails
  }

  private make(start: number, step: number, count: number): Tails {
    const { behind } = this
    const words = Math.ceil((BEFORE.length + TIME_BYTES_MAX + behind.length) / 8)
    const doubles = new Float64Array(count * words)
    const lengths = new Uint8Array(count)
    const bytes = new Uint8Array(doubles.buffer)
    const view = new DataView(doubles.buffer)
    for (let i = 0; i < count; i++) {
      const from = i * words * 8
      bytes.set(BEFORE, from)
      const end = writeInteger(view, from + BEFORE.length, start + i * step)
      bytes.set(behind, end)
      lengths[i] = end + behind.length - from
    }
    return { words, doubles, lengths }
  }
}
