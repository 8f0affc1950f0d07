/**
 * Functions that calculate one number of a series, or a line through it.
 */

import { formatD, formatG, pythonFloat } from '../python-format.ts'
import {
  makeSeries,
  RenderError,
  replaceSeries,
  type RenderSeries,
  withTag,
} from '../render-series.ts'
import { AGGREGATION_NAMES, isKnown, last } from './aggregation.ts'
import { aggregationOf } from './aggregate-series.ts'
import { percentileOfValues } from './filter.ts'
import { eachSeries, type RenderFunction } from './function.ts'
import { optional, required, SERIES_LIST } from './param.ts'
import { constantLine } from './special.ts'
import { timeOf } from './time-arguments.ts'

const aggregateLine: RenderFunction = {
  name: 'aggregateLine',
  group: 'Calculate',
  description:
    'A horizontal line at the aggregate `func` of the series; `keepStep` gives it the points of the series.',
  params: [
    SERIES_LIST,
    optional('aggFunc', 'func', { default: 'average', options: AGGREGATION_NAMES }),
    optional('boolean', 'keepStep', { default: false }),
  ],
  run(call) {
    const aggregation = aggregationOf(call.args.text(1, 'average'))
    const keepStep = call.args.flag(2)
    return eachSeries(call, call.args.series(0), (series) => {
      const value = aggregation.of(series.values, 0, series.values.length)
      const name = `aggregateLine(${series.name}, ${isKnown(value) ? formatG(value) : 'None'})`
      if (keepStep) {
        return replaceSeries(series, name, {
          values: new Float64Array(series.values.length).fill(value),
        })
      }
      const isCount = aggregation.name === 'count'
      const text = isKnown(value) ? (isCount ? formatD(value) : pythonFloat(value)) : 'None'
      return { ...constantLine(call, value, text), name, pathExpression: name }
    })
  },
}

const nPercentile: RenderFunction = {
  name: 'nPercentile',
  group: 'Calculate',
  description: 'A horizontal line at the value below which `n` percent of the values lie.',
  params: [SERIES_LIST, required('float', 'n')],
  run(call) {
    const n = call.args.number(1)
    return eachSeries(call, call.args.series(0), (series) => {
      const value = percentileOfValues(series.values, n)
      if (!isKnown(value)) return undefined
      const count = Math.max(Math.trunc((series.end - series.start) / series.step), 0)
      call.pace.reserve(count)
      return replaceSeries(series, `nPercentile(${series.name}, ${formatG(n)})`, {
        values: new Float64Array(count).fill(value),
        tags: withTag(series.tags, 'nPercentile', pythonFloat(n)),
      })
    })
  },
}

const stdev: RenderFunction = {
  name: 'stdev',
  group: 'Calculate',
  description:
    'The standard deviation of the last `points` values; nothing where less than the share ' +
    '`windowTolerance` of them is known.',
  params: [
    SERIES_LIST,
    required('integer', 'points'),
    optional('float', 'windowTolerance', { default: 0.1 }),
  ],
  run(call) {
    const points = call.args.number(1)
    if (points < 1) throw new RenderError('stdev(): points must be at least 1')
    const tolerance = call.args.number(2, 0.1)
    return eachSeries(call, call.args.series(0), (series) =>
      replaceSeries(series, `stdev(${series.name},${formatD(points)})`, {
        values: runningDeviation(series.values, points, tolerance),
        tags: withTag(series.tags, 'stdev', formatD(points)),
      }),
    )
  },
}

/** Running sums, as graphite-web keeps them, so that rounding is the same. */
function runningDeviation(values: Float64Array, points: number, tolerance: number): Float64Array {
  const result = new Float64Array(values.length).fill(NaN)
  let known = 0
  let sum = 0
  let squares = 0
  for (let i = 0; i < values.length; i++) {
    const dropped = i < points ? NaN : values[i - points]!
    const value = values[i]!
    if (isKnown(dropped)) {
      known--
      sum -= dropped
      squares -= dropped ** 2
    }
    if (isKnown(value)) {
      known++
      sum += value
      squares += value ** 2
    }
    if (known > 0 && known / points >= tolerance) {
      result[i] = Math.sqrt(known * squares - sum ** 2) / known
    }
  }
  return result
}

const linearRegression: RenderFunction = {
  name: 'linearRegression',
  group: 'Calculate',
  description:
    'The straight line that fits the series best between two times, the range unless they are given, drawn ' +
    'over the range.',
  params: [SERIES_LIST, optional('date', 'startSourceAt'), optional('date', 'endSourceAt')],
  refetches: true,
  async run(call) {
    const { args } = call
    const from = args.has(1) ? timeOf(call, args.text(1)) : call.from
    const until = args.has(2) ? timeOf(call, args.text(2)) : call.until
    const [list, sources] = await Promise.all([call.refetch(call), call.refetch({ from, until })])
    const bySource = new Map(list.map((series, i) => [series, sources[i]]))
    return eachSeries(call, list, (series) => {
      const source = bySource.get(series)
      return source ? regression(series, source, from, until) : undefined
    })
  },
}

function regression(
  series: RenderSeries,
  source: RenderSeries,
  from: number,
  until: number,
): RenderSeries | undefined {
  const line = fitLine(source)
  if (!line) return undefined
  const { factor, offset } = line
  const values = new Float64Array(series.values.length)
  for (let i = 0; i < values.length; i++)
    values[i] = offset + (series.start + i * series.step) * factor
  return makeSeries({
    name: `linearRegression(${series.name}, ${from}, ${until})`,
    start: series.start,
    end: series.end,
    step: series.step,
    values,
    tags: withTag(series.tags, 'linearRegressions', `${from}, ${until}`),
    xFilesFactor: series.xFilesFactor,
  })
}

/** Least squares over the known values, as value = offset + factor × time; nothing for less than two. */
function fitLine({
  values,
  start,
  step,
}: RenderSeries): { factor: number; offset: number } | undefined {
  let known = 0
  let sumI = 0
  let sumV = 0
  let sumII = 0
  let sumIV = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (!isKnown(value)) continue
    known++
    sumI += i
    sumV += value
    sumII += i * i
    sumIV += i * value
  }
  // Products of whole numbers that a double would round.
  const denominator = Number(BigInt(known) * BigInt(sumII) - BigInt(sumI) ** 2n)
  if (denominator === 0) return undefined
  const factor = (known * sumIV - sumI * sumV) / denominator / step
  return { factor, offset: (sumII * sumV - sumIV * sumI) / denominator - factor * start }
}

const compressPeriodicGaps: RenderFunction = {
  name: 'compressPeriodicGaps',
  group: 'Transform',
  description:
    'Finds out at which distance values really come, and leaves out the missing points in between.',
  params: [SERIES_LIST],
  run: (call) =>
    eachSeries(call, call.args.series(0), (series) => {
      const name = `compressPeriodicGaps(${series.name})`
      const gap = periodicGap(series.values)
      if (!gap) return replaceSeries(series, name, {})
      const { first, distance } = gap
      const values = new Float64Array(Math.ceil((series.values.length - first) / distance))
      for (let i = 0; i < values.length; i++) {
        const from = first + i * distance
        values[i] = last(series.values, from, Math.min(from + distance, series.values.length))
      }
      const start = series.start + first * series.step
      const step = distance * series.step
      return replaceSeries(series, name, { start, step, end: start + step * values.length, values })
    }),
}

/** The first value's index and the distance to the second, when a third at that distance stands alone too. */
function periodicGap(values: Float64Array): { first: number; distance: number } | undefined {
  const first = values.findIndex(isKnown)
  if (first < 0) return undefined
  const distance = values.subarray(first + 1).findIndex(isKnown) + 1
  const third = first + 2 * distance
  if (distance < 2 || third > values.length - 2) return undefined
  const alone =
    !isKnown(values[third - 1]!) && isKnown(values[third]!) && !isKnown(values[third + 1]!)
  return alone ? { first, distance } : undefined
}

export const CALCULATE_FUNCTIONS: readonly RenderFunction[] = [
  aggregateLine,
  nPercentile,
  stdev,
  linearRegression,
  compressPeriodicGaps,
]
