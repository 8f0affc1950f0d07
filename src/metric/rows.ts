/**
 * Many series to one, row by row of one time each, column after column: how sumSeries() and its like run in the
 * api, and in the store where it may combine what it would otherwise send. Sums run in the order in which
 * the columns are given, so that both come to the same bits.
 */

/** What the store can combine. Combining what is combined already, with nothing beside it, changes nothing. */
export const COMBINATIONS = ['sum', 'average', 'min', 'max'] as const

export type Combination = (typeof COMBINATIONS)[number]

export interface Column {
  readonly values: Float64Array
  /** Row of the first value. */
  readonly offset: number
}

/** Adds one column's part of rows [from, to) to `result`, and counts known values from `known[0]` on. */
export type Accumulate = (
  column: Column,
  from: number,
  to: number,
  result: Float64Array,
  known: Uint32Array,
) => void

const ACCUMULATORS = new Map<string, Accumulate>([
  ['sum', addColumn],
  ['total', addColumn],
  ['average', addColumn],
  ['avg', addColumn],
  ['avg_zero', addColumn],
  ['count', addColumn],
  ['min', keepMin],
  ['minimum', keepMin],
  ['max', keepMax],
  ['maximum', keepMax],
  ['diff', subtractColumn],
  ['last', keepLast],
  ['current', keepLast],
])

/** Undefined for what cannot be done column after column. */
export function accumulatorOf(name: string): Accumulate | undefined {
  return ACCUMULATORS.get(name)
}

function addColumn(
  { values, offset }: Column,
  from: number,
  to: number,
  result: Float64Array,
  known: Uint32Array,
): void {
  const end = Math.min(to, offset + values.length)
  for (let row = Math.max(from, offset); row < end; row++) {
    const value = values[row - offset]!
    if (value !== value) continue
    result[row]! += value
    known[row - from]!++
  }
}

function keepMin(
  { values, offset }: Column,
  from: number,
  to: number,
  result: Float64Array,
  known: Uint32Array,
): void {
  const end = Math.min(to, offset + values.length)
  for (let row = Math.max(from, offset); row < end; row++) {
    const value = values[row - offset]!
    if (value !== value) continue
    if (known[row - from]!++ === 0 || value < result[row]!) result[row] = value
  }
}

function keepMax(
  { values, offset }: Column,
  from: number,
  to: number,
  result: Float64Array,
  known: Uint32Array,
): void {
  const end = Math.min(to, offset + values.length)
  for (let row = Math.max(from, offset); row < end; row++) {
    const value = values[row - offset]!
    if (value !== value) continue
    if (known[row - from]!++ === 0 || value > result[row]!) result[row] = value
  }
}

function subtractColumn(
  { values, offset }: Column,
  from: number,
  to: number,
  result: Float64Array,
  known: Uint32Array,
): void {
  const end = Math.min(to, offset + values.length)
  for (let row = Math.max(from, offset); row < end; row++) {
    const value = values[row - offset]!
    if (value !== value) continue
    if (known[row - from]!++ === 0) result[row] = value
    else result[row]! -= value
  }
}

function keepLast(
  { values, offset }: Column,
  from: number,
  to: number,
  result: Float64Array,
  known: Uint32Array,
): void {
  const end = Math.min(to, offset + values.length)
  for (let row = Math.max(from, offset); row < end; row++) {
    const value = values[row - offset]!
    if (value !== value) continue
    result[row] = value
    known[row - from]!++
  }
}

/** Sums become what was asked for. */
export function finishRows(
  name: string,
  columns: number,
  result: Float64Array,
  known: Uint32Array,
  from: number,
  to: number,
): void {
  if (name === 'average' || name === 'avg') {
    for (let row = from; row < to; row++) result[row]! /= known[row - from]!
  } else if (name === 'avg_zero') {
    for (let row = from; row < to; row++) result[row]! /= columns
  } else if (name === 'count') {
    for (let row = from; row < to; row++) result[row] = known[row - from]!
  }
}

/** Rows with too few known values have none. */
export function refuseThinRows(
  result: Float64Array,
  known: Uint32Array,
  total: number,
  xFilesFactor: number,
  from: number,
  to: number,
): void {
  for (let row = from; row < to; row++) {
    const count = known[row - from]!
    if (count === 0 || count / total < xFilesFactor) result[row] = NaN
  }
}
