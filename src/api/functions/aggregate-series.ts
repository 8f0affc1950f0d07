/**
 * Many series to one by an aggregation (graphite-web aggregate()): its name, its tags, its values.
 */

import { makeSeries, RenderError, type RenderSeries } from '../render-series.ts'
import { type Aggregation, findAggregation } from './aggregation.ts'
import { alignRows, type Rows } from './alignment.ts'
import type { FunctionCall } from './function.ts'
import { commonTags, joinPathExpressions } from './naming.ts'
import { aggregateRows } from './row-aggregation.ts'

/** Nothing for no series. */
export async function aggregateSeries(
  call: FunctionCall,
  list: readonly RenderSeries[],
  func: string,
  xFilesFactor: number = call.xFilesFactor,
): Promise<RenderSeries | undefined> {
  const aggregation = aggregationOf(func)
  const rows = alignRows(list)
  if (!rows) return undefined
  const name = `${aggregation.name}Series(${joinPathExpressions(list)})`
  const values = await aggregateRows(rows, aggregation, xFilesFactor, call.pace)
  const tags = commonTags(list)
  if (!tags.has('name')) tags.set('name', name)
  tags.set('aggregatedBy', aggregation.name)
  return seriesOfRows(rows, { name, values, tags, xFilesFactor })
}

export function aggregationOf(func: string): Aggregation {
  const aggregation = findAggregation(func)
  if (!aggregation) throw new RenderError(`unknown aggregation ${JSON.stringify(func)}`)
  return aggregation
}

/** A series in the place of all rows. */
export function seriesOfRows(
  rows: Rows,
  parts: {
    readonly name: string
    readonly values: Float64Array
    readonly xFilesFactor: number
    readonly tags?: ReadonlyMap<string, string>
  },
): RenderSeries {
  return makeSeries({ ...parts, start: rows.start, end: rows.end, step: rows.step })
}

/** groupBy's callback: the name of a function that combines series, or of an aggregation. */
export async function combineGroup(
  call: FunctionCall,
  callback: string,
  list: readonly RenderSeries[],
): Promise<RenderSeries | undefined> {
  if (!call.isAggregator(callback)) return aggregateSeries(call, list, callback)
  const [combined] = await call.apply(callback, [list])
  return combined
}
