/**
 * Several values of one series into one: for display with maxDataPoints, and where series of different
 * steps meet (graphite-web render/datalib.py, render/views.py).
 *
 * Each series says how, by consolidateBy(), and which share of known values it needs.
 */

import { changeSeries, type Consolidation, type RenderSeries } from './render-series.ts'

/**
 * The series as JSON shows them: at most about `maxDataPoints` values over the range of all of them
 * together, and none after the series' end.
 *
 * Values are put into buckets that stand at multiples of the bucket's length, so that a graph that moves on
 * keeps its shape: the values in front of the first whole bucket are left out, and with them, when the start
 * stands at a bucket already, the first bucket. One value asked for is all values in one.
 */
export function consolidateForDisplay(
  list: readonly RenderSeries[],
  maxDataPoints: number | undefined,
): RenderSeries[] {
  if (maxDataPoints === undefined || maxDataPoints < 1) return list.map(cutAtEnd)
  let start = Infinity
  let end = -Infinity
  for (const series of list) {
    start = Math.min(start, series.start)
    end = Math.max(end, series.end)
  }
  return list.map((series) => cutAtEnd(consolidate(series, end - start, maxDataPoints)))
}

function consolidate(series: RenderSeries, range: number, maxDataPoints: number): RenderSeries {
  if (maxDataPoints === 1) return consolidated(series, 0, Math.max(series.values.length, 1))
  const points = range / series.step
  if (maxDataPoints >= points) return series
  const valuesPerPoint = Math.ceil(points / maxDataPoints)
  const bucket = Math.trunc(valuesPerPoint * series.step)
  const nudge = bucket + modulo(series.start, series.step) - modulo(series.start, bucket)
  const lost = Math.max(Math.trunc(nudge / series.step) - 1, 0)
  const nudged = changeSeries(series, { start: series.start + nudge })
  return consolidated(nudged, lost, valuesPerPoint)
}

function consolidated(series: RenderSeries, skip: number, valuesPerPoint: number): RenderSeries {
  if (valuesPerPoint === 1 && skip === 0) return series
  return changeSeries(series, {
    values: consolidateValues(series.values.subarray(skip), { ...series, valuesPerPoint }),
    step: series.step * valuesPerPoint,
    valuesPerPoint: series.valuesPerPoint * valuesPerPoint,
  })
}

/** Values at or before `end`, as many as there are. */
function cutAtEnd(series: RenderSeries): RenderSeries {
  const { start, end, step, values } = series
  const count = Math.max(Math.floor((end - start) / step) + 1, 0)
  return count < values.length
    ? changeSeries(series, { values: values.subarray(0, count) })
    : series
}

function modulo(a: number, b: number): number {
  return ((a % b) + b) % b
}

export interface ConsolidationRule {
  readonly consolidation: Consolidation
  readonly xFilesFactor: number
  readonly valuesPerPoint: number
}

/**
 * Every `valuesPerPoint` values into one; the first bucket holds only `first` of them when that is given,
 * and the last what is left.
 */
export function consolidateValues(
  values: Float64Array,
  rule: ConsolidationRule,
  first: number = rule.valuesPerPoint,
): Float64Array {
  const { valuesPerPoint, xFilesFactor, consolidation } = rule
  const length = values.length
  const count = length === 0 ? 0 : 1 + Math.ceil(Math.max(length - first, 0) / valuesPerPoint)
  const result = new Float64Array(count)
  let from = 0
  for (let bucket = 0; bucket < count; bucket++) {
    const to = Math.min(bucket === 0 ? first : from + valuesPerPoint, length)
    result[bucket] = consolidateBucket(
      values,
      from,
      to,
      valuesPerPoint,
      consolidation,
      xFilesFactor,
    )
    from = to
  }
  return result
}

function consolidateBucket(
  values: Float64Array,
  from: number,
  to: number,
  valuesPerPoint: number,
  consolidation: Consolidation,
  xFilesFactor: number,
): number {
  let known = 0
  let sum = 0
  let min = Infinity
  let max = -Infinity
  let first = NaN
  let last = NaN
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value !== value) continue
    if (known++ === 0) first = value
    last = value
    sum += value
    if (value < min) min = value
    if (value > max) max = value
  }
  if (known === 0 || known / valuesPerPoint < xFilesFactor) return NaN
  switch (consolidation) {
    case 'average':
      return sum / known
    case 'sum':
      return sum
    case 'avg_zero':
      return sum / (to - from)
    case 'min':
      return min
    case 'max':
      return max
    case 'first':
      return first
    case 'last':
      return last
  }
}
