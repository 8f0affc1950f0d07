/**
 * Functions that set series in relation: asPercent(), divideSeries(), weightedAverage().
 */

import { pythonFloat, pythonNumber } from '../python-format.ts'
import { makeSeries, RenderError, renameSeries, type RenderSeries } from '../render-series.ts'
import { alignRows, type Rows, wholeColumns } from './alignment.ts'
import { seriesOfRows } from './aggregate-series.ts'
import type { Value } from './arguments.ts'
import type { FunctionCall, RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { groupBy, joinPathExpressions, nodeKey } from './naming.ts'
import { aggregateRows, aggregationNamed } from './row-aggregation.ts'
import { compareNames, sortedByName } from './sort.ts'

/** Both series side by side. */
function rowsOfTwo(a: RenderSeries, b: RenderSeries): [Rows, Float64Array, Float64Array] {
  const rows = alignRows([a, b])!
  const [first, second] = wholeColumns(rows)
  return [rows, first!, second!]
}

/** a / b × factor; nothing where b is 0. */
function ratio(a: Float64Array, b: Float64Array, factor: number): Float64Array {
  const values = new Float64Array(a.length)
  for (let i = 0; i < values.length; i++) {
    const divisor = b[i]!
    values[i] = divisor === 0 ? NaN : (a[i]! / divisor) * factor
  }
  return values
}

function quotient(call: FunctionCall, a: RenderSeries, b: RenderSeries): RenderSeries {
  const [rows, dividend, divisor] = rowsOfTwo(a, b)
  return seriesOfRows(rows, {
    name: `divideSeries(${a.name},${b.name})`,
    values: ratio(dividend, divisor, 1),
    xFilesFactor: call.xFilesFactor,
  })
}

const divideSeries: RenderFunction = {
  name: 'divideSeries',
  group: 'Combine',
  description: 'Divides every series of the first list by the one series of the second.',
  params: [required('seriesList', 'dividendSeriesList'), required('seriesList', 'divisorSeries')],
  async run(call) {
    const dividends = call.args.series(0)
    const [divisor, ...others] = call.args.series(1)
    if (others.length > 0) {
      throw new RenderError(
        `divideSeries(): the divisor must be one series, not ${others.length + 1}`,
      )
    }
    if (!divisor) {
      return dividends.map((series) =>
        renameSeries(series, `divideSeries(${series.name},MISSING)`, { values: unknown(series) }),
      )
    }
    const result: RenderSeries[] = []
    for (const dividend of dividends) {
      result.push(quotient(call, dividend, divisor))
      const pause = call.pace.spend(dividend.values.length)
      if (pause) await pause
    }
    return result
  },
}

function unknown(series: RenderSeries): Float64Array {
  return new Float64Array(series.values.length).fill(NaN)
}

const divideSeriesLists: RenderFunction = {
  name: 'divideSeriesLists',
  group: 'Combine',
  description: 'Divides the first series of one list by the first of the other, and so on.',
  params: [
    required('seriesList', 'dividendSeriesList'),
    required('seriesList', 'divisorSeriesList'),
  ],
  run(call) {
    const [dividends, divisors] = [call.args.series(0), call.args.series(1)]
    if (dividends.length !== divisors.length) {
      throw new RenderError(
        `divideSeriesLists(): the lists hold ${dividends.length} and ${divisors.length} series`,
      )
    }
    return dividends.map((dividend, i) => quotient(call, dividend, divisors[i]!))
  },
}

// ── percent ─────────────────────────────────────────────────────────────────────────────────────────

function percentOf(call: FunctionCall, a: RenderSeries, b: RenderSeries): RenderSeries {
  const [rows, part, total] = rowsOfTwo(a, b)
  return seriesOfRows(rows, {
    name: `asPercent(${a.name},${b.name})`,
    values: ratio(part, total, 100),
    xFilesFactor: call.xFilesFactor,
  })
}

/** The sum of several; one stays as it is. */
async function totalOf(
  call: FunctionCall,
  list: readonly RenderSeries[],
  xFilesFactor = 0,
): Promise<RenderSeries> {
  if (list.length === 1) return list[0]!
  const rows = alignRows(list)!
  const values = await aggregateRows(rows, aggregationNamed('sum'), xFilesFactor, call.pace)
  const name = `sumSeries(${joinPathExpressions(list)})`
  return seriesOfRows(rows, { name, values, xFilesFactor: call.xFilesFactor })
}

/** A line without values, where one side is missing. */
function missing(call: FunctionCall, series: RenderSeries, name: string): RenderSeries {
  const { start, end, step } = series
  return makeSeries({
    name,
    start,
    end,
    step,
    values: unknown(series),
    xFilesFactor: call.xFilesFactor,
  })
}

async function percentByNodes(
  call: FunctionCall,
  nodes: readonly Value[],
): Promise<RenderSeries[]> {
  const total = call.args.at(1)
  if (total.kind !== 'none' && total.kind !== 'series') {
    throw new RenderError('asPercent(): with nodes, total must be None or a list of series')
  }
  const parts = groupBy(call.args.series(0), (series) => nodeKey(series, nodes))
  const totals =
    total.kind === 'none' ? parts : groupBy(total.list, (series) => nodeKey(series, nodes))
  const result: RenderSeries[] = []
  for (const key of new Set([...parts.keys(), ...totals.keys()])) {
    const whole = totals.get(key)
    const sum = whole ? await totalOf(call, whole) : undefined
    const group = parts.get(key)
    if (!group) result.push(missing(call, sum!, `asPercent(MISSING,${sum!.name})`))
    for (const series of group ?? []) {
      if (sum) result.push(percentOf(call, series, sum))
      else result.push(missing(call, series, `asPercent(${series.name},MISSING)`))
      const pause = call.pace.spend(series.values.length)
      if (pause) await pause
    }
  }
  return result
}

/** All series by one total: a number, a series, or the sum of them all. */
async function percentOfOne(
  call: FunctionCall,
  list: readonly RenderSeries[],
  total: RenderSeries | number,
  name: string,
): Promise<RenderSeries[]> {
  const result: RenderSeries[] = []
  for (const series of list) {
    const { values } = series
    const { xFilesFactor } = call
    const text = `asPercent(${series.name},${name})`
    if (typeof total === 'number') {
      const all = new Float64Array(values.length).fill(total)
      const { start, end, step } = series
      result.push(
        makeSeries({ name: text, start, end, step, values: ratio(values, all, 100), xFilesFactor }),
      )
    } else {
      result.push({
        ...percentOf(call, series, total),
        name: text,
        pathExpression: text,
        tags: new Map([['name', text]]),
      })
    }
    const pause = call.pace.spend(values.length)
    if (pause) await pause
  }
  return result
}

const asPercent: RenderFunction = {
  name: 'asPercent',
  aliases: ['pct'],
  group: 'Combine',
  description:
    'Each series as a percentage of `total`: of the sum of all when it is left out, of a number, of one ' +
    'series, or of as many series, matched by name. With `nodes` this is done for each group that has the ' +
    'same nodes.',
  params: [
    SERIES_LIST,
    optional('any', 'total'),
    optional('nodeOrTag', 'nodes', { multiple: true }),
  ],
  aggregator: true,
  async run(call) {
    const list = call.args.series(0)
    const nodes = call.args.valuesFrom(2)
    if (nodes.length > 0) return percentByNodes(call, nodes)
    if (list.length === 0) return []
    const total = call.args.at(1)
    if (total.kind === 'none') {
      const sum = await totalOf(call, list)
      return percentOfOne(call, list, sum, `sumSeries(${joinPathExpressions(list)})`)
    }
    if (total.kind === 'series') {
      if (total.list.length === list.length) {
        const totals = sortedByName(total.list)
        return sortedByName(list).map((series, i) => percentOf(call, series, totals[i]!))
      }
      const [only] = total.list
      if (total.list.length === 1) return percentOfOne(call, list, only!, only!.name)
    }
    if (total.kind === 'number') {
      const shown = total.isInteger ? pythonNumber(total.value, true) : pythonFloat(total.value)
      return percentOfOne(call, list, total.value, shown)
    }
    throw new RenderError(
      'asPercent(): total must be left out, a number, one series, or as many series as there are in the first list',
    )
  },
}

const weightedAverage: RenderFunction = {
  name: 'weightedAverage',
  group: 'Combine',
  description:
    'The average of the first list weighted by the second; series belong together that have the same nodes.',
  params: [
    required('seriesList', 'seriesListAvg'),
    required('seriesList', 'seriesListWeight'),
    optional('nodeOrTag', 'nodes', { multiple: true }),
  ],
  async run(call) {
    const [averages, weights] = [call.args.series(0), call.args.series(1)]
    const nodes = call.args.valuesFrom(2)
    if (averages.length !== weights.length) {
      throw new RenderError(
        `weightedAverage(): the lists hold ${averages.length} and ${weights.length} series`,
      )
    }
    const weightOf = new Map(weights.map((series) => [nodeKey(series, nodes), series]))
    const averageOf = new Map(averages.map((series) => [nodeKey(series, nodes), series]))
    const products: RenderSeries[] = []
    for (const [key, series] of averageOf) {
      const weight = weightOf.get(key)
      if (weight) products.push(product(call, series, weight))
    }
    if (products.length === 0) return []
    const sum = await totalOf(call, products, call.xFilesFactor)
    const weight = await totalOf(call, weights, call.xFilesFactor)
    const [rows, sums, weightSums] = rowsOfTwo(sum, weight)
    const shown = [averages, weights].map((list) => sortedPathExpressions(list)).join(', ')
    const name = `weightedAverage(${shown}, ${call.args.textsFrom(2).join(',')})`
    return [
      seriesOfRows(rows, {
        name,
        values: ratio(sums, weightSums, 1),
        xFilesFactor: call.xFilesFactor,
      }),
    ]
  },
}

function product(call: FunctionCall, a: RenderSeries, b: RenderSeries): RenderSeries {
  const [rows, first, second] = rowsOfTwo(a, b)
  const values = new Float64Array(rows.count)
  for (let i = 0; i < values.length; i++) values[i] = first[i]! * second[i]!
  return seriesOfRows(rows, {
    name: `product(${b.name},${a.name})`,
    values,
    xFilesFactor: call.xFilesFactor,
  })
}

function sortedPathExpressions(list: readonly RenderSeries[]): string {
  return [...new Set(list.map(({ pathExpression }) => pathExpression))].sort(compareNames).join(',')
}

export const RATIO_FUNCTIONS: readonly RenderFunction[] = [
  asPercent,
  divideSeries,
  divideSeriesLists,
  weightedAverage,
]
