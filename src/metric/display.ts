/**
 * Several values of one series into one: for display with maxDataPoints, and where series of different
 * steps meet (graphite-web render/datalib.py, render/views.py). The api does it with what functions made, the
 * store with plain series before it sends them; both must come to the same bits.
 */

import { aggregate, countKnown } from './consolidation.ts'

/** How values are put together when there are more than pixels: consolidateBy's names. */
export const CONSOLIDATIONS = ['sum', 'average', 'avg_zero', 'min', 'max', 'first', 'last'] as const

export type Consolidation = (typeof CONSOLIDATIONS)[number]

/** Where a series stands; Unix seconds. */
export interface Extent {
  readonly start: number
  readonly end: number
  readonly step: number
  /** Values. */
  readonly length: number
}

/** How a series is shown: `count` values, each of `valuesPerPoint` from `skip` on. */
export interface Shown {
  readonly start: number
  readonly step: number
  readonly skip: number
  readonly valuesPerPoint: number
  readonly count: number
}

/**
 * The series as JSON shows it: at most about `maxDataPoints` values over `range`, the seconds from the first start
 * to the last end of all series of the answer, and none after the series' end.
 *
 * Values are put into buckets that stand at multiples of the bucket's length, so that a graph that moves on
 * keeps its shape: the values in front of the first whole bucket are left out, and with them, when the start
 * stands at a bucket already, the first bucket. One value asked for is all values in one.
 */
export function showWithin(series: Extent, range: number, maxDataPoints: number): Shown {
  const { start, step, length } = series
  if (maxDataPoints === 1) return cutAtEnd(series, start, 0, Math.max(length, 1))
  const points = range / step
  if (maxDataPoints >= points) return cutAtEnd(series, start, 0, 1)
  const valuesPerPoint = Math.ceil(points / maxDataPoints)
  const bucket = Math.trunc(valuesPerPoint * step)
  const nudge = bucket + modulo(start, step) - modulo(start, bucket)
  const skip = Math.max(Math.trunc(nudge / step) - 1, 0)
  return cutAtEnd(series, start + nudge, skip, valuesPerPoint)
}

/** Values at or before the end, as many as there are. */
function cutAtEnd(series: Extent, start: number, skip: number, valuesPerPoint: number): Shown {
  const step = series.step * valuesPerPoint
  const there = Math.ceil(Math.max(series.length - skip, 0) / valuesPerPoint)
  const count = Math.min(there, Math.max(Math.floor((series.end - start) / step) + 1, 0))
  return { start, step, skip, valuesPerPoint, count }
}

function modulo(a: number, b: number): number {
  return ((a % b) + b) % b
}

export interface ConsolidationRule {
  readonly consolidation: Consolidation
  /** Share of known values that are needed. */
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
  const result = new Float64Array(bucketsOf(values, rule, first))
  consolidateInto(result, values, rule, first)
  return result
}

/** How many values `consolidateValues` makes. */
export function bucketsOf(
  { length }: Float64Array,
  { valuesPerPoint }: ConsolidationRule,
  first: number = valuesPerPoint,
): number {
  return length === 0 ? 0 : 1 + Math.ceil(Math.max(length - first, 0) / valuesPerPoint)
}

/** As `consolidateValues`, into the caller's array. */
export function consolidateInto(
  result: Float64Array,
  values: Float64Array,
  rule: ConsolidationRule,
  first: number = rule.valuesPerPoint,
): void {
  const { valuesPerPoint, xFilesFactor, consolidation } = rule
  const { length } = values
  const count = bucketsOf(values, rule, first)
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
}

function consolidateBucket(
  values: Float64Array,
  from: number,
  to: number,
  valuesPerPoint: number,
  consolidation: Consolidation,
  xFilesFactor: number,
): number {
  if (xFilesFactor > 0 && countKnown(values, from, to) / valuesPerPoint < xFilesFactor) return NaN
  return consolidation === 'first'
    ? firstKnown(values, from, to)
    : aggregate(consolidation, values, from, to)
}

function firstKnown(values: Float64Array, from: number, to: number): number {
  for (let i = from; i < to; i++) if (!Number.isNaN(values[i]!)) return values[i]!
  return NaN
}
