/**
 * Which sequences of a source one sender has passed on here (ipc/sources-format.ts). Not the highest alone: a sender
 * that was killed may send what went to another member of a cluster before, and what followed it came here.
 *
 * Limit: REMEMBERED_MAX of them, more than the seconds for which anything waits to be synced; then the older half
 * counts as taken, and all that came before it.
 */

const REMEMBERED_MAX = 512

export class TakenSequences {
  /** Rising. */
  private readonly recent: number[]
  /** Everything up to there counts as taken. */
  private floor: number

  constructor() {
    this.recent = []
    this.floor = 0
  }

  has(sequence: number): boolean {
    return sequence <= this.floor || this.recent[this.place(sequence)] === sequence
  }

  /** One that it does not have. */
  add(sequence: number): void {
    const { recent } = this
    recent.splice(this.place(sequence), 0, sequence)
    if (recent.length < REMEMBERED_MAX) return
    const forgotten = recent.splice(0, REMEMBERED_MAX / 2)
    this.floor = forgotten.at(-1)!
  }

  /** How many are lower. */
  private place(sequence: number): number {
    const { recent } = this
    let from = 0
    let to = recent.length
    if (to > 0 && recent[to - 1]! < sequence) return to
    while (from < to) {
      const middle = (from + to) >> 1
      if (recent[middle]! < sequence) from = middle + 1
      else to = middle
    }
    return from
  }
}
