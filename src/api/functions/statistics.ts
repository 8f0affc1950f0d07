/**
 * Correlation, the Kolmogorov-Smirnov test and polynomials: the mathematics behind carbonapi's functions.
 */

import { isKnown, sortedKnown } from './aggregation.ts'

/** Pearson's correlation over the pairs of which both are known; NaN where one side does not vary. */
export function correlation(a: Float64Array, b: Float64Array, from: number, to: number): number {
  let count = 0
  let sumA = 0
  let sumB = 0
  for (let i = from; i < to; i++) {
    if (!isKnown(a[i]! + b[i]!)) continue
    count++
    sumA += a[i]!
    sumB += b[i]!
  }
  const [meanA, meanB] = [sumA / count, sumB / count]
  let product = 0
  let squaresA = 0
  let squaresB = 0
  for (let i = from; i < to; i++) {
    if (!isKnown(a[i]! + b[i]!)) continue
    const [distanceA, distanceB] = [a[i]! - meanA, b[i]! - meanB]
    product += distanceA * distanceB
    squaresA += distanceA * distanceA
    squaresB += distanceB * distanceB
  }
  const scale = Math.sqrt(squaresA * squaresB)
  return scale === 0 ? NaN : product / scale
}

/**
 * The probability that two samples, `values[from, to)` of each, come from one distribution (two-sample
 * Kolmogorov-Smirnov test, with Stephens's correction for small samples).
 */
export function kolmogorovSmirnov(
  a: Float64Array,
  b: Float64Array,
  from: number,
  to: number,
): number {
  const [first, second] = [sortedKnown(a, from, to), sortedKnown(b, from, to)]
  if (first.length === 0 || second.length === 0) return NaN
  const size = Math.sqrt((first.length * second.length) / (first.length + second.length))
  return kolmogorovTail((size + 0.12 + 0.11 / size) * largestDistance(first, second))
}

/** Between the cumulative distributions of two sorted samples. */
function largestDistance(a: Float64Array, b: Float64Array): number {
  let i = 0
  let j = 0
  let largest = 0
  while (i < a.length && j < b.length) {
    const value = Math.min(a[i]!, b[j]!)
    while (i < a.length && a[i] === value) i++
    while (j < b.length && b[j] === value) j++
    largest = Math.max(largest, Math.abs(i / a.length - j / b.length))
  }
  return largest
}

/** 1 less Kolmogorov's distribution at z, by the series that converges fast on its side of 1.18. */
function kolmogorovTail(z: number): number {
  if (z <= 0) return 1
  if (z < 1.18) {
    const base = Math.exp(-(Math.PI ** 2) / (8 * z * z))
    const sum = base + base ** 9 + base ** 25 + base ** 49
    return 1 - (Math.sqrt(2 * Math.PI) / z) * sum
  }
  const base = Math.exp(-2 * z * z)
  return 2 * (base - base ** 4 + base ** 9)
}

/** A polynomial, to be evaluated at any index. */
export type Polynomial = (x: number) => number

/**
 * The polynomial of least squares through the known values, x being their index; nothing when there are not
 * more values than the degree. Forsythe's orthogonal polynomials: stable without inverting a matrix.
 */
export function fitPolynomial(values: Float64Array, degree: number): Polynomial | undefined {
  const xs: number[] = []
  const ys: number[] = []
  for (let i = 0; i < values.length; i++) {
    if (!isKnown(values[i]!)) continue
    xs.push(i)
    ys.push(values[i]!)
  }
  if (xs.length <= degree) return undefined
  const terms = orthogonalTerms(xs, ys, degree)
  return (x) => {
    let [before, current] = [0, 1]
    let sum = 0
    for (const { weight, shift, damp } of terms) {
      sum += weight * current
      const next = (x - shift) * current - damp * before
      before = current
      current = next
    }
    return sum
  }
}

/** p₀ = 1, pₖ₊₁(x) = (x − shift) pₖ(x) − damp pₖ₋₁(x); the fit is Σ weight pₖ. */
interface Term {
  readonly weight: number
  readonly shift: number
  readonly damp: number
}

function orthogonalTerms(xs: readonly number[], ys: readonly number[], degree: number): Term[] {
  const terms: Term[] = []
  let before = xs.map(() => 0)
  let current = xs.map(() => 1)
  let normBefore = 1
  for (let k = 0; k <= degree; k++) {
    let [norm, onY, onX] = [0, 0, 0]
    for (let i = 0; i < xs.length; i++) {
      const square = current[i]! * current[i]!
      norm += square
      onX += xs[i]! * square
      onY += ys[i]! * current[i]!
    }
    const term = { weight: onY / norm, shift: onX / norm, damp: k === 0 ? 0 : norm / normBefore }
    terms.push(term)
    const next = xs.map((x, i) => (x - term.shift) * current[i]! - term.damp * before[i]!)
    before = current
    current = next
    normBefore = norm
  }
  return terms
}
