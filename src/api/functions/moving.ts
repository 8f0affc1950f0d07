/**
 * Moving windows: each point is an aggregate of the window that ends with it (graphite-web master;
 * 1.1.8 and older ended the window one point earlier).
 *
 * So that the first point has a whole window too, the argument is fetched from so much earlier: the interval
 * given, or the number of points times the largest step, for which the argument is looked at once first.
 */

import { roundToMicro } from '../python-format.ts'
import { RenderError, replaceSeries, type RenderSeries, withTag } from '../render-series.ts'
import { AGGREGATION_NAMES, average } from './aggregation.ts'
import { aggregationOf } from './aggregate-series.ts'
import { eachSeries, type FunctionCall, padToStart, type RenderFunction } from './function.ts'
import { optional, type Param, required, SERIES_LIST } from './param.ts'
import { slide } from './windows.ts'
import { intervalSeconds } from './time-arguments.ts'

const WINDOW = required('intOrInterval', 'windowSize', {
  suggestions: [5, 7, 10, '1min', '5min', '10min', '30min', '1hour'],
})
const X_FILES_FACTOR = optional('float', 'xFilesFactor')

interface Window {
  /** Seconds to look back. */
  readonly preview: number
  /** Points, when the window was given so. */
  readonly points: number | undefined
  /** As the tag shows it. */
  readonly shown: string
  /** As the name shows it. */
  readonly quoted: string
}

async function windowOf(call: FunctionCall): Promise<Window> {
  const given = call.args.at(1)
  const shown = call.args.text(1)
  if (given.kind === 'string') {
    return { preview: intervalSeconds(shown), points: undefined, shown, quoted: `"${shown}"` }
  }
  const points = Math.trunc(call.args.number(1))
  if (points < 0) throw new RenderError(`windowSize must not be negative: ${shown}`)
  let step = 0
  for (const series of await call.refetch(call)) step = Math.max(step, series.step)
  return { preview: step * points, points, shown, quoted: shown }
}

/** The argument with the window's length in front. */
async function preview(call: FunctionCall, window: Window): Promise<readonly RenderSeries[]> {
  const from = call.from - window.preview
  const list = await call.refetch({ from, until: call.until })
  return list.map((series) => {
    const padded = padToStart(call, series, from)
    // Of a finer step than the coarsest, what is too old by now would move the series in time.
    return window.points === undefined ? padded : trimmed(padded, window)
  })
}

function trimmed(series: RenderSeries, { preview, points }: Window): RenderSeries {
  const surplus = Math.floor(preview / series.step) - points!
  if (surplus <= 0) return series
  const start = series.start + surplus * series.step
  return { ...series, start, values: series.values.subarray(surplus) }
}

/** Of the result: behind the look-back. */
function startOf(series: RenderSeries, { preview, points }: Window): number {
  return series.start + (points === undefined ? preview : points * series.step)
}

async function moving(
  call: FunctionCall,
  func: string,
  xFilesFactorAt: number,
): Promise<RenderSeries[]> {
  const aggregation = aggregationOf(func)
  const window = await windowOf(call)
  const tag = `moving${func.charAt(0).toUpperCase()}${func.slice(1).toLowerCase()}`
  return eachSeries(call, await preview(call, window), (series) => {
    const points = window.points ?? Math.floor(window.preview / series.step)
    const xFilesFactor = call.args.number(xFilesFactorAt, series.xFilesFactor)
    return replaceSeries(series, `${tag}(${series.name},${window.quoted})`, {
      start: startOf(series, window),
      values: slide(series.values, aggregation, { window: points, xFilesFactor }),
      tags: withTag(series.tags, tag, window.shown),
    })
  })
}

function movingBy(name: string, func: string, description: string): RenderFunction {
  return {
    name,
    group: 'Calculate',
    description,
    params: [SERIES_LIST, WINDOW, X_FILES_FACTOR],
    refetches: true,
    run: (call) => moving(call, func, 2),
  }
}

const FUNC: Param = optional('aggFunc', 'func', { default: 'average', options: AGGREGATION_NAMES })

const movingWindow: RenderFunction = {
  name: 'movingWindow',
  group: 'Calculate',
  description:
    'The aggregate `func` of the last points up to each point: so many of them, or those of an interval ' +
    'such as "5min".',
  params: [SERIES_LIST, WINDOW, FUNC, X_FILES_FACTOR],
  refetches: true,
  run: (call) => moving(call, call.args.text(2, 'average'), 3),
}

const exponentialMovingAverage: RenderFunction = {
  name: 'exponentialMovingAverage',
  group: 'Calculate',
  description:
    'A moving average that weighs each older point less, by the factor 1 − 2 / (windowSize + 1); an ' +
    'interval counts in seconds.',
  params: [SERIES_LIST, WINDOW],
  refetches: true,
  async run(call) {
    const window = await windowOf(call)
    const weight = 2 / ((window.points ?? window.preview) + 1)
    return eachSeries(call, await preview(call, window), (series) => {
      const points = window.points ?? Math.floor(window.preview / series.step)
      const name = `exponentialMovingAverage(${series.name},${window.quoted})`
      return replaceSeries(series, name, {
        start: startOf(series, window),
        values: smooth(series.values, points, weight),
        tags: withTag(series.tags, 'exponentialMovingAverage', window.shown),
      })
    })
  },
}

/** The first value is the average of the `points` in front; the others are one a point. */
function smooth(from: Float64Array, points: number, weight: number): Float64Array {
  const seed = average(from, 0, Math.min(points, from.length))
  let mean = seed === seed ? seed : 0
  const values = new Float64Array(Math.max(from.length - points, 0) + 1)
  values[0] = roundToMicro(mean)
  for (let i = points; i < from.length; i++) {
    const value = from[i]!
    if (value === value) mean = weight * value + (1 - weight) * mean
    values[i - points + 1] = value === value ? roundToMicro(mean) : NaN
  }
  return values
}

export const MOVING_FUNCTIONS: readonly RenderFunction[] = [
  movingWindow,
  movingBy('movingAverage', 'average', 'The average of the last points up to each point.'),
  movingBy('movingMedian', 'median', 'The median of the last points up to each point.'),
  movingBy('movingSum', 'sum', 'The sum of the last points up to each point.'),
  movingBy('movingMin', 'min', 'The smallest of the last points up to each point.'),
  movingBy('movingMax', 'max', 'The largest of the last points up to each point.'),
  exponentialMovingAverage,
]
