/**
 * A plotted series as polylines: `slope` joins values and breaks at gaps, `staircase` holds each value for
 * its step, `connected` joins over gaps of at most `connectedLimit` values. A value alone between gaps is a
 * dot. Areas are polygons between the values and what they stand on.
 */

import type { Color } from './color.ts'
import { withAlpha } from './color.ts'
import type { Box, Drawing, Polyline, Stroke } from './drawing.ts'
import type { PlottedSeries } from './plotted-series.ts'

export type LineMode = 'slope' | 'staircase' | 'connected'

export interface PlotArea {
  readonly box: Box
  /** The box and half a line's width above and below. */
  readonly clip: Box
  /** Pixel of a time. */
  readonly x: (time: number) => number
  /** Pixel of a value; undefined where its axis does not have it. */
  readonly y: (value: number, onRight: boolean) => number | undefined
  readonly lineMode: LineMode
  /** Longest gap that `connected` closes, in values. */
  readonly connectedLimit: number
  /** Of areas; given, areas are outlined too. */
  readonly areaAlpha: number | undefined
  /** Areas reach down to zero, and those that are painted later cover them. */
  readonly covering: boolean
}

/** Consecutive points: x, value's y, base's y, … */
type Run = number[]

export function drawSeries(drawing: Drawing, series: PlottedSeries, area: PlotArea): void {
  if (series.infinite) return drawInfinite(drawing, series, area)
  const runs = findRuns(series, area)
  if (runs.length === 0) return
  const alpha = series.alpha ?? (series.base ? area.areaAlpha : undefined) ?? 1
  const color = series.invisible
    ? withAlpha(series.color, 0)
    : withAlpha(series.color, alpha * series.color.alpha)
  if (series.base && !series.invisible) drawArea(drawing, runs, { color, clip: area.clip })
  const outlined = series.base !== undefined && area.areaAlpha !== undefined
  if (series.invisible || (series.base && !outlined)) return
  const stroke: Stroke = {
    color: outlined ? series.color : color,
    width: series.lineWidth,
    dash: series.dash,
  }
  const lines = runs.map((run) => outlineOf(run, series.lineWidth))
  drawing.add({ kind: 'path', closed: false, lines, stroke, clip: area.clip })
}

function drawArea(
  drawing: Drawing,
  runs: readonly Run[],
  { color, clip }: { color: Color; clip: Box },
): void {
  const lines = runs.map((run) => {
    const line: number[] = []
    for (let i = 0; i < run.length; i += 3) line.push(run[i]!, run[i + 1]!)
    for (let i = run.length - 3; i >= 0; i -= 3) line.push(run[i]!, run[i + 2]!)
    return line
  })
  drawing.add({ kind: 'path', closed: true, lines, fill: color, clip })
}

/** A vertical line wherever the value is above zero. */
function drawInfinite(drawing: Drawing, series: PlottedSeries, area: PlotArea): void {
  const { box } = area
  const lines: Polyline[] = []
  for (let i = 0; i < series.values.length; i++) {
    if (!(series.values[i]! > 0)) continue
    const x = area.x(series.start + i * series.step)
    lines.push([x, box.y + box.height, x, box.y])
  }
  if (lines.length === 0) return
  const { lineWidth: width, dash } = series
  const color = withAlpha(series.color, (series.alpha ?? 1) * series.color.alpha)
  drawing.add({
    kind: 'path',
    closed: false,
    lines,
    stroke: { color, width, dash },
    clip: area.clip,
  })
}

function outlineOf(run: Run, lineWidth: number): Polyline {
  const line: number[] = []
  for (let i = 0; i < run.length; i += 3) line.push(run[i]!, run[i + 1]!)
  if (line.length > 2) return line
  return [line[0]! - lineWidth / 2, line[1]!, line[0]! + lineWidth / 2, line[1]!]
}

function findRuns(series: PlottedSeries, area: PlotArea): Run[] {
  const { values, base, start, step, onRight } = series
  const stairs = area.lineMode === 'staircase'
  const gapMax = area.lineMode === 'connected' ? area.connectedLimit : 0
  const right = area.box.x + area.box.width
  const bottom = area.box.y + area.box.height
  const runs: Run[] = []
  let run: Run = []
  let gap = 0
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    const y = value === value ? area.y(value, onRight) : undefined
    if (y === undefined) {
      gap++
      continue
    }
    if (runs.length === 0 || gap > gapMax) {
      run = []
      runs.push(run)
    }
    gap = 0
    const ground = base && (area.covering ? 0 : base[i]!)
    const foot = ground === undefined ? 0 : (area.y(ground, onRight) ?? bottom)
    const x = area.x(start + i * step)
    run.push(x, y, foot)
    if (stairs) run.push(Math.min(area.x(start + (i + 1) * step), right), y, foot)
  }
  return runs
}
