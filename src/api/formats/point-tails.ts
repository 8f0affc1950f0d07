/**
 * What follows the value of a point in JSON, from the comma to where the next value stands: `, 1760000000],[`.
 * The series of one answer mostly have the same times, so these texts are made once for all of them, and
 * copied eight bytes at a time.
 */

const TEXTS_MAX = 64

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
  private readonly layout: TailLayout
  private readonly made: Map<string, Tails>

  constructor(layout: TailLayout) {
    this.layout = layout
    this.made = new Map()
  }

  /** The tails of `count` points from Unix time `start` on. */
  of(start: number, step: number, count: number): Tails {
    const key = `${start} ${step} ${count}`
    let tails = this.made.get(key)
    if (!tails) {
      if (this.made.size >= TEXTS_MAX) this.made.clear()
      tails = this.make(start, step, count)
      this.made.set(key, tails)
    }
    return tails
  }

  private make(start: number, step: number, count: number): Tails {
    const behind = `${'0'.repeat(this.layout.zeros)}]${this.layout.between}`
    const longest = `, ${start + step * count}${behind}`.length
    const words = Math.ceil(longest / 8)
    const bytes = new Uint8Array(count * words * 8)
    const lengths = new Uint8Array(count)
    const encoder = new TextEncoder()
    for (let i = 0; i < count; i++) {
      const text = `, ${start + i * step}${behind}`
      lengths[i] = encoder.encodeInto(text, bytes.subarray(i * words * 8)).written
    }
    return { words, doubles: new Float64Array(bytes.buffer), lengths }
  }
}
