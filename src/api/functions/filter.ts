/**
 * Functions that choose among series by their values or names, and functions that take single values out.
 */

import { formatG, pythonFloat } from '../python-format.ts'
import { RenderError, renameSeries, type RenderSeries, withTag } from '../render-series.ts'
import {
  AGGREGATION_NAMES,
  average,
  count,
  isKnown,
  max,
  percentile,
  sortedKnown,
} from './aggregation.ts'
import { aggregationOf } from './aggregate-series.ts'
import { alignRows, wholeColumns } from './alignment.ts'
import { eachSeries, type FunctionCall, type RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { compilePattern, compileReplacement } from './pattern-arguments.ts'
import { orderBy } from './sort.ts'

// ── by one number ───────────────────────────────────────────────────────────────────────────────────

/** What is unknown fails `=`, `>` and `>=`, and passes the others. */
const OPERATORS: Readonly<Record<string, (value: number, threshold: number) => boolean>> = {
  '=': (value, threshold) => value === threshold,
  '!=': (value, threshold) => value !== threshold,
  '>': (value, threshold) => value > threshold,
  '>=': (value, threshold) => value >= threshold,
  '<': (value, threshold) => !(value >= threshold),
  '<=': (value, threshold) => !(value > threshold),
}

function passing(
  list: readonly RenderSeries[],
  func: string,
  operator: string,
  threshold: number,
): RenderSeries[] {
  const aggregation = aggregationOf(func)
  const test = OPERATORS[operator]
  if (!test) throw new RenderError(`unknown operator ${JSON.stringify(operator)}`)
  return list.filter(({ values }) => test(aggregation.of(values, 0, values.length), threshold))
}

const FUNC = { options: AGGREGATION_NAMES }
const N_FLOAT = required('float', 'n')
const N = required('integer', 'n')

const filterSeries: RenderFunction = {
  name: 'filterSeries',
  group: 'Filter Series',
  description:
    'The series whose values, aggregated with `func`, compare with `threshold` as `operator` says.',
  params: [
    SERIES_LIST,
    required('aggFunc', 'func', FUNC),
    required('string', 'operator', { options: ['!=', '<', '<=', '=', '>', '>='] }),
    required('float', 'threshold'),
  ],
  run: ({ args }) => passing(args.series(0), args.text(1), args.text(2), args.number(3)),
}

function threshold(name: string, func: string, operator: '>' | '<='): RenderFunction {
  const words = { max: 'largest', min: 'smallest', last: 'last', average: 'average' }[func] ?? func
  return {
    name,
    group: 'Filter Series',
    description: `The series whose ${words} value is ${operator === '>' ? 'above' : 'at or below'} \`n\`.`,
    params: [SERIES_LIST, N_FLOAT],
    run: ({ args }) => passing(args.series(0), func, operator, args.number(1)),
  }
}

/** The first `n` in order; a negative n leaves out so many at the end, as a Python slice does. */
function take<T>(list: readonly T[], n: number): T[] {
  return list.slice(0, n)
}

/** The `n` series that are first by an aggregate of their values. */
export function ranked(
  name: string,
  description: string,
  func: string,
  reverse: boolean,
): RenderFunction {
  return {
    name,
    group: 'Filter Series',
    description,
    params: [SERIES_LIST, N],
    run: ({ args }) => take(orderBy(args.series(0), func, reverse), args.number(1)),
  }
}

function rankedBy(name: string, description: string, reverse: boolean): RenderFunction {
  return {
    name,
    group: 'Filter Series',
    description,
    params: [
      SERIES_LIST,
      required('integer', 'n'),
      optional('aggFunc', 'func', { default: 'average', ...FUNC }),
    ],
    signature: `${name}(seriesList, n=1, func='average')`,
    run: ({ args }) =>
      take(orderBy(args.series(0), args.text(2, 'average'), reverse), args.number(1, 1)),
  }
}

const limit: RenderFunction = {
  name: 'limit',
  group: 'Filter Series',
  description: 'The first `n` series.',
  params: [SERIES_LIST, N],
  run: ({ args }) => take(args.series(0), args.number(1)),
}

// ── by name ─────────────────────────────────────────────────────────────────────────────────────────

function byPattern(name: string, description: string, keep: boolean): RenderFunction {
  return {
    name,
    group: 'Filter Series',
    description,
    params: [SERIES_LIST, required('string', 'pattern')],
    run({ args }) {
      const regex = compilePattern(args.text(1))
      return args.series(0).filter((series) => regex.test(series.name) === keep)
    },
  }
}

const unique: RenderFunction = {
  name: 'unique',
  group: 'Filter Series',
  description: 'Of series with the same name the first.',
  params: [required('seriesList', 'seriesLists', { multiple: true })],
  run({ args }) {
    const seen = new Set<string>()
    return args.seriesFrom(0).filter(({ name }) => {
      if (seen.has(name)) return false
      seen.add(name)
      return true
    })
  },
}

const useSeriesAbove: RenderFunction = {
  name: 'useSeriesAbove',
  group: 'Filter Series',
  description:
    'Where the largest value of a series is above `value`, another series, whose name is made by `search` ' +
    'and `replace`.',
  params: [
    SERIES_LIST,
    required('float', 'value'),
    required('string', 'search'),
    required('string', 'replace'),
  ],
  async run(call) {
    const { args } = call
    const replace = compileReplacement(args.text(2), args.text(3))
    const value = args.number(1)
    const names = args
      .series(0)
      .filter(({ values }) => max(values, 0, values.length) > value)
      .map(({ name }) => replace(name))
    const lists = await Promise.all(names.map((name) => call.evaluate(name)))
    return lists.flat().filter(({ values }) => values.length > 0)
  },
}

// ── by how much is known, and how far from the others ───────────────────────────────────────────────

const removeEmptySeries: RenderFunction = {
  name: 'removeEmptySeries',
  group: 'Filter Series',
  description:
    'Leaves out series without values, or with a smaller share of known values than `xFilesFactor`.',
  params: [SERIES_LIST, optional('float', 'xFilesFactor')],
  run({ args }) {
    const needed = args.number(1, 0)
    return args.series(0).filter(({ values }) => {
      const known = count(values, 0, values.length)
      return known > 0 && known / values.length >= needed
    })
  },
}

const averageOutsidePercentile: RenderFunction = {
  name: 'averageOutsidePercentile',
  group: 'Filter Series',
  description:
    'The series whose average is among the highest or the lowest: outside the percentile `n`.',
  params: [SERIES_LIST, N_FLOAT],
  run({ args }) {
    const list = args.series(0)
    const averages = Float64Array.from(list, ({ values }) => average(values, 0, values.length))
    const [low, high] = percentileBand(averages, args.number(1))
    return list.filter((_, i) => !(averages[i]! > low && averages[i]! < high))
  },
}

/** The percentiles 100 − n and n, n taken as at least 50. */
function percentileBand(values: Float64Array, n: number): [low: number, high: number] {
  const percent = n < 50 ? 100 - n : n
  const sorted = sortedKnown(values, 0, values.length)
  return [percentile(sorted, 100 - percent, false), percentile(sorted, percent, false)]
}

const removeBetweenPercentile: RenderFunction = {
  name: 'removeBetweenPercentile',
  group: 'Filter Series',
  description: 'The series that at some time are outside the percentile `n` of all of them.',
  params: [SERIES_LIST, N_FLOAT],
  async run(call) {
    const list = call.args.series(0)
    const rows = alignRows(list)
    if (!rows) return []
    const columns = wholeColumns(rows)
    const outside = new Uint8Array(list.length)
    const row = new Float64Array(list.length)
    for (let i = 0; i < rows.count; i++) {
      for (let column = 0; column < columns.length; column++) row[column] = columns[column]![i]!
      const [low, high] = percentileBand(row, call.args.number(1))
      for (let column = 0; column < columns.length; column++) {
        const value = row[column]!
        if (value === value && !(value > low && value < high)) outside[column] = 1
      }
      const pause = call.pace.spend(columns.length * 8)
      if (pause) await pause
    }
    return list.filter((_, i) => outside[i] === 1)
  },
}

const mostDeviant: RenderFunction = {
  name: 'mostDeviant',
  group: 'Filter Series',
  description: 'The `n` series that vary most, by standard deviation.',
  params: [SERIES_LIST, N],
  run({ args }) {
    const deviants: { series: RenderSeries; variance: number }[] = []
    for (const series of args.series(0)) {
      const variance = varianceOf(series.values)
      if (variance === variance) deviants.push({ series, variance })
    }
    deviants.sort((a, b) => b.variance - a.variance)
    return take(deviants, args.number(1)).map(({ series }) => series)
  },
}

function varianceOf(values: Float64Array): number {
  const mean = average(values, 0, values.length)
  let squares = 0
  let known = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value !== value) continue
    squares += (value - mean) ** 2
    known++
  }
  return squares / known
}

// ── single values ───────────────────────────────────────────────────────────────────────────────────

function removing(
  name: string,
  description: string,
  side: 'above' | 'below',
  limit: 'value' | 'percentile',
): RenderFunction {
  return {
    name,
    group: 'Filter Data',
    description,
    params: [SERIES_LIST, N_FLOAT],
    run(call: FunctionCall) {
      const n = call.args.number(1)
      return eachSeries(call, call.args.series(0), (series) => {
        const border = limit === 'value' ? n : percentileOfValues(series.values, n)
        const values = series.values.slice()
        for (let i = 0; i < values.length; i++) {
          if (side === 'above' ? values[i]! > border : values[i]! < border) values[i] = NaN
        }
        const marked = limit === 'percentile' && isKnown(border)
        const tags = marked ? withTag(series.tags, 'nPercentile', pythonFloat(n)) : series.tags
        return renameSeries(series, `${name}(${series.name}, ${formatG(n)})`, { values, tags })
      })
    },
  }
}

/** Of the values of one series; n must be over 0. */
export function percentileOfValues(values: Float64Array, n: number): number {
  if (n === 0) throw new RenderError('the percentile must not be 0')
  return percentile(sortedKnown(values, 0, values.length), n, false)
}

export const FILTER_FUNCTIONS: readonly RenderFunction[] = [
  filterSeries,
  threshold('maximumAbove', 'max', '>'),
  threshold('maximumBelow', 'max', '<='),
  threshold('minimumAbove', 'min', '>'),
  threshold('minimumBelow', 'min', '<='),
  threshold('currentAbove', 'last', '>'),
  threshold('currentBelow', 'last', '<='),
  threshold('averageAbove', 'average', '>'),
  threshold('averageBelow', 'average', '<='),
  rankedBy('highest', 'The `n` series that are highest by `func`, the highest first.', true),
  rankedBy('lowest', 'The `n` series that are lowest by `func`, the lowest first.', false),
  ranked('highestAverage', 'The `n` series with the highest average.', 'average', true),
  ranked('highestCurrent', 'The `n` series with the highest last value.', 'last', true),
  ranked('highestMax', 'The `n` series with the highest maximum.', 'max', true),
  ranked('lowestAverage', 'The `n` series with the lowest average.', 'average', false),
  ranked('lowestCurrent', 'The `n` series with the lowest last value.', 'last', false),
  limit,
  byPattern('exclude', 'Leaves out series whose name matches the regular expression.', false),
  byPattern('grep', 'Keeps only series whose name matches the regular expression.', true),
  unique,
  useSeriesAbove,
  removeEmptySeries,
  averageOutsidePercentile,
  removeBetweenPercentile,
  mostDeviant,
  removing('removeAboveValue', 'Takes out values above `n`.', 'above', 'value'),
  removing('removeBelowValue', 'Takes out values below `n`.', 'below', 'value'),
  removing(
    'removeAbovePercentile',
    'Takes out values above the percentile `n` of the series.',
    'above',
    'percentile',
  ),
  removing(
    'removeBelowPercentile',
    'Takes out values below the percentile `n` of the series.',
    'below',
    'percentile',
  ),
]
