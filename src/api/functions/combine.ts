/**
 * Functions that make one series of many, row by row: sums, averages, extremes, percentiles.
 */

import { COMBINATIONS } from '../../metric/rows.ts'
import { RenderError, type RenderSeries } from '../render-series.ts'
import { formatG } from '../python-format.ts'
import { AGGREGATION_NAMES, percentile, sortedKnown } from './aggregation.ts'
import { aggregateSeries, seriesOfRows } from './aggregate-series.ts'
import { alignRows, wholeColumns } from './alignment.ts'
import type { FunctionCall, RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST, SERIES_LISTS } from './param.ts'
import { groupBy, joinPathExpressions } from './naming.ts'
import { constantLine } from './special.ts'

async function aggregateAll(call: FunctionCall, func: string): Promise<RenderSeries[]> {
  const series = await aggregateSeries(call, call.args.seriesFrom(0), func)
  return series ? [series] : []
}

/** sumSeries and its like. */
function aggregator(
  name: string,
  func: string,
  description: string,
  aliases: readonly string[] = [],
): RenderFunction {
  const combines = COMBINATIONS.find((combination) => combination === func)
  return {
    name,
    aliases,
    group: 'Combine',
    description,
    params: [SERIES_LISTS],
    aggregator: true,
    ...(combines && { combines }),
    run: (call) => aggregateAll(call, func),
  }
}

const FUNC = required('aggFunc', 'func', { options: AGGREGATION_NAMES })

const aggregate: RenderFunction = {
  name: 'aggregate',
  group: 'Combine',
  description:
    'Combines all series into one with the aggregation that `func` names. A point needs the share ' +
    '`xFilesFactor` of known values.',
  params: [SERIES_LIST, FUNC, optional('float', 'xFilesFactor')],
  async run(call) {
    const { args } = call
    const xFilesFactor = args.number(2, undefined)
    const series = await aggregateSeries(call, args.series(0), args.text(1), xFilesFactor)
    return series ? [series] : []
  },
}

const aggregateWithWildcards: RenderFunction = {
  name: 'aggregateWithWildcards',
  group: 'Combine',
  signature: 'aggregateWithWildcards(seriesList, func, *positions)',
  description:
    'Drops the nodes at the given positions from each name, and combines the series whose names are then ' +
    'the same with `func`.',
  params: [SERIES_LIST, FUNC, optional('node', 'position', { multiple: true })],
  run: (call) => aggregateByWildcards(call, call.args.text(1), 2),
}

function wildcards(name: string, func: string, description: string): RenderFunction {
  return {
    name,
    group: 'Combine',
    description,
    params: [SERIES_LIST, optional('node', 'position', { multiple: true })],
    aggregator: true,
    run: (call) => aggregateByWildcards(call, func, 1),
  }
}

async function aggregateByWildcards(
  call: FunctionCall,
  func: string,
  firstPosition: number,
): Promise<RenderSeries[]> {
  const positions = new Set(call.args.textsFrom(firstPosition).map(Number))
  const groups = groupBy(call.args.series(0), ({ name }) =>
    name
      .split('.')
      .filter((_, i) => !positions.has(i))
      .join('.'),
  )
  const result: RenderSeries[] = []
  for (const [name, list] of groups) {
    const series = await aggregateSeries(call, list, func)
    if (series) result.push({ ...series, name })
  }
  return result
}

const FIRST = required('seriesList', 'seriesListFirstPos')
const SECOND = required('seriesList', 'seriesListSecondPos')

const aggregateSeriesLists: RenderFunction = {
  name: 'aggregateSeriesLists',
  group: 'Combine',
  description:
    'Combines the first series of one list with the first of the other, the second with the second and so ' +
    'on, with `func`. Both lists must be of the same length.',
  params: [FIRST, SECOND, FUNC, optional('float', 'xFilesFactor')],
  run: (call) => aggregatePairs(call, call.args.text(2), call.args.number(3, undefined)),
}

function pairs(name: string, func: string, description: string): RenderFunction {
  return {
    name,
    group: 'Combine',
    description,
    params: [FIRST, SECOND],
    aggregator: true,
    run: (call) => aggregatePairs(call, func, undefined),
  }
}

async function aggregatePairs(
  call: FunctionCall,
  func: string,
  xFilesFactor: number | undefined,
): Promise<RenderSeries[]> {
  const firsts = call.args.series(0)
  const seconds = call.args.series(1)
  if (firsts.length !== seconds.length) {
    throw new RenderError(
      `the lists must be of equal length: they hold ${firsts.length} and ${seconds.length} series`,
    )
  }
  const result: RenderSeries[] = []
  for (let i = 0; i < firsts.length; i++) {
    const [a, b] = [firsts[i]!, seconds[i]!]
    const series = await aggregateSeries(call, [a, b], func, xFilesFactor)
    if (!series) continue
    const prefix = series.name.slice(0, series.name.indexOf('Series('))
    result.push({ ...series, name: `${prefix}Series(${a.name},${b.name})` })
  }
  return result
}

const multiplySeries: RenderFunction = {
  ...aggregator(
    'multiplySeries',
    'multiply',
    'The product of all series at each time; nothing where any of them has no value. A single series ' +
      'stays as it is.',
  ),
  run(call) {
    const list = call.args.seriesFrom(0)
    return call.args.countFrom(0) === 1 && list.length === 1 ? list : aggregateAll(call, 'multiply')
  },
}

const percentileOfSeries: RenderFunction = {
  name: 'percentileOfSeries',
  group: 'Combine',
  description:
    'At each time the value below which `n` percent of the series lie: one of their values, unless ' +
    '`interpolate` is true.',
  params: [
    SERIES_LIST,
    required('float', 'n'),
    optional('boolean', 'interpolate', { default: false }),
  ],
  async run(call) {
    const list = call.args.series(0)
    const percent = call.args.number(1)
    if (!(percent > 0)) throw new RenderError('percentileOfSeries(): n must be over 0')
    const rows = alignRows(list)
    if (!rows) return []
    const interpolate = call.args.flag(2)
    const columns = wholeColumns(rows)
    const values = new Float64Array(rows.count)
    const row = new Float64Array(columns.length)
    for (let i = 0; i < rows.count; i++) {
      for (let column = 0; column < columns.length; column++) row[column] = columns[column]![i]!
      values[i] = percentile(sortedKnown(row, 0, row.length), percent, interpolate)
      const pause = call.pace.spend(columns.length * 8)
      if (pause) await pause
    }
    const name = `percentileOfSeries(${list[0]!.pathExpression},${formatG(percent)})`
    return [seriesOfRows(rows, { name, values, xFilesFactor: call.xFilesFactor })]
  },
}

const countSeries: RenderFunction = {
  name: 'countSeries',
  group: 'Combine',
  description: 'How many series there are, as a line: those without values count too.',
  params: [optional('seriesList', 'seriesLists', { multiple: true })],
  aggregator: true,
  run(call) {
    if (call.args.countFrom(0) === 0) {
      return [{ ...constantLine(call, 0, '0'), pathExpression: 'countSeries()' }]
    }
    const list = call.args.seriesFrom(0)
    const rows = alignRows(list)
    if (!rows) return []
    const name = `countSeries(${joinPathExpressions(list)})`
    const values = new Float64Array(rows.count).fill(list.length)
    return [seriesOfRows(rows, { name, values, xFilesFactor: call.xFilesFactor })]
  },
}

const powSeries: RenderFunction = {
  name: 'powSeries',
  group: 'Combine',
  description:
    'The first series to the power of the second, that to the power of the third and so on, at each time.',
  params: [required('seriesList', 'seriesList', { multiple: true })],
  signature: 'powSeries(*seriesLists)',
  aggregator: true,
  async run(call) {
    const list = call.args.seriesFrom(0)
    const rows = alignRows(list)
    if (!rows) return []
    const columns = wholeColumns(rows)
    const values = columns[0]!.slice()
    for (let column = 1; column < columns.length; column++) {
      const exponents = columns[column]!
      for (let i = 0; i < values.length; i++) values[i] = powerOrNothing(values[i]!, exponents[i]!)
      const pause = call.pace.spend(values.length)
      if (pause) await pause
    }
    const name = `powSeries(${list.map((series) => series.name).join(',')})`
    return [seriesOfRows(rows, { name, values, xFilesFactor: call.xFilesFactor })]
  },
}

/** Nothing, not infinity, where the result is too large or is no number. */
export function powerOrNothing(base: number, exponent: number): number {
  // Python: 1 to the power of anything known, and anything known to the power of 0, is 1.
  if (base !== base || exponent !== exponent) return NaN
  if (base === 1) return 1
  const power = base ** exponent
  const overflowed = !Number.isFinite(power) && Number.isFinite(base) && Number.isFinite(exponent)
  return overflowed ? NaN : power
}

const group: RenderFunction = {
  name: 'group',
  group: 'Combine',
  description: 'Several lists of series as one list.',
  params: [optional('seriesList', 'seriesLists', { multiple: true })],
  run: (call) => call.args.seriesFrom(0),
}

export const COMBINE_FUNCTIONS: readonly RenderFunction[] = [
  aggregator('sumSeries', 'sum', 'The sum of all series at each time.', ['sum']),
  aggregator('averageSeries', 'average', 'The average of all series at each time.', ['avg']),
  aggregator('minSeries', 'min', 'The smallest value of all series at each time.'),
  aggregator('maxSeries', 'max', 'The largest value of all series at each time.'),
  aggregator('rangeOfSeries', 'rangeOf', 'The largest less the smallest value at each time.'),
  aggregator('stddevSeries', 'stddev', 'The standard deviation of all series at each time.'),
  aggregator('diffSeries', 'diff', 'The first series less all others at each time.'),
  multiplySeries,
  aggregate,
  aggregateWithWildcards,
  wildcards(
    'sumSeriesWithWildcards',
    'sum',
    'Sums the series that differ only in the given nodes.',
  ),
  wildcards(
    'averageSeriesWithWildcards',
    'average',
    'Averages the series that differ only in the given nodes.',
  ),
  wildcards(
    'multiplySeriesWithWildcards',
    'multiply',
    'Multiplies the series that differ only in the given nodes.',
  ),
  aggregateSeriesLists,
  pairs(
    'sumSeriesLists',
    'sum',
    'Adds each series of the second list to its partner in the first.',
  ),
  pairs(
    'diffSeriesLists',
    'diff',
    'Subtracts each series of the second list from its partner in the first.',
  ),
  pairs(
    'multiplySeriesLists',
    'multiply',
    'Multiplies each series of the first list by its partner in the second.',
  ),
  percentileOfSeries,
  countSeries,
  powSeries,
  group,
]
