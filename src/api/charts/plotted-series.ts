/**
 * Series on their way into a picture: fewer values where there are more than pixels, a colour each, and
 * stacked ones with the line that they stand on.
 *
 * A stacked area reaches from what was stacked before it to its own values, so areas never cover one another
 * (graphite-web gets there by clipping). Values below zero stand on what was stacked below zero.
 */

import { consolidateValues } from '../../metric/display.ts'
import type { RenderSeries } from '../render-series.ts'
import type { Color } from './color.ts'

export type AreaMode = 'none' | 'first' | 'all' | 'stacked'

export interface PlottedSeries {
  readonly name: string
  readonly start: number
  readonly step: number
  readonly values: Float64Array
  readonly color: Color
  readonly onRight: boolean
  readonly lineWidth: number
  readonly dash: number | undefined
  readonly infinite: boolean
  readonly invisible: boolean
  readonly alpha: number | undefined
  /** What the area stands on, one value each; undefined for a line. */
  readonly base: Float64Array | undefined
}

export interface PlotSettings {
  readonly from: number
  readonly until: number
  /** Most values that a series may have in the range. */
  readonly pointsMax: number
  readonly nullAsZero: boolean
  readonly areaMode: AreaMode
  /** Values are held until the next, not joined by slopes. */
  readonly held: boolean
}

export interface SeriesStyle {
  readonly color: Color
  readonly lineWidth: number
  readonly dash: number | undefined
}

export function plotSeries(
  list: readonly RenderSeries[],
  styles: readonly SeriesStyle[],
  settings: PlotSettings,
): PlottedSeries[] {
  const areas = list.map((series, i) => isArea(series, i, settings.areaMode))
  const order = [...list.keys()].sort((a, b) => Number(areas[b]) - Number(areas[a]))
  const stacks = { left: new Stack(), right: new Stack() }
  return order.map((index) => {
    const series = list[index]!
    const { step, values } = thinned(series, settings)
    const { options } = series
    const onRight = options.secondYAxis === true
    const stack = onRight ? stacks.right : stacks.left
    const grid = { start: series.start, step, values }
    const cumulative = settings.areaMode === 'stacked' && options.stacked !== true
    const area = areas[index]
      ? stack.put(grid, { cumulative, held: settings.held })
      : { step, values, base: undefined }
    return {
      ...styles[index]!,
      name: series.name,
      start: series.start,
      step: area.step,
      values: area.values,
      base: area.base,
      onRight,
      infinite: options.drawAsInfinite === true,
      invisible: options.invisible === true,
      alpha: options.alpha,
    }
  })
}

function isArea({ options }: RenderSeries, index: number, mode: AreaMode): boolean {
  if (options.stacked) return true
  if (options.drawAsInfinite || mode === 'none') return false
  return mode !== 'first' || index === 0
}

function thinned(
  series: RenderSeries,
  settings: PlotSettings,
): { step: number; values: Float64Array } {
  const { step } = series
  const points = (settings.until - settings.from) / step
  const valuesPerPoint = Math.max(1, Math.ceil(points / settings.pointsMax))
  const values =
    valuesPerPoint === 1
      ? series.values
      : consolidateValues(series.values, { ...series, valuesPerPoint })
  // A constant line's last value stands at its end, other series' before it.
  const shown = values.subarray(
    0,
    Math.floor((series.end - series.start) / (step * valuesPerPoint)) + 1,
  )
  const known = shown.map((value) =>
    Number.isFinite(value) ? value : settings.nullAsZero ? 0 : NaN,
  )
  return { step: step * valuesPerPoint, values: known }
}

interface Grid {
  readonly start: number
  readonly step: number
  readonly values: Float64Array
}

/** What has been stacked on one axis so far: its outline above zero and below. */
class Stack {
  private grid: { start: number; step: number } | undefined
  private above: Float64Array = new Float64Array(0)
  private below: Float64Array = new Float64Array(0)

  /**
   * Puts a series on the stack: its values (added to what is there, when cumulative) and what it stands on.
   * One with a longer step than the stack's is filled in, so that what is under it shows its shape.
   */
  put(
    series: Grid,
    how: { cumulative: boolean; held: boolean },
  ): { step: number; values: Float64Array; base: Float64Array } {
    const coarse = this.grid !== undefined && this.grid.step < series.step
    const { start, step, values } = coarse ? filledIn(series, this.grid!.step, how.held) : series
    const above = this.onGrid(this.above, { start, step, count: values.length })
    const below = this.onGrid(this.below, { start, step, count: values.length })
    const stacked = new Float64Array(values.length)
    const base = new Float64Array(values.length)
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      const outline = value < 0 ? below : above
      const top = how.cumulative ? value + outline[i]! : value
      stacked[i] = top
      base[i] = value < 0 ? Math.max(outline[i]!, top) : Math.min(outline[i]!, top)
      if (top > above[i]!) above[i] = top
      if (top < below[i]!) below[i] = top
    }
    this.grid = { start, step }
    this.above = above
    this.below = below
    return { step, values: stacked, base }
  }

  /** The outline at the times of another grid; zero where nothing was stacked. */
  private onGrid(
    outline: Float64Array,
    to: { start: number; step: number; count: number },
  ): Float64Array {
    const result = new Float64Array(to.count)
    if (!this.grid) return result
    const { start, step } = this.grid
    for (let i = 0; i < to.count; i++) {
      const at = Math.floor((to.start + i * to.step - start) / step)
      result[i] = outline[at] ?? 0
    }
    return result
  }
}

/** The series on a shorter step. */
function filledIn({ start, step, values }: Grid, shorter: number, held: boolean): Grid {
  const count = Math.floor(((values.length - (held ? 0 : 1)) * step) / shorter) + (held ? 0 : 1)
  const dense = new Float64Array(Math.max(0, count))
  for (let i = 0; i < count; i++) {
    const at = (i * shorter) / step
    const before = values[Math.floor(at)]!
    const after = values[Math.ceil(at)] ?? before
    dense[i] = held ? before : before + (after - before) * (at - Math.floor(at))
  }
  return { start, step: shorter, values: dense }
}
