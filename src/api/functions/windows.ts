/**
 * Aggregates of a window that slides over a series, in O(n) whatever the window's length.
 *
 * Windows are cut at multiples of their length (van Herk, Gil and Werman): each is the end of one block and
 * the beginning of the next, and both are running results. So nothing is ever subtracted: no drift, and no
 * infinity that stays. Medians keep the window's values in order.
 *
 * Result k is of `values[k + 1, k + 1 + window)`: the window ends with the point that it is for.
 */

import { type Aggregation, medianOfSorted, isKnown } from './aggregation.ts'

export interface WindowRule {
  /** Points. */
  readonly window: number
  readonly xFilesFactor: number
}

export function slide(
  values: Float64Array,
  aggregation: Aggregation,
  rule: WindowRule,
): Float64Array {
  const { window } = rule
  const result = new Float64Array(Math.max(values.length - window, 0)).fill(NaN)
  if (window === 0 || result.length === 0) return result
  const slider = SLIDERS.get(aggregation.name)
  if (slider) slider(values, window, result)
  else slideSlowly(values, window, result, aggregation)
  refuseThinWindows(values, rule, result)
  return result
}

type Slider = (values: Float64Array, window: number, result: Float64Array) => void

const SLIDERS = new Map<string, Slider>([
  ['sum', slideSum],
  ['total', slideSum],
  ['average', slideAverage],
  ['avg', slideAverage],
  ['avg_zero', slideAverage],
  ['min', slideMin],
  ['minimum', slideMin],
  ['max', slideMax],
  ['maximum', slideMax],
  ['range', slideRange],
  ['rangeOf', slideRange],
  ['median', slideMedian],
  ['count', slideCount],
  ['last', slideLast],
  ['current', slideLast],
  ['multiply', slideProduct],
  ['stddev', slideDeviation],
])

/** Windows with too few known values are nothing, whatever the slider made of them. */
function refuseThinWindows(values: Float64Array, rule: WindowRule, result: Float64Array): void {
  const { window, xFilesFactor } = rule
  let known = 0
  for (let i = 0; i < window; i++) if (isKnown(values[i]!)) known++
  for (let k = 0; k < result.length; k++) {
    if (isKnown(values[k]!)) known--
    if (isKnown(values[k + window]!)) known++
    if (known === 0 || known / window < xFilesFactor) result[k] = NaN
  }
}

/** Adds what a window's beginning and end hold; both are known to be at least nothing. */
function slideSum(values: Float64Array, window: number, result: Float64Array): void {
  const { length } = values
  const tails = new Float64Array(window)
  for (let block = 1; block <= result.length; block += window) {
    const end = Math.min(block + window, length)
    let tail = 0
    for (let i = end - 1; i >= block; i--) {
      if (isKnown(values[i]!)) tail += values[i]!
      tails[i - block] = tail
    }
    let head = 0
    for (let i = 0; i < window && block - 1 + i < result.length; i++) {
      result[block - 1 + i] = i === 0 ? tails[0]! : tails[i]! + head
      const next = values[block + window + i]!
      if (next === next) head += next
    }
  }
}

function slideAverage(values: Float64Array, window: number, result: Float64Array): void {
  slideSum(values, window, result)
  let known = 0
  for (let i = 0; i < window; i++) if (isKnown(values[i]!)) known++
  for (let k = 0; k < result.length; k++) {
    if (isKnown(values[k]!)) known--
    if (isKnown(values[k + window]!)) known++
    result[k]! /= known
  }
}

function slideMax(values: Float64Array, window: number, result: Float64Array): void {
  const tails = new Float64Array(window)
  for (let block = 1; block <= result.length; block += window) {
    const end = Math.min(block + window, values.length)
    let tail = -Infinity
    for (let i = end - 1; i >= block; i--) {
      if (values[i]! > tail) tail = values[i]!
      tails[i - block] = tail
    }
    let head = -Infinity
    for (let i = 0; i < window && block - 1 + i < result.length; i++) {
      result[block - 1 + i] = Math.max(tails[i]!, head)
      const next = values[block + window + i]!
      if (next > head) head = next
    }
  }
}

function slideMin(values: Float64Array, window: number, result: Float64Array): void {
  const tails = new Float64Array(window)
  for (let block = 1; block <= result.length; block += window) {
    const end = Math.min(block + window, values.length)
    let tail = Infinity
    for (let i = end - 1; i >= block; i--) {
      if (values[i]! < tail) tail = values[i]!
      tails[i - block] = tail
    }
    let head = Infinity
    for (let i = 0; i < window && block - 1 + i < result.length; i++) {
      result[block - 1 + i] = Math.min(tails[i]!, head)
      const next = values[block + window + i]!
      if (next < head) head = next
    }
  }
}

function slideRange(values: Float64Array, window: number, result: Float64Array): void {
  const smallest = new Float64Array(result.length)
  slideMin(values, window, smallest)
  slideMax(values, window, result)
  for (let k = 0; k < result.length; k++) result[k]! -= smallest[k]!
}

/** Missing values do not count: what is known is multiplied. */
function slideProduct(values: Float64Array, window: number, result: Float64Array): void {
  const tails = new Float64Array(window)
  for (let block = 1; block <= result.length; block += window) {
    const end = Math.min(block + window, values.length)
    let tail = 1
    for (let i = end - 1; i >= block; i--) {
      if (isKnown(values[i]!)) tail *= values[i]!
      tails[i - block] = tail
    }
    let head = 1
    for (let i = 0; i < window && block - 1 + i < result.length; i++) {
      result[block - 1 + i] = tails[i]! * head
      const next = values[block + window + i]!
      if (next === next) head *= next
    }
  }
}

function slideCount(values: Float64Array, window: number, result: Float64Array): void {
  let known = 0
  for (let i = 0; i < window; i++) if (isKnown(values[i]!)) known++
  for (let k = 0; k < result.length; k++) {
    if (isKnown(values[k]!)) known--
    if (isKnown(values[k + window]!)) known++
    result[k] = known
  }
}

/** Windows without any value are refused afterwards, so what is older than the window does no harm. */
function slideLast(values: Float64Array, window: number, result: Float64Array): void {
  let last = NaN
  for (let i = 0; i < window; i++) if (isKnown(values[i]!)) last = values[i]!
  for (let k = 0; k < result.length; k++) {
    const value = values[k + window]!
    if (value === value) last = value
    result[k] = last
  }
}

/** The window's known values, in order: one is put in and one taken out with every step. */
function slideMedian(values: Float64Array, window: number, result: Float64Array): void {
  const sorted = new Float64Array(window + 1)
  let length = 0
  for (let i = 0; i < window; i++) {
    if (isKnown(values[i]!)) length = insert(sorted, length, values[i]!)
  }
  for (let k = 0; k < result.length; k++) {
    const gone = values[k]!
    const come = values[k + window]!
    if (gone === gone) length = remove(sorted, length, gone)
    if (come === come) length = insert(sorted, length, come)
    result[k] = medianOfSorted(sorted.subarray(0, length))
  }
}

function insert(sorted: Float64Array, length: number, value: number): number {
  const at = lowerBound(sorted, length, value)
  sorted.copyWithin(at + 1, at, length)
  sorted[at] = value
  return length + 1
}

function remove(sorted: Float64Array, length: number, value: number): number {
  const at = lowerBound(sorted, length, value)
  sorted.copyWithin(at, at + 1, length)
  return length - 1
}

function lowerBound(sorted: Float64Array, length: number, value: number): number {
  let low = 0
  let high = length
  while (low < high) {
    const middle = (low + high) >> 1
    if (sorted[middle]! < value) low = middle + 1
    else high = middle
  }
  return low
}

/**
 * Count, mean and sum of squares of both halves are put together by Chan, Golub and LeVeque's formula,
 * which is as exact as two passes.
 */
function slideDeviation(values: Float64Array, window: number, result: Float64Array): void {
  const tails = {
    known: new Float64Array(window),
    mean: new Float64Array(window),
    squares: new Float64Array(window),
  }
  const moments = { known: 0, mean: 0, squares: 0 }
  for (let block = 1; block <= result.length; block += window) {
    const end = Math.min(block + window, values.length)
    resetMoments(moments)
    for (let i = end - 1; i >= block; i--) {
      addToMoments(moments, values[i]!)
      tails.known[i - block] = moments.known
      tails.mean[i - block] = moments.mean
      tails.squares[i - block] = moments.squares
    }
    resetMoments(moments)
    for (let i = 0; i < window && block - 1 + i < result.length; i++) {
      const known = tails.known[i]! + moments.known
      const apart = moments.mean - tails.mean[i]!
      const between = known === 0 ? 0 : (apart * apart * tails.known[i]! * moments.known) / known
      result[block - 1 + i] = Math.sqrt((tails.squares[i]! + moments.squares + between) / known)
      addToMoments(moments, values[block + window + i]!)
    }
  }
}

interface Moments {
  known: number
  mean: number
  squares: number
}

function resetMoments(moments: Moments): void {
  moments.known = 0
  moments.mean = 0
  moments.squares = 0
}

function addToMoments(moments: Moments, value: number): void {
  if (value !== value) return
  moments.known++
  const apart = value - moments.mean
  moments.mean += apart / moments.known
  moments.squares += apart * (value - moments.mean)
}

/** For aggregations that are seldom asked for: only known values, as the others have it. */
function slideSlowly(
  values: Float64Array,
  window: number,
  result: Float64Array,
  aggregation: Aggregation,
): void {
  const known = new Float64Array(window)
  for (let k = 0; k < result.length; k++) {
    let count = 0
    for (let i = k + 1; i <= k + window; i++) if (isKnown(values[i]!)) known[count++] = values[i]!
    result[k] = aggregation.of(known, 0, count)
  }
}
