/**
 * Functions that put series in order. All sorts are stable; what has no value comes below everything.
 */

import type { RenderSeries } from '../render-series.ts'
import { AGGREGATION_NAMES, max } from './aggregation.ts'
import { aggregationOf } from './aggregate-series.ts'
import type { RenderFunction } from './function.ts'
import { optional, SERIES_LIST } from './param.ts'

/** By an aggregate of their values; reversed, equals stay in their order. */
export function orderBy(
  list: readonly RenderSeries[],
  func: string,
  reverse: boolean,
): RenderSeries[] {
  const aggregation = aggregationOf(func)
  const keyed = list.map((series) => {
    const key = aggregation.of(series.values, 0, series.values.length)
    return { series, key: key === key ? key : -Infinity }
  })
  keyed.sort(reverse ? (a, b) => compare(b.key, a.key) : (a, b) => compare(a.key, b.key))
  return keyed.map(({ series }) => series)
}

function compare<T extends number | string>(a: T, b: T): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

/** By code points, as Python compares: above U+FFFF this is not the order of UTF-16 units. */
export function compareNames(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    if (a.charCodeAt(i) === b.charCodeAt(i)) continue
    return isSurrogate(a.charCodeAt(i)) === isSurrogate(b.charCodeAt(i))
      ? a.charCodeAt(i) - b.charCodeAt(i)
      : Number(isSurrogate(a.charCodeAt(i))) - Number(isSurrogate(b.charCodeAt(i)))
  }
  return a.length - b.length
}

/** A new list. */
export function sortedByName(list: readonly RenderSeries[]): RenderSeries[] {
  return [...list].sort((a, b) => compareNames(a.name, b.name))
}

function isSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdfff
}

const sortBy: RenderFunction = {
  name: 'sortBy',
  group: 'Sorting',
  description:
    'In the order of the values aggregated with `func`, upwards unless `reverse` is true.',
  params: [
    SERIES_LIST,
    optional('aggFunc', 'func', { default: 'average', options: AGGREGATION_NAMES }),
    optional('boolean', 'reverse', { default: false }),
  ],
  run: ({ args }) => orderBy(args.series(0), args.text(1, 'average'), args.flag(2)),
}

const sortByName: RenderFunction = {
  name: 'sortByName',
  group: 'Sorting',
  description: 'In the order of names; `natural` puts server2 in front of server10.',
  params: [
    SERIES_LIST,
    optional('boolean', 'natural', { default: false }),
    optional('boolean', 'reverse', { default: false }),
  ],
  run({ args }) {
    const natural = args.flag(1)
    const keyed = args.series(0).map((series) => ({
      series,
      key: natural ? naturalKey(series.name) : series.name,
    }))
    const sign = args.flag(2) ? -1 : 1
    keyed.sort((a, b) => sign * compareNames(a.key, b.key))
    return keyed.map(({ series }) => series)
  },
}

/** Numbers padded to ten digits. */
function naturalKey(name: string): string {
  return name.replaceAll(/\d+/g, (digits) => digits.replace(/^0+(?=\d)/, '').padStart(10, '0'))
}

const sortByTotal: RenderFunction = {
  name: 'sortByTotal',
  group: 'Sorting',
  description: 'The largest sum first.',
  params: [SERIES_LIST],
  run: ({ args }) => orderBy(args.series(0), 'sum', true),
}

const sortByMaxima: RenderFunction = {
  name: 'sortByMaxima',
  group: 'Sorting',
  description: 'The largest maximum first.',
  params: [SERIES_LIST],
  run: ({ args }) => orderBy(args.series(0), 'max', true),
}

const sortByMinima: RenderFunction = {
  name: 'sortByMinima',
  group: 'Sorting',
  description: 'The smallest minimum first; series that never rise above 0 are left out.',
  params: [SERIES_LIST],
  run({ args }) {
    const list = args.series(0).filter(({ values }) => max(values, 0, values.length) > 0)
    return orderBy(list, 'min', false)
  },
}

export const SORT_FUNCTIONS: readonly RenderFunction[] = [
  sortBy,
  sortByName,
  sortByTotal,
  sortByMaxima,
  sortByMinima,
]
