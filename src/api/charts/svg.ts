/**
 * A drawing as SVG 1.1. Groups are `<g class="…">`, for who restyles the picture; lines that lie on pixels
 * are drawn crisp. `metadata` goes into a script, as graphite-web's SVG has it.
 */

import type { Color } from './color.ts'
import type { Box, Drawing, Polyline, Shape, Stroke } from './drawing.ts'

export function printSvg(drawing: Drawing, metadata?: unknown): string {
  const { width, height, groups } = drawing
  const clips = new Map<string, string>()
  const body = groups
    .map(({ name, shapes }) => {
      const printed = shapes.map((shape) => printShape(shape, clips)).join('\n')
      return `<g class="${escapeXml(name)}">\n${printed}\n</g>`
    })
    .join('\n')
  const definitions = [...clips.values()].join('')
  const script =
    metadata === undefined
      ? ''
      : `<script>\n<![CDATA[\nmetadata = ${JSON.stringify(metadata).replaceAll(']]>', ']]\\u003e')}\n]]>\n</script>\n`
  return (
    `<?xml version="1.0" encoding="UTF-8"?>\n` +
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">\n` +
    (definitions === '' ? '' : `<defs>${definitions}</defs>\n`) +
    `${body}\n${script}</svg>\n`
  )
}

function printShape(shape: Shape, clips: Map<string, string>): string {
  if (shape.kind === 'text') return printText(shape)
  const path = shape.lines.map((line) => pathData(line, shape.closed)).join('')
  const clip = shape.clip === undefined ? '' : ` clip-path="url(#${clipId(shape.clip, clips)})"`
  return `<path d="${path}"${printFill(shape.fill)}${printStroke(shape.stroke)}${clip}/>`
}

function printText(shape: Extract<Shape, { kind: 'text' }>): string {
  const { face, anchor, rotation, color } = shape
  const x = number(shape.x)
  const y = number(shape.y)
  const turn = rotation === 0 ? '' : ` transform="rotate(${rotation} ${x} ${y})"`
  const family = `${face.family}, ${face.family.includes('Mono') ? 'monospace' : 'sans-serif'}`
  const weight = face.bold ? ' font-weight="bold"' : ''
  const slant = face.italic ? ' font-style="oblique"' : ''
  const align = anchor === 'start' ? '' : ` text-anchor="${anchor}"`
  return (
    `<text x="${x}" y="${y}" font-family="${family}" font-size="${number(shape.size)}"` +
    `${weight}${slant}${align}${printFill(color)}${turn} xml:space="preserve">${escapeXml(shape.text)}</text>`
  )
}

function pathData(line: Polyline, closed: boolean): string {
  let data = `M${number(line[0]!)} ${number(line[1]!)}`
  if (line.length > 2) data += 'L'
  for (let i = 2; i < line.length; i += 2) {
    data += `${i > 2 ? ' ' : ''}${number(line[i]!)} ${number(line[i + 1]!)}`
  }
  return closed ? `${data}Z` : data
}

function printFill(color: Color | undefined): string {
  if (!color) return ' fill="none"'
  return ` fill="${color.hex}"${color.alpha < 1 ? ` fill-opacity="${number(color.alpha)}"` : ''}`
}

function printStroke(stroke: Stroke | undefined): string {
  if (!stroke) return ''
  const { color, width, dash } = stroke
  const opacity = color.alpha < 1 ? ` stroke-opacity="${number(color.alpha)}"` : ''
  const dashes = dash ? ` stroke-dasharray="${number(dash)}"` : ''
  return ` stroke="${color.hex}" stroke-width="${number(width)}" stroke-linejoin="round"${opacity}${dashes}`
}

function clipId(box: Box, clips: Map<string, string>): string {
  const { x, y, width, height } = box
  const rectangle = `<rect x="${number(x)}" y="${number(y)}" width="${number(width)}" height="${number(height)}"/>`
  const id = `clip${[...clips.keys()].indexOf(rectangle) + 1 || clips.size + 1}`
  clips.set(rectangle, `<clipPath id="${id}">${rectangle}</clipPath>`)
  return id
}

/** At most two decimals. */
export function number(value: number): string {
  return String(Math.round(value * 100) / 100)
}

function escapeXml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll(/[^\P{Cc}\t\n\r]|[\ufffe\uffff]/gu, '\ufffd')
}
