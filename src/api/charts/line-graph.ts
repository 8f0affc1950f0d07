/**
 * Lines and areas over time: graphite-web's default picture with all its parameters (render/glyph.py
 * LineGraph), laid out anew. Grid lines lie on whole pixels, ticks are round in the request's time zone, all
 * labels of an axis share one unit.
 */

import type { RenderSeries } from '../render-series.ts'
import { Canvas } from './canvas.ts'
import { type Color, colorOr, withAlpha } from './color.ts'
import type { Drawing } from './drawing.ts'
import type { GraphOptions } from './graph-options.ts'
import { drawLegend } from './legend.ts'
import { type PlottedSeries, plotSeries, type SeriesStyle } from './plotted-series.ts'
import { drawSeries, type LineMode } from './series-shapes.ts'
import { makeTimeAxis, type TimeAxis } from './x-axis.ts'
import { type Axis, type AxisSettings, makeAxis, positionOn, UNIT_SYSTEMS } from './y-axis.ts'

/** graphite-web's LEGEND_MAX_ITEMS. */
const LEGEND_ITEMS_MAX = 10
const LABEL_GAP = 4

const GRAPH_ONLY = {
  hideLegend: 'true',
  hideGrid: 'true',
  hideAxes: 'true',
  yAxisSide: 'left',
  title: '',
  vtitle: '',
  vtitleRight: '',
  margin: '0',
}

export interface LineGraph {
  readonly drawing: Drawing
  /** For who continues with the SVG. */
  readonly metadata: unknown
}

export async function drawLineGraph(
  list: readonly RenderSeries[],
  given: GraphOptions,
  timeZone: string,
): Promise<LineGraph> {
  const options = given.flag('graphOnly') ? given.with(GRAPH_ONLY) : given
  const canvas = await Canvas.open(options)
  const range = timeRange(list, lineModeOf(list, options))
  if (!range) {
    canvas.noData()
    return { drawing: canvas.drawing, metadata: { options: { yUnitSystem: 'si' } } }
  }
  const graph = new Graph(list, { canvas, options, timeZone, range })
  graph.draw()
  return { drawing: canvas.drawing, metadata: graph.metadata() }
}

function lineModeOf(list: readonly RenderSeries[], options: GraphOptions): LineMode {
  const mode = options.oneOf('lineMode', ['slope', 'staircase', 'connected'] as const, 'slope')
  // One value has no slope.
  return mode === 'slope' && list.some((series) => series.values.length === 1) ? 'staircase' : mode
}

interface TimeRange {
  readonly from: number
  readonly until: number
}

function timeRange(list: readonly RenderSeries[], mode: LineMode): TimeRange | undefined {
  let from = Infinity
  let until = -Infinity
  for (const { start, end, step, values } of list) {
    if (values.length === 0) continue
    from = Math.min(from, start)
    const last = start + step * (values.length - (mode === 'staircase' ? 0 : 1))
    until = Math.max(until, Math.min(last, end))
  }
  return until > from ? { from, until } : undefined
}

class Graph {
  private readonly list: readonly RenderSeries[]
  private readonly canvas: Canvas
  private readonly options: GraphOptions
  private readonly timeZone: string
  private readonly range: TimeRange
  private readonly lineMode: LineMode
  private readonly styles: readonly SeriesStyle[]
  private readonly twoAxes: boolean
  private left!: Axis
  private right!: Axis

  constructor(
    list: readonly RenderSeries[],
    parts: { canvas: Canvas; options: GraphOptions; timeZone: string; range: TimeRange },
  ) {
    this.list = list
    this.canvas = parts.canvas
    this.options = parts.options
    this.timeZone = parts.timeZone
    this.range = parts.range
    this.lineMode = lineModeOf(list, parts.options)
    this.twoAxes = list.some((series) => series.options.secondYAxis)
    this.styles = this.chooseStyles()
  }

  draw(): void {
    const { canvas, options, twoAxes } = this
    const title = options.text('title')
    if (title !== undefined) canvas.title(title)
    const side = options.text('vtitle')
    if (side !== undefined) canvas.sideTitle(side, 'left')
    const right = options.text('vtitleRight')
    if (right !== undefined && twoAxes) canvas.sideTitle(right, 'right')
    if (!(options.flag('hideLegend') ?? this.list.length > LEGEND_ITEMS_MAX)) this.drawLegend()
    const hideAxes = options.flag('hideAxes') ?? false
    const showX = !hideAxes && !options.flag('hideXAxis')
    if (showX) canvas.shrink({ bottom: Math.ceil(canvas.lineHeight * 1.3) })
    const plotted = this.plot()
    if (!hideAxes && !options.flag('hideYAxis')) this.makeRoomForLabels()
    const timeAxis = this.timeAxis()
    canvas.drawing.begin('grid')
    if (!hideAxes && !options.flag('hideGrid')) this.drawGrid(timeAxis)
    this.drawLines(plotted)
    canvas.drawing.begin('axes')
    if (!hideAxes) this.drawAxes(timeAxis, showX)
  }

  metadata(): unknown {
    const { area } = this.canvas
    return {
      x: { start: this.range.from, end: this.range.until },
      y: { top: this.left.top, bottom: this.left.bottom },
      options: { lineWidth: this.options.number('lineWidth') ?? 1.2 },
      area: {
        xmin: area.x,
        xmax: area.x + area.width,
        ymin: area.y,
        ymax: area.y + area.height,
      },
      series: this.list.map(({ name, start, end, step, valuesPerPoint }) => ({
        name,
        start,
        end,
        step,
        valuesPerPoint,
      })),
    }
  }

  // ── styles and legend ─────────────────────────────────────────────────────────────────────────────

  private chooseStyles(): SeriesStyle[] {
    const { options, canvas, twoAxes } = this
    const colors = options.colors('colorList', canvas.template.lineColors)
    const width = Math.max(0, options.number('lineWidth') ?? options.number('thickness') ?? 1.2)
    let next = 0
    return this.list.map((series) => {
      const side = series.options.secondYAxis ? 'right' : 'left'
      const sideColor = twoAxes ? options.text(`${side}Color`) : undefined
      const own = series.options.color ?? sideColor
      const sideWidth = twoAxes ? options.number(`${side}Width`) : undefined
      const sideDash = twoAxes ? options.number(`${side}Dashed`) : undefined
      return {
        color: own === undefined ? colors[next++ % colors.length]! : colorOr(own),
        lineWidth: Math.min(100, series.options.lineWidth ?? sideWidth ?? width),
        dash: series.options.dashed ?? sideDash,
      }
    })
  }

  private drawLegend(): void {
    const { options } = this
    const hideNull = options.flag('hideNullFromLegend') ?? false
    const seen = new Set<string>()
    const items = this.list.flatMap((series, i) => {
      const { name } = series
      if (name === '' || (hideNull && series.values.every(Number.isNaN))) return []
      if (options.flag('uniqueLegend') && seen.has(name)) return []
      seen.add(name)
      return { name, color: this.styles[i]!.color, onRight: series.options.secondYAxis === true }
    })
    drawLegend(this.canvas, items)
  }

  // ── scales ────────────────────────────────────────────────────────────────────────────────────────

  /** Values for the width that there is, and axes for the values. */
  private plot(): PlottedSeries[] {
    const { options, range, canvas } = this
    const areaMode = options.oneOf('areaMode', ['none', 'first', 'all', 'stacked'] as const, 'none')
    const pointPixels = Math.max(0.1, options.number('minXStep') ?? 1)
    const plotted = plotSeries(this.list, this.styles, {
      ...range,
      pointsMax: Math.max(1, Math.floor(canvas.area.width / pointPixels)),
      nullAsZero: options.flag('drawNullAsZero') ?? false,
      areaMode: this.twoAxes && areaMode === 'stacked' ? 'none' : areaMode,
      held: this.lineMode === 'staircase',
    })
    const fromZero = areaMode === 'stacked'
    const side = (name: string): string => (this.twoAxes ? `${name}Left` : name)
    const left = plotted.filter((series) => !series.onRight)
    this.left = makeAxis(dataLimits(left, fromZero), this.axisSettings(side))
    const right = plotted.filter((series) => series.onRight)
    this.right = this.twoAxes
      ? makeAxis(
          dataLimits(right, fromZero),
          this.axisSettings((name) => `${name}Right`),
        )
      : this.left
    return plotted
  }

  private axisSettings(name: (setting: string) => string): AxisSettings {
    const { options } = this
    const short = (setting: string): number | undefined =>
      this.twoAxes ? undefined : options.number(setting)
    const max = options.text(name('yMax'))
    const divisors = (options.text('yDivisors') ?? '4,5,6').split(',').map(Number)
    const base = options.text('logBase') === 'e' ? Math.E : options.number('logBase')
    return {
      min: options.number(name('yMin')) ?? short('min'),
      max: max === 'max' ? 'max' : (options.number(name('yMax')) ?? short('max')),
      limit: options.number(name('yLimit')),
      step: options.number(name('yStep')),
      divisors: divisors.every((one) => one >= 1 && one <= 100) ? divisors : [4, 5, 6],
      units: UNIT_SYSTEMS.find((one) => one === options.text('yUnitSystem')?.toLowerCase()) ?? 'si',
      logBase: base !== undefined && base > 1 ? base : undefined,
    }
  }

  private get labelsOnRight(): boolean {
    return !this.twoAxes && this.options.text('yAxisSide') === 'right'
  }

  private makeRoomForLabels(): void {
    const { canvas, left, right, twoAxes, labelsOnRight } = this
    const widthOf = (axis: Axis): number =>
      Math.ceil(Math.max(...axis.ticks.map((tick) => canvas.widthOf(tick.label)), 0)) + LABEL_GAP
    if (labelsOnRight) canvas.shrink({ right: widthOf(left) })
    else canvas.shrink({ left: widthOf(left), ...(twoAxes ? { right: widthOf(right) } : {}) })
  }

  private timeAxis(): TimeAxis {
    const { canvas, range, timeZone, options } = this
    return makeTimeAxis({
      ...range,
      timeZone,
      format: options.text('xFormat'),
      scale: canvas.area.width / (range.until - range.from),
      widthOf: (label) => canvas.widthOf(label),
    })
  }

  private x(time: number): number {
    const { area } = this.canvas
    return area.x + ((time - this.range.from) / (this.range.until - this.range.from)) * area.width
  }

  private y(axis: Axis, value: number): number | undefined {
    const { area } = this.canvas
    const position = positionOn(axis, value)
    return position === undefined ? undefined : area.y + (1 - position) * area.height
  }

  // ── drawing ───────────────────────────────────────────────────────────────────────────────────────

  /**
   * Areas that let nothing through are painted one over the other, the last one first, so that no background
   * shines through where two meet.
   */
  private drawLines(plotted: readonly PlottedSeries[]): void {
    const { canvas, options, lineMode } = this
    canvas.drawing.begin('lines')
    const alpha = options.number('areaAlpha')
    const { x, y, width, height } = canvas.area
    const areas = plotted.filter(({ base }) => base !== undefined)
    const covering = areas.every((series) => isOpaque(series, alpha))
    const lines = plotted.filter(({ base }) => base === undefined)
    for (const series of [...(covering ? areas.toReversed() : areas), ...lines]) {
      drawSeries(canvas.drawing, series, {
        box: canvas.area,
        clip: { x, y: y - 1, width, height: height + 2 },
        x: (time) => this.x(time),
        y: (value, onRight) => this.y(onRight ? this.right : this.left, value),
        lineMode,
        connectedLimit: options.number('connectedLimit') ?? Infinity,
        areaAlpha: alpha,
        covering,
      })
    }
  }

  private drawGrid(timeAxis: TimeAxis): void {
    const { canvas, options, left } = this
    const { drawing, template } = canvas
    const major = options.color('majorGridLineColor', colorOr(template.majorLine))
    const minor = options.color('minorGridLineColor', colorOr(template.minorLine))
    const minorLines = Math.min(20, Math.max(0, Math.floor(options.number('minorY') ?? 1)))
    for (let i = 0; i + 1 < left.ticks.length; i++) {
      const low = left.ticks[i]!.value
      const high = left.ticks[i + 1]!.value
      // Of a power, its multiples.
      const parts = left.logBase === undefined ? minorLines + 1 : Math.round(left.logBase) - 1
      for (let j = 1; j < Math.min(parts, 21); j++) {
        this.across(low + ((high - low) * j) / parts, withAlpha(minor, 0.3))
      }
    }
    for (const time of timeAxis.minor) this.upright(time, withAlpha(minor, 0.3))
    for (const { value } of left.ticks) this.across(value, withAlpha(major, 0.4))
    for (const { time } of timeAxis.ticks) this.upright(time, withAlpha(major, 0.4))
    const { area } = canvas
    const frame = { color: withAlpha(major, 0.7), width: 1 }
    const [top, bottom] = [onPixel(area.y), onPixel(area.y + area.height)]
    const [start, end] = [onPixel(area.x), onPixel(area.x + area.width)]
    drawing.line([start, top, start, bottom, end, bottom, end, top], frame)
  }

  private across(value: number, color: Color): void {
    const { area, drawing } = this.canvas
    const y = this.y(this.left, value)
    if (y === undefined || y < area.y - 1 || y > area.y + area.height + 1) return
    const line = onPixel(y)
    drawing.line([onPixel(area.x), line, onPixel(area.x + area.width), line], { color, width: 1 })
  }

  private upright(time: number, color: Color): void {
    const { area, drawing } = this.canvas
    const x = onPixel(this.x(time))
    drawing.line([x, onPixel(area.y), x, onPixel(area.y + area.height)], { color, width: 1 })
  }

  private drawAxes(timeAxis: TimeAxis, showX: boolean): void {
    const { canvas, left, right, twoAxes, labelsOnRight } = this
    const { area } = canvas
    if (!this.options.flag('hideYAxis')) {
      this.drawLabels(left, labelsOnRight)
      if (twoAxes) this.drawLabels(right, true)
    }
    if (!showX) return
    const baseline = area.y + area.height + LABEL_GAP + canvas.face.ascent * canvas.fontSize
    let free = 1
    for (const { time, label } of timeAxis.ticks) {
      const x = this.x(time)
      const half = canvas.widthOf(label) / 2
      if (x - half < free || x + half > canvas.drawing.width - 1) continue
      canvas.text(label, x, baseline, { anchor: 'middle' })
      free = x + half + LABEL_GAP
    }
  }

  private drawLabels(axis: Axis, onRight: boolean): void {
    const { canvas } = this
    const { area, face, fontSize } = canvas
    const drop = ((face.ascent - face.descent) * fontSize) / 2
    let free = Infinity
    for (const { value, label } of axis.ticks) {
      const y = this.y(axis, value)
      if (y === undefined || y < area.y - 1 || y > area.y + area.height + 1) continue
      if (y > free) continue
      free = y - fontSize
      const x = onRight ? area.x + area.width + LABEL_GAP : area.x - LABEL_GAP
      canvas.text(label, x, y + drop, { anchor: onRight ? 'start' : 'end' })
    }
  }
}

function isOpaque({ color, alpha, invisible }: PlottedSeries, areaAlpha: number | undefined) {
  return !invisible && (alpha ?? areaAlpha ?? 1) * color.alpha >= 1
}

/** The middle of a pixel, where a line one pixel wide is sharp. */
function onPixel(at: number): number {
  return Math.round(at - 0.5) + 0.5
}

function dataLimits(
  list: readonly PlottedSeries[],
  fromZero: boolean,
): { min: number; max: number } {
  let min = Infinity
  let max = -Infinity
  for (const { values, infinite } of list) {
    if (infinite) continue
    for (let i = 0; i < values.length; i++) {
      const value = values[i]!
      if (value < min) min = value
      if (value > max) max = value
    }
  }
  if (min > max) return { min: 0, max: 1 }
  return fromZero ? { min: Math.min(min, 0), max: Math.max(max, 0) } : { min, max }
}
