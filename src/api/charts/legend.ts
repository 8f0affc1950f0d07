/**
 * The legend: coloured squares with names, in columns as wide as the longest name, under the graph. It takes at
 * most half of the picture and leaves the graph the height of some lines; what has no room is counted in its
 * last line. Series of the right axis stand in the right half, their squares behind the names.
 */

import type { Canvas } from './canvas.ts'
import type { Color } from './color.ts'

export interface LegendItem {
  readonly name: string
  readonly color: Color
  readonly onRight: boolean
}

const GAP = 5
/** Text lines' heights that are left to graph and time axis. */
const GRAPH_LINES_MIN = 5

export function drawLegend(canvas: Canvas, items: readonly LegendItem[]): void {
  if (items.length === 0) return
  canvas.drawing.begin('legend')
  const left = items.filter((item) => !item.onRight)
  const right = items.filter((item) => item.onRight)
  const { area, lineHeight } = canvas
  const halves = left.length > 0 && right.length > 0 ? 2 : 1
  const width = area.width / halves
  const box = lineHeight - 3
  const longest = Math.max(...items.map((item) => canvas.widthOf(item.name)))
  const itemWidth = Math.min(width, longest + box + 3 * GAP)
  const columns = Math.max(1, Math.floor(width / itemWidth))
  const rowsNeeded = Math.ceil(Math.max(left.length, right.length) / columns)
  const rowsMax = Math.min(
    Math.floor(canvas.drawing.height / 2 / lineHeight),
    Math.floor(area.height / lineHeight) - GRAPH_LINES_MIN,
  )
  if (rowsMax < 1) return
  const rows = Math.min(rowsNeeded, rowsMax)
  const capacity = rows * columns
  canvas.shrink({ bottom: rows * lineHeight + GAP })
  const top = canvas.area.y + canvas.area.height + 2 * GAP
  const put = (list: readonly LegendItem[], onRight: boolean): void => {
    const hidden = list.length - capacity
    const shown = hidden > 0 ? list.slice(0, capacity - 1) : list
    shown.forEach((item, i) => {
      const column = i % columns
      const y = top + Math.floor(i / columns) * lineHeight
      const edge = onRight ? area.x + area.width - column * itemWidth : area.x + column * itemWidth
      drawItem(canvas, item, { edge, y, box, textWidth: itemWidth - box - 2 * GAP })
    })
    if (hidden > 0) {
      const x = onRight ? area.x + area.width : area.x + ((capacity - 1) % columns) * itemWidth
      const y = top + (rows - 1) * lineHeight + canvas.face.ascent * canvas.fontSize
      canvas.text(`… and ${hidden + 1} more`, x, y, { anchor: onRight ? 'end' : 'start' })
    }
  }
  put(left, false)
  put(right, true)
}

function drawItem(
  canvas: Canvas,
  { name, color, onRight }: LegendItem,
  at: { edge: number; y: number; box: number; textWidth: number },
): void {
  const { drawing, face, fontSize } = canvas
  const { edge, y, box } = at
  const x = Math.round(onRight ? edge - box : edge)
  const square = { x, y: Math.round(y), width: box, height: box }
  drawing.rectangle(square, { fill: color })
  const baseline = y + box / 2 + ((face.ascent - face.descent) * fontSize) / 2
  const text = canvas.fitted(name, at.textWidth)
  if (onRight) canvas.text(text, x - GAP, baseline, { anchor: 'end' })
  else canvas.text(text, x + box + GAP, baseline)
}
