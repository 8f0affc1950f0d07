/**
 * Triple exponential smoothing after Holt and Winters: what a series with a daily (or other) season is
 * expected to be, and how far it is off. The argument is fetched from a bootstrap interval earlier, 7 days,
 * so that the season is known when the range begins.
 *
 * Constants are graphite-web's: alpha and gamma 0.1, beta 0.0035.
 */

import { makeSeries, RenderError, type RenderSeries } from '../render-series.ts'
import { isKnown } from './aggregation.ts'
import { eachSeries, type FunctionCall, padToStart, type RenderFunction } from './function.ts'
import { optional, SERIES_LIST } from './param.ts'
import { areaOf } from './graph.ts'
import { intervalSeconds } from './time-arguments.ts'

const ALPHA = 0.1
const BETA = 0.0035
const GAMMA = 0.1

interface Analysis {
  readonly predictions: Float64Array
  readonly deviations: Float64Array
}

/** A prediction and a deviation for each value; a gap makes the next prediction unknown. */
function analyze(values: Float64Array, season: number): Analysis {
  const { length } = values
  const predictions = new Float64Array(length)
  const deviations = new Float64Array(length)
  const seasonals = new Float64Array(length)
  let intercept = NaN
  let slope = 0
  let next = NaN
  for (let i = 0; i < length; i++) {
    const actual = values[i]!
    predictions[i] = i === 0 ? actual : next
    if (!isKnown(actual)) {
      intercept = NaN
      slope = 0
      next = NaN
      continue
    }
    const lastSeasonal = i >= season ? seasonals[i - season]! : 0
    const nextSeasonal = i + 1 >= season ? seasonals[i + 1 - season]! : 0
    const lastDeviation = i >= season ? deviations[i - season]! : 0
    const lastIntercept = isKnown(intercept) ? intercept : actual
    intercept = ALPHA * (actual - lastSeasonal) + (1 - ALPHA) * (lastIntercept + slope)
    slope = BETA * (intercept - lastIntercept) + (1 - BETA) * slope
    seasonals[i] = GAMMA * (actual - intercept) + (1 - GAMMA) * lastSeasonal
    next = intercept + slope + nextSeasonal
    const prediction = predictions[i]!
    const error = Math.abs(actual - (isKnown(prediction) ? prediction : 0))
    deviations[i] = GAMMA * error + (1 - GAMMA) * lastDeviation
  }
  return { predictions, deviations }
}

interface Settings {
  readonly bootstrap: number
  readonly season: number
}

function settingsOf(call: FunctionCall, bootstrapAt: number): Settings {
  return {
    bootstrap: intervalSeconds(call.args.text(bootstrapAt, '7d')),
    season: intervalSeconds(call.args.text(bootstrapAt + 1, '1d')),
  }
}

function seasonPoints(series: RenderSeries, season: number): number {
  const points = Math.floor(season / series.step)
  if (points >= 2) return points
  throw new RenderError(`a season must be at least two steps of ${series.step} s`)
}

/** Forecast and deviation of each series over the range, with the tags that both leave behind. */
async function forecasts<T>(
  call: FunctionCall,
  { bootstrap, season }: Settings,
  make: (series: RenderSeries, analysis: Analysis, start: number) => T,
): Promise<T[]> {
  const from = call.from - bootstrap
  const list = await call.refetch({ from, until: call.until })
  const results: T[] = []
  await eachSeries(call, list, (fetched) => {
    const series = padToStart(call, fetched, from)
    const { predictions, deviations } = analyze(series.values, seasonPoints(series, season))
    const skip = Math.floor(bootstrap / series.step)
    const part = { predictions: predictions.subarray(skip), deviations: deviations.subarray(skip) }
    results.push(make(series, part, series.start + bootstrap))
    return undefined
  })
  return results
}

function tagged(series: RenderSeries, ...keys: string[]): Map<string, string> {
  const tags = new Map(series.tags)
  for (const key of ['holtWintersForecast', 'holtWintersDeviation', ...keys]) tags.set(key, '1')
  return tags
}

const SEASON_PARAMS = [
  optional('interval', 'bootstrapInterval', { default: '7d', suggestions: ['7d', '30d'] }),
  optional('interval', 'seasonality', { default: '1d', suggestions: ['1d', '7d'] }),
]
const BAND_PARAMS = [SERIES_LIST, optional('integer', 'delta', { default: 3 }), ...SEASON_PARAMS]

const holtWintersForecast: RenderFunction = {
  name: 'holtWintersForecast',
  group: 'Calculate',
  description: 'What the series is expected to be, from its values one season ago and its trend.',
  params: [SERIES_LIST, ...SEASON_PARAMS],
  refetches: true,
  run: (call) =>
    forecasts(call, settingsOf(call, 1), (series, { predictions }, start) =>
      makeSeries({
        name: `holtWintersForecast(${series.name})`,
        start,
        end: series.end,
        step: series.step,
        values: predictions,
        tags: tagged(series),
        xFilesFactor: series.xFilesFactor,
      }),
    ),
}

interface Bands {
  readonly of: RenderSeries
  readonly lower: RenderSeries
  readonly upper: RenderSeries
}

function bandsOf(call: FunctionCall): Promise<Bands[]> {
  const delta = call.args.number(1, 3)
  return forecasts(call, settingsOf(call, 2), (series, { predictions, deviations }, start) => {
    const band = (side: 'Lower' | 'Upper', sign: 1 | -1): RenderSeries => {
      const values = new Float64Array(predictions.length)
      for (let i = 0; i < values.length; i++) {
        values[i] = predictions[i]! + sign * (delta * deviations[i]!)
      }
      return makeSeries({
        name: `holtWintersConfidence${side}(${series.name})`,
        pathExpression: series.pathExpression,
        start,
        end: series.end,
        step: series.step,
        values,
        tags: tagged(series, 'holtWintersConfidenceUpper', 'holtWintersConfidenceLower'),
        xFilesFactor: series.xFilesFactor,
      })
    }
    return { of: series, lower: band('Lower', -1), upper: band('Upper', 1) }
  })
}

const holtWintersConfidenceBands: RenderFunction = {
  name: 'holtWintersConfidenceBands',
  group: 'Calculate',
  description:
    'The forecast less and plus `delta` times the usual deviation: a lower and an upper line.',
  params: BAND_PARAMS,
  refetches: true,
  async run(call) {
    const bands = await bandsOf(call)
    return bands.flatMap(({ lower, upper }) => [lower, upper])
  },
}

const holtWintersConfidenceArea: RenderFunction = {
  name: 'holtWintersConfidenceArea',
  group: 'Calculate',
  description: 'The area between the confidence bands of one series.',
  params: BAND_PARAMS,
  refetches: true,
  async run(call) {
    const bands = await bandsOf(call)
    if (bands.length === 0) return []
    return areaOf(bands.flatMap(({ lower, upper }) => [lower, upper])).map((series) => {
      const name = series.name.replace('areaBetween', 'holtWintersConfidenceArea')
      const tags = new Map(series.tags).set('holtWintersConfidenceArea', '1')
      tags.delete('areaBetween')
      return { ...series, name, pathExpression: name, tags }
    })
  },
}

const holtWintersAberration: RenderFunction = {
  name: 'holtWintersAberration',
  group: 'Calculate',
  description: 'How far the series is outside of its confidence bands; 0 while it is inside.',
  params: BAND_PARAMS,
  refetches: true,
  async run(call) {
    const [list, bands] = await Promise.all([call.refetch(call), bandsOf(call)])
    const byName = new Map(bands.map((band) => [band.of.name, band]))
    return eachSeries(call, list, (series) => {
      const band = byName.get(series.name)
      if (!band) return undefined
      return makeSeries({
        name: `holtWintersAberration(${series.name})`,
        start: series.start,
        end: series.end,
        step: series.step,
        values: outside(series.values, band.lower.values, band.upper.values),
        tags: new Map(series.tags).set('holtWintersAberration', '1'),
        xFilesFactor: series.xFilesFactor,
      })
    })
  },
}

/** Comparisons with what is not known are false. */
function outside(values: Float64Array, lower: Float64Array, upper: Float64Array): Float64Array {
  const result = new Float64Array(values.length)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value > upper[i]!) result[i] = value - upper[i]!
    else if (value < lower[i]!) result[i] = value - lower[i]!
  }
  return result
}

export const HOLT_WINTERS_FUNCTIONS: readonly RenderFunction[] = [
  holtWintersForecast,
  holtWintersConfidenceBands,
  holtWintersConfidenceArea,
  holtWintersAberration,
]
