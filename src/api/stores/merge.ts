/**
 * Answers of several stores to one. Of two stores that know a slot the first listed wins; where steps
 * differ the finer is consolidated, by its own method and xFilesFactor, to the step that both divide.
 */

import { aggregate, countKnown, meetsXFilesFactor } from '../../metric/consolidation.ts'
import type { FetchedSeries, FindMatch } from '../../ipc/store-protocol.ts'

/** One list, sorted by path, without repetitions. */
export function mergeMatches(lists: readonly (readonly FindMatch[])[]): readonly FindMatch[] {
  if (lists.length === 1) return lists[0]!
  const byKey = new Map<string, FindMatch>()
  for (const list of lists) {
    for (const match of list) {
      const key = `${match.isLeaf ? 'l' : 'b'}${match.path}`
      byKey.set(key, withLatest(byKey.get(key) ?? match, match))
    }
  }
  return [...byKey.values()].sort((a, b) => compareText(a.path, b.path))
}

/** `match`, with the time at which either store has seen the series last; no span where one has not told. */
function withLatest(match: FindMatch, other: FindMatch): FindMatch {
  const { span, ...rest } = match
  if (!span || !other.span) return rest
  return { ...rest, span: { ...span, lastSeen: Math.max(span.lastSeen, other.span.lastSeen) } }
}

/** The union, sorted in code point order. */
export function mergeNames(lists: readonly (readonly string[])[]): readonly string[] {
  return lists.length === 1 ? lists[0]! : [...new Set(lists.flat())].sort(compareText)
}

/** Series of one selector from every store, in the stores' rank, to one list sorted by name. */
export function mergeSeries(
  lists: readonly (readonly FetchedSeries[])[],
): readonly FetchedSeries[] {
  if (lists.length === 1) return lists[0]!.toSorted((a, b) => compareText(a.name, b.name))
  const byName = new Map<string, FetchedSeries>()
  for (const list of lists) {
    for (const series of list) {
      const better = byName.get(series.name)
      byName.set(series.name, better ? overlay(better, series) : series)
    }
  }
  return [...byName.values()].sort((a, b) => compareText(a.name, b.name))
}

/** UTF-16 order differs from code point order only with surrogates, which sort after U+FFFF there. */
export function compareText(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const left = a.charCodeAt(i)
    const right = b.charCodeAt(i)
    if (left === right) continue
    const leftIsSurrogate = left >= 0xd800 && left <= 0xdfff
    const rightIsSurrogate = right >= 0xd800 && right <= 0xdfff
    if (leftIsSurrogate !== rightIsSurrogate) return leftIsSurrogate ? 1 : -1
    return left - right
  }
  return a.length - b.length
}

/** `upper`, and `lower` where `upper` has no value. */
function overlay(upper: FetchedSeries, lower: FetchedSeries): FetchedSeries {
  const step = commonMultiple(upper.step, lower.step)
  const top = coarsened(upper, step)
  const bottom = coarsened(lower, step)
  if (top.values.length === 0) return bottom
  if (bottom.values.length === 0) return top
  const start = Math.min(top.start, bottom.start)
  const end = Math.max(endOf(top), endOf(bottom))
  const values = new Float64Array((end - start) / step).fill(NaN)
  values.set(bottom.values, (bottom.start - start) / step)
  const offset = (top.start - start) / step
  for (let i = 0; i < top.values.length; i++) {
    const value = top.values[i]!
    if (value === value) values[offset + i] = value
  }
  return { ...top, start, values }
}

function coarsened(series: FetchedSeries, step: number): FetchedSeries {
  if (series.step === step && series.start % step === 0) return series
  const { values, method, xFilesFactor } = series
  const start = Math.floor(series.start / step) * step
  const count = Math.ceil((endOf(series) - start) / step)
  const coarse = new Float64Array(count).fill(NaN)
  for (let i = 0; i < count; i++) {
    const from = Math.max(0, Math.ceil((start + i * step - series.start) / series.step))
    const to = Math.min(
      values.length,
      Math.ceil((start + (i + 1) * step - series.start) / series.step),
    )
    if (meetsXFilesFactor(countKnown(values, from, to), to - from, xFilesFactor)) {
      coarse[i] = aggregate(method, values, from, to)
    }
  }
  return { ...series, start, step, values: coarse }
}

function endOf(series: FetchedSeries): number {
  return series.start + series.step * series.values.length
}

function commonMultiple(a: number, b: number): number {
  let x = a
  let y = b
  while (y !== 0) [x, y] = [y, x % y]
  return (a / x) * b
}
