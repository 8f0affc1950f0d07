/** Series as JSON shows them, with fewer values than there are slots where `maxDataPoints` asks for that. */

import { consolidateValues, showWithin } from '../metric/display.ts'
import { changeSeries, type RenderSeries } from './render-series.ts'

/** At most about `maxDataPoints` values over the range of all series together, and none after a series' end. */
export function consolidateForDisplay(
  list: readonly RenderSeries[],
  maxDataPoints: number = Infinity,
): RenderSeries[] {
  let start = Infinity
  let end = -Infinity
  let isShown = false
  for (const series of list) {
    start = Math.min(start, series.start)
    end = Math.max(end, series.end)
    isShown ||= series.isShown === true
  }
  return list.map((series) => consolidate(series, isShown ? 0 : end - start, maxDataPoints))
}

function consolidate(series: RenderSeries, range: number, maxDataPoints: number): RenderSeries {
  const extent = { ...series, length: series.values.length }
  const { start, step, skip, valuesPerPoint, count } = showWithin(extent, range, maxDataPoints)
  if (valuesPerPoint === 1 && skip === 0) {
    if (count === series.values.length) return series
    return changeSeries(series, { values: series.values.subarray(0, count) })
  }
  const values = consolidateValues(series.values.subarray(skip), { ...series, valuesPerPoint })
  return changeSeries(series, {
    start,
    step,
    values: values.subarray(0, count),
    valuesPerPoint: series.valuesPerPoint * valuesPerPoint,
  })
}
