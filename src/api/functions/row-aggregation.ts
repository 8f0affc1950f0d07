/**
 * One series of the rows of many: sumSeries() and its like.
 *
 * The common aggregations run column after column over a stretch of rows that stays in the processor's
 * cache; the others gather each row first. Stretches are separated by pauses.
 */

import { accumulatorOf, type Column, finishRows, refuseThinRows } from '../../metric/rows.ts'
import type { Pace } from '../pace.ts'
import { type Aggregation, findAggregation } from './aggregation.ts'
import type { Rows } from './alignment.ts'

const VALUES_PER_STRETCH = 500_000

/** A value for each row that has enough known values, NaN for the others. */
export async function aggregateRows(
  rows: Rows,
  aggregation: Aggregation,
  xFilesFactor: number,
  pace: Pace,
): Promise<Float64Array> {
  const { count, columns } = rows
  pace.reserve(count)
  const result = new Float64Array(count)
  const stretch = Math.max(Math.floor(VALUES_PER_STRETCH / columns.length), 16)
  const known = new Uint32Array(Math.min(stretch, count))
  const accumulate = accumulatorOf(aggregation.name)
  for (let from = 0; from < count; from += stretch) {
    const to = Math.min(from + stretch, count)
    known.fill(0)
    if (accumulate) {
      for (let i = 0; i < columns.length; i++) accumulate(columns[i]!, from, to, result, known)
      finishRows(aggregation.name, columns.length, result, known, from, to)
    } else gather(columns, aggregation, result, known, from, to)
    refuseThinRows(result, known, columns.length, xFilesFactor, from, to)
    const pause = pace.spend((to - from) * columns.length)
    if (pause) await pause
  }
  return result
}

/** The aggregation for the rows of internal use, where a name is known to be one. */
export function aggregationNamed(name: string): Aggregation {
  const found = findAggregation(name)
  if (!found) throw new TypeError(`no aggregation ${name}`)
  return found
}

function gather(
  columns: readonly Column[],
  aggregation: Aggregation,
  result: Float64Array,
  known: Uint32Array,
  from: number,
  to: number,
): void {
  const gathered = new Float64Array(columns.length)
  for (let row = from; row < to; row++) {
    let count = 0
    for (let i = 0; i < columns.length; i++) {
      const { values, offset } = columns[i]!
      const at = row - offset
      const value = at >= 0 && at < values.length ? values[at]! : NaN
      gathered[i] = value
      if (value === value) count++
    }
    known[row - from] = count
    result[row] = count === 0 ? NaN : aggregation.of(gathered, 0, columns.length)
  }
}
