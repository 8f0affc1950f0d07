/**
 * Many values to one: the functions that `aggFunc` parameters name (graphite-web functions/aggfuncs.py and
 * functions/safe.py). NaN in is "no value"; NaN out is "nothing known".
 *
 * Sums run from left to right, as Python's do, so that results agree to the last bit.
 */

export interface Aggregation {
  /** Without alias and without `Series`. */
  readonly name: string
  /** Of `values[from, to)`. */
  readonly of: (values: Float64Array, from: number, to: number) => number
}

/** As /functions lists them; the last four are aliases. */
export const AGGREGATION_NAMES = [
  'average',
  'avg_zero',
  'median',
  'sum',
  'min',
  'max',
  'diff',
  'stddev',
  'count',
  'range',
  'multiply',
  'last',
  'rangeOf',
  'avg',
  'total',
  'current',
] as const

const AGGREGATIONS = new Map<string, Aggregation['of']>([
  ['average', average],
  ['avg_zero', averageWithZeros],
  ['median', median],
  ['sum', sum],
  ['min', min],
  ['max', max],
  ['diff', diff],
  ['stddev', deviation],
  ['count', count],
  ['range', range],
  ['multiply', multiply],
  ['last', last],
  ['rangeOf', range],
  ['avg', average],
  ['total', sum],
  ['current', last],
  // carbonapi's
  ['first', first],
  ['maximum', max],
  ['minimum', min],
])

const known = new Map<string, Aggregation>()

/** An aggregation by name, by name with `Series` behind it, or by percentile as `p99.9`. */
export function findAggregation(text: string): Aggregation | undefined {
  const name = text.endsWith('Series') ? text.slice(0, -6) : text
  const found = known.get(name)
  if (found) return found
  const of = AGGREGATIONS.get(name) ?? percentileByName(name)
  if (!of) return undefined
  const aggregation = { name, of }
  // Percentiles are not kept: their names are the asker's.
  if (AGGREGATIONS.has(name)) known.set(name, aggregation)
  return aggregation
}

function percentileByName(name: string): Aggregation['of'] | undefined {
  const percent = /^p(\d{1,2}(?:\.\d{1,6})?|100)$/.exec(name)
  if (!percent) return undefined
  return (values, from, to) => percentile(sortedKnown(values, from, to), Number(percent[1]), true)
}

/** Whether it is a value at all. */
export function isKnown(value: number): boolean {
  return value === value
}

export function sum(values: Float64Array, from: number, to: number): number {
  let total = 0
  let known = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value !== value) continue
    total += value
    known++
  }
  return known === 0 ? NaN : total
}

export function average(values: Float64Array, from: number, to: number): number {
  let total = 0
  let known = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value !== value) continue
    total += value
    known++
  }
  return known === 0 ? NaN : total / known
}

function averageWithZeros(values: Float64Array, from: number, to: number): number {
  if (from >= to) return NaN
  const total = sum(values, from, to)
  return (total === total ? total : 0) / (to - from)
}

export function count(values: Float64Array, from: number, to: number): number {
  let known = 0
  for (let i = from; i < to; i++) if (isKnown(values[i]!)) known++
  return known
}

export function min(values: Float64Array, from: number, to: number): number {
  let best = NaN
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value < best || (best !== best && value === value)) best = value
  }
  return best
}

export function max(values: Float64Array, from: number, to: number): number {
  let best = NaN
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value > best || (best !== best && value === value)) best = value
  }
  return best
}

function range(values: Float64Array, from: number, to: number): number {
  return max(values, from, to) - min(values, from, to)
}

export function first(values: Float64Array, from: number, to: number): number {
  for (let i = from; i < to; i++) if (isKnown(values[i]!)) return values[i]!
  return NaN
}

export function last(values: Float64Array, from: number, to: number): number {
  for (let i = to - 1; i >= from; i--) if (isKnown(values[i]!)) return values[i]!
  return NaN
}

/** The first known value less the others. */
function diff(values: Float64Array, from: number, to: number): number {
  let total = NaN
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value !== value) continue
    total = total === total ? total - value : value
  }
  return total
}

/** Nothing when any value is missing. */
function multiply(values: Float64Array, from: number, to: number): number {
  if (from >= to) return NaN
  let product = values[from]!
  for (let i = from + 1; i < to; i++) product *= values[i]!
  return product
}

/** Of the whole population. */
function deviation(values: Float64Array, from: number, to: number): number {
  const mean = average(values, from, to)
  let squares = 0
  let known = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value !== value) continue
    squares += (value - mean) * (value - mean)
    known++
  }
  return known === 0 ? NaN : Math.sqrt(squares / known)
}

function median(values: Float64Array, from: number, to: number): number {
  return medianOfSorted(sortedKnown(values, from, to))
}

export function medianOfSorted(sorted: Float64Array): number {
  const middle = sorted.length >> 1
  if (sorted.length === 0) return NaN
  return sorted.length % 2 === 0 ? (sorted[middle - 1]! + sorted[middle]!) / 2 : sorted[middle]!
}

/** The known values of `values[from, to)` in order. */
export function sortedKnown(values: Float64Array, from: number, to: number): Float64Array {
  const sorted = new Float64Array(to - from)
  let known = 0
  for (let i = from; i < to; i++) if (isKnown(values[i]!)) sorted[known++] = values[i]!
  return sorted.subarray(0, known).sort()
}

/**
 * The value below which `percent` of the sorted values lie: rank = percent/100 × (count + 1), rounded up
 * unless it is interpolated (graphite-web _getPercentile).
 */
export function percentile(sorted: Float64Array, percent: number, interpolate: boolean): number {
  const count = sorted.length
  if (count === 0) return NaN
  const exactRank = (percent / 100) * (count + 1)
  const whole = Math.trunc(exactRank)
  const fraction = exactRank - whole
  const rank = interpolate ? whole : whole + Math.ceil(fraction)
  const value = rank <= 0 ? sorted[0]! : sorted[Math.min(rank, count) - 1]!
  if (!interpolate || rank >= count) return value
  return value + fraction * (sorted[Math.max(rank, 0)]! - value)
}
