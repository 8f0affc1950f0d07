/**
 * `graphType=pie`: one slice a series, as large as its average, maximum or minimum (`pieMode`), or as the
 * number of a target written `name:number` (graphite-web render/glyph.py PieGraph).
 */

import { RenderError, type RenderSeries } from '../render-series.ts'
import { Canvas } from './canvas.ts'
import { type Color, readableOn, withAlpha } from './color.ts'
import type { Drawing } from './drawing.ts'
import type { GraphOptions } from './graph-options.ts'
import { drawLegend } from './legend.ts'

export interface Slice {
  readonly name: string
  readonly value: number
}

/** Targets `name:number` are slices by themselves; the others are left to be evaluated. */
export function splitPieTargets(targets: readonly string[]): {
  slices: Slice[]
  targets: string[]
} {
  const slices: Slice[] = []
  const rest: string[] = []
  for (const target of targets) {
    const parts = /^([^:]*):\s*(-?[\d.]+(?:e[+-]?\d+)?)$/i.exec(target)
    if (!parts) rest.push(target)
    else slices.push({ name: parts[1]!, value: Number(parts[2]) })
  }
  return { slices, targets: rest }
}

export function sliceOf(series: RenderSeries, mode: 'average' | 'maximum' | 'minimum'): Slice {
  let sum = 0
  let count = 0
  let max = -Infinity
  let min = Infinity
  for (const value of series.values) {
    if (!Number.isFinite(value)) continue
    sum += value
    count++
    if (value > max) max = value
    if (value < min) min = value
  }
  if (count === 0) return { name: series.name, value: 0 }
  const value = mode === 'average' ? sum / count : mode === 'maximum' ? max : min
  return { name: series.name, value }
}

const FULL = 2 * Math.PI
const TOP = -Math.PI / 2

export async function drawPieGraph(
  slices: readonly Slice[],
  options: GraphOptions,
): Promise<Drawing> {
  const canvas = await Canvas.open(options)
  const shown = slices.filter((slice) => slice.value > 0)
  const total = shown.reduce((sum, slice) => sum + slice.value, 0)
  if (total <= 0 || !Number.isFinite(total)) {
    canvas.noData()
    return canvas.drawing
  }
  const title = options.text('title')
  if (title !== undefined) canvas.title(title)
  const colors = options.colors('colorList', canvas.template.lineColors)
  const colorOf = (slice: Slice): Color => colors[slices.indexOf(slice) % colors.length]!
  if (!options.flag('hideLegend')) {
    const items = slices.map((slice) => ({
      name: slice.name,
      color: colorOf(slice),
      onRight: false,
    }))
    drawLegend(canvas, items)
  }
  drawSlices(canvas, { shown, total, colorOf, options })
  return canvas.drawing
}

interface Pie {
  readonly shown: readonly Slice[]
  readonly total: number
  readonly colorOf: (slice: Slice) => Color
  readonly options: GraphOptions
}

function drawSlices(canvas: Canvas, { shown, total, colorOf, options }: Pie): void {
  const { area, drawing } = canvas
  const alpha = options.number('areaAlpha') ?? 1
  const middle = { x: area.x + area.width / 2, y: area.y + area.height / 2 }
  const radius = (Math.min(area.width, area.height) / 2) * 0.95
  const labels = options.oneOf('valueLabels', ['none', 'number', 'percent'] as const, 'percent')
  const least = options.number('valueLabelsMin') ?? 5
  const rotated = options.oneOf('pieLabels', ['horizontal', 'rotated'] as const, 'horizontal')
  drawing.begin('slices')
  const marks: { text: string; angle: number; color: Color }[] = []
  let angle = TOP
  for (const slice of shown) {
    const share = slice.value / total
    const end = angle + share * FULL
    const fill = withAlpha(colorOf(slice), alpha * colorOf(slice).alpha)
    const lines = [sector({ middle, radius, from: angle, to: end })]
    const stroke = { color: canvas.background, width: shown.length > 1 ? 1 : 0 }
    drawing.add({ kind: 'path', closed: true, lines, fill, stroke })
    const compared = labels === 'percent' ? share * 100 : slice.value
    if (labels !== 'none' && compared >= least) {
      const text = labels === 'percent' ? `${(share * 100).toFixed(1)} %` : printValue(slice.value)
      const color = options.color('valueLabelsColor', readableOn(fill))
      marks.push({ text, angle: (angle + end) / 2, color })
    }
    angle = end
  }
  drawing.begin('labels')
  for (const mark of marks) {
    const x = middle.x + radius * 0.62 * Math.cos(mark.angle)
    const y = middle.y + radius * 0.62 * Math.sin(mark.angle) + canvas.fontSize * 0.36
    const turned = rotated === 'rotated' ? uprightAngle(mark.angle) : 0
    canvas.text(mark.text, x, y, { anchor: 'middle', color: mark.color, rotation: turned })
  }
}

/** A slice's outline; its arc is drawn in steps of about a pixel. */
function sector(slice: {
  middle: { x: number; y: number }
  radius: number
  from: number
  to: number
}): number[] {
  const { middle, radius, from, to } = slice
  const steps = Math.max(2, Math.min(720, Math.ceil((to - from) * radius)))
  const whole = to - from > FULL - 1e-9
  const line = whole ? [] : [middle.x, middle.y]
  for (let i = 0; i <= steps; i++) {
    const angle = from + ((to - from) * i) / steps
    line.push(middle.x + radius * Math.cos(angle), middle.y + radius * Math.sin(angle))
  }
  return line
}

/** Degrees of a text along the radius that is not upside down. */
function uprightAngle(angle: number): number {
  const turned = ((angle % FULL) + FULL) % FULL
  const flipped = turned > Math.PI / 2 && turned <= (3 * Math.PI) / 2 ? turned - Math.PI : turned
  return (flipped * 180) / Math.PI
}

function printValue(value: number): string {
  return value < 10 && !Number.isInteger(value) ? value.toFixed(2) : String(Math.floor(value))
}

export function pieModeOf(options: GraphOptions): 'average' | 'maximum' | 'minimum' {
  const mode = options.text('pieMode') ?? 'average'
  if (mode === 'average' || mode === 'maximum' || mode === 'minimum') return mode
  throw new RenderError('pieMode must be average, maximum or minimum')
}
