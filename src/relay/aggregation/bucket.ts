/**
 * An open bucket of an aggregation, in columns with a row for each output: `counts`, and `first` and `second`,
 * whose meaning is the function's:
 *
 * ```
 *   sum, average   first = sum         max, min    first = extreme
 *   variance, stddev   first = mean, second = sum of squared differences (Welford, 1962)
 *   median, percentile   all values, in `lists`
 * ```
 */

const FIRST_ROWS = 64

export class Bucket {
  readonly start: number
  /** Rows before this one have been emitted. */
  emittedRows: number
  /** Of them, those of which the journal knows it: results that are aggregated themselves are in it too. */
  journalledEmitted: number
  /** Rows before this one were emitted by an earlier process, and counted where they are aggregated themselves. */
  countedRows: number
  counts: Float64Array
  first: Float64Array
  second: Float64Array
  readonly lists: Map<number, number[]>
  /** How many of a row's values the journal has. */
  readonly journalled: Map<number, number>
  /** Rows that the journal does not have as they are. */
  private readonly changed: number[]
  private isChanged: Uint8Array

  constructor(start: number) {
    this.start = start
    this.emittedRows = 0
    this.journalledEmitted = 0
    this.countedRows = 0
    this.counts = new Float64Array(FIRST_ROWS)
    this.first = new Float64Array(FIRST_ROWS)
    this.second = new Float64Array(FIRST_ROWS)
    this.lists = new Map()
    this.journalled = new Map()
    this.changed = []
    this.isChanged = new Uint8Array(FIRST_ROWS)
  }

  reserve(row: number): void {
    if (row < this.counts.length) return
    const capacity = Math.max(row + 1, this.counts.length * 2)
    this.counts = grown(this.counts, capacity)
    this.first = grown(this.first, capacity)
    this.second = grown(this.second, capacity)
    const isChanged = new Uint8Array(capacity)
    isChanged.set(this.isChanged)
    this.isChanged = isChanged
  }

  markChanged(row: number): void {
    if (this.isChanged[row] === 1) return
    this.isChanged[row] = 1
    this.changed.push(row)
  }

  filledRows(): readonly number[] {
    const rows: number[] = []
    for (let row = 0; row < this.counts.length; row++) if (this.counts[row] !== 0) rows.push(row)
    return rows
  }

  /** Rows changed since the last call. */
  takeChanged(): readonly number[] {
    const rows = this.changed.slice()
    for (const row of rows) this.isChanged[row] = 0
    this.changed.length = 0
    return rows
  }
}

function grown(column: Float64Array, capacity: number): Float64Array {
  const larger = new Float64Array(capacity)
  larger.set(column)
  return larger
}
