/**
 * Many values to one: the methods of storage-aggregation.conf, used by roll-ups in the store and by
 * consolidation at render. NaN in, "no value"; NaN out, nothing known.
 *
 * The arithmetic is Whisper's (whisper.py aggregate): average is the sum divided by the count of known
 * values, in slot order. xFilesFactor is compared in float32, as it is stored (python-whisper compares
 * a float32 0.1 with a float64 1/10 and so refuses 1 of 10; go-whisper does as we do).
 */

export const AGGREGATION_METHODS = [
  'average',
  'sum',
  'last',
  'max',
  'min',
  'avg_zero',
  'absmax',
  'absmin',
] as const

export type AggregationMethod = (typeof AGGREGATION_METHODS)[number]

/** Enough known values for a coarser slot? None is never enough. */
export function meetsXFilesFactor(known: number, total: number, xFilesFactor: number): boolean {
  return known > 0 && Math.fround(known / total) >= Math.fround(xFilesFactor)
}

/** How many of `values[from, to)` are known. */
export function countKnown(values: Float64Array, from: number, to: number): number {
  let count = 0
  for (let i = from; i < to; i++) if (!Number.isNaN(values[i]!)) count++
  return count
}

/** One value for `values[from, to)`; NaN when none is known. */
export function aggregate(
  method: AggregationMethod,
  values: Float64Array,
  from: number,
  to: number,
): number {
  switch (method) {
    case 'average':
      return average(values, from, to)
    case 'avg_zero':
      return sum(values, from, to) / (to - from)
    case 'sum':
      return sum(values, from, to)
    case 'last':
      return last(values, from, to)
    case 'max':
      return max(values, from, to)
    case 'min':
      return min(values, from, to)
    case 'absmax':
      return absoluteExtreme(values, from, to, 1)
    case 'absmin':
      return absoluteExtreme(values, from, to, -1)
  }
}

function average(values: Float64Array, from: number, to: number): number {
  let total = 0
  let known = 0
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value === value) {
      total += value
      known++
    }
  }
  return total / known
}

function sum(values: Float64Array, from: number, to: number): number {
  let total = 0
  let known = false
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value === value) {
      total += value
      known = true
    }
  }
  return known ? total : NaN
}

function last(values: Float64Array, from: number, to: number): number {
  for (let i = to - 1; i >= from; i--) {
    const value = values[i]!
    if (value === value) return value
  }
  return NaN
}

function max(values: Float64Array, from: number, to: number): number {
  let best = NaN
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value > best || (value === value && best !== best)) best = value
  }
  return best
}

function min(values: Float64Array, from: number, to: number): number {
  let best = NaN
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value < best || (value === value && best !== best)) best = value
  }
  return best
}

/** The value farthest from zero (`sign` 1) or nearest to it (`sign` −1); the first of equals. */
function absoluteExtreme(values: Float64Array, from: number, to: number, sign: 1 | -1): number {
  let best = NaN
  for (let i = from; i < to; i++) {
    const value = values[i]!
    if (value !== value) continue
    if (best !== best || (Math.abs(value) - Math.abs(best)) * sign > 0) best = value
  }
  return best
}
