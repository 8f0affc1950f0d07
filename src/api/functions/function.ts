/**
 * What a render function is: a name, a description and parameters as /functions shows them, and what it does.
 *
 * A function answers new series and never changes those that it was given. Its arguments have been checked
 * against the declared types (check-arguments.ts) when `run` is called. The first argument of a `refetches`
 * function is not evaluated beforehand: the function asks for it over the range that it needs.
 */

import type { Consolidation } from '../../metric/display.ts'
import type { Combination } from '../../metric/rows.ts'
import type { RenderSeries, SeriesSource } from '../render-series.ts'
import type { Pace } from '../pace.ts'
import type { BoundArguments } from './arguments.ts'
import type { Param } from './param.ts'

export type FunctionGroup =
  | 'Combine'
  | 'Transform'
  | 'Calculate'
  | 'Filter Series'
  | 'Filter Data'
  | 'Sorting'
  | 'Alias'
  | 'Graph'
  | 'Special'

export interface RenderFunction {
  readonly name: string
  /** Other names that it can be called by. */
  readonly aliases?: readonly string[]
  readonly group: FunctionGroup
  readonly description: string
  readonly params: readonly Param[]
  /** As /functions shows it, where it cannot be made from the parameters. */
  readonly signature?: string
  /** May be the callback of groupByNode and its like. */
  readonly aggregator?: true
  /** Not one of graphite-web's. */
  readonly origin?: 'carbonapi'
  /** Asks for its first argument itself, over another range. */
  readonly refetches?: true
  /** Names series and says how they are drawn, one for one; looks at no value, time or step. */
  readonly keepsValues?: true
  /** A function that `keepsValues` sets this, given its second argument; undefined when that is wrong. */
  readonly setsConsolidation?: (name: string | undefined) => Consolidation | undefined
  /** Makes one series of all that it is given, row by row in their order, so that the store may do it. */
  readonly combines?: Combination
  run(call: FunctionCall): readonly RenderSeries[] | Promise<readonly RenderSeries[]>
  /** mapSeries alone: lists of series instead of series. */
  readonly makesLists?: (call: FunctionCall) => readonly (readonly RenderSeries[])[]
}

export interface TimeRange {
  readonly from: number
  readonly until: number
}

/** Where a call happens. */
export interface Scope extends TimeRange {
  readonly now: number
  readonly timeZone: string
  /** In force here: the request's, or setXFilesFactor's. */
  readonly xFilesFactor: number
  readonly pace: Pace
  readonly source: SeriesSource
  /** Uniform in [0, 1). */
  random(): number
}

export interface FunctionCall extends Scope {
  readonly args: BoundArguments
  /** The first argument's series over another range. */
  refetch(range: TimeRange): Promise<readonly RenderSeries[]>
  /**
   * The heights of a stack of that name so far; to be added to at once. Targets that come earlier in the
   * request have been evaluated when it is answered.
   */
  stackTotals(name: string): Promise<number[]>
  /** A target that the function made up, over this call's range or another. */
  evaluate(target: string, range?: TimeRange): Promise<readonly RenderSeries[]>
  /** Whether graphite-web has a function of that name that makes one series of many. */
  isAggregator(name: string): boolean
  /** Another function over lists of series, by name: for callbacks. */
  apply(name: string, lists: readonly (readonly RenderSeries[])[]): Promise<readonly RenderSeries[]>
}

/** One new series for each, with pauses. */
export async function eachSeries(
  call: FunctionCall,
  list: readonly RenderSeries[],
  make: (series: RenderSeries) => RenderSeries | undefined,
): Promise<RenderSeries[]> {
  const result: RenderSeries[] = []
  for (let i = 0; i < list.length; i++) {
    const series = list[i]!
    const made = make(series)
    if (made) result.push(made)
    const pause = call.pace.spend(series.values.length)
    if (pause) await pause
  }
  return result
}

/**
 * A series that was asked for from a time on, but begins later because no archive reaches back so far: with
 * points without value in front, so that counting points from its start is counting time.
 */
export function padToStart(call: FunctionCall, series: RenderSeries, from: number): RenderSeries {
  const { step, values } = series
  const missing = Math.floor((series.start - (from - (from % step) + step)) / step)
  if (missing <= 0) return series
  call.pace.reserve(values.length + missing)
  const padded = new Float64Array(values.length + missing).fill(NaN)
  padded.set(values, missing)
  return { ...series, start: series.start - missing * step, values: padded }
}
