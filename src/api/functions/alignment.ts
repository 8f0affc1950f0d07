/**
 * Series side by side, as rows of one time each, for functions over several series.
 *
 * The common step is the least common multiple; series of a finer step are consolidated, each by its own
 * rule. Rows are matched by time. (graphite-web's normalize() matches them by index, so that series whose
 * starts differ are combined out of step; where the starts are equal the two agree.) Where both steps and
 * starts differ, buckets stand at multiples of the common step, so that they do not change as time goes on.
 */

import { consolidateValues } from '../../metric/display.ts'
import type { Column } from '../../metric/rows.ts'
import type { RenderSeries } from '../render-series.ts'

export interface Rows {
  readonly start: number
  readonly end: number
  readonly step: number
  /** Rows. */
  readonly count: number
  /** One a series, in the order given. */
  readonly columns: readonly Column[]
}

/** Nothing for no series. */
export function alignRows(list: readonly RenderSeries[]): Rows | undefined {
  const first = list[0]
  if (!first) return undefined
  let { step, start, end } = first
  let sameStart = true
  let sameStep = true
  for (let i = 1; i < list.length; i++) {
    const series = list[i]!
    if (series.step !== step) {
      sameStep = false
      step = leastCommonMultiple(step, series.step)
    }
    if (series.start !== first.start) sameStart = false
    start = Math.min(start, series.start)
    end = Math.max(end, series.end)
  }
  if (!sameStep && !sameStart) start -= start % step
  end -= (end - start) % step
  const columns: Column[] = []
  let count = 0
  for (let i = 0; i < list.length; i++) {
    const column = toColumn(list[i]!, start, step)
    count = Math.max(count, column.offset + column.values.length)
    columns.push(column)
  }
  return { start, end, step, count, columns }
}

function toColumn(series: RenderSeries, start: number, step: number): Column {
  const offset = Math.floor((series.start - start) / step)
  if (series.step === step) return { values: series.values, offset }
  const valuesPerPoint = step / series.step
  const bucketEnd = start + (offset + 1) * step
  const first = Math.min(Math.ceil((bucketEnd - series.start) / series.step), valuesPerPoint)
  return { values: consolidateValues(series.values, { ...series, valuesPerPoint }, first), offset }
}

function leastCommonMultiple(a: number, b: number): number {
  return (a / greatestCommonDivisor(a, b)) * b
}

function greatestCommonDivisor(a: number, b: number): number {
  let [x, y] = [a, b]
  while (y > 0) [x, y] = [y, x % y]
  return x
}

/** All columns as arrays of `rows.count` values from row 0 on; shared with the series where that is possible. */
export function wholeColumns(rows: Rows): Float64Array[] {
  return rows.columns.map(({ values, offset }) => {
    if (offset === 0 && values.length === rows.count) return values
    const whole = new Float64Array(rows.count).fill(NaN)
    whole.set(values, offset)
    return whole
  })
}
