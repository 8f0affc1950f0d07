/**
 * What every picture starts from: size, colours, the typeface, and the area that is left after margins,
 * titles and legend have taken theirs.
 */

import { type Color, colorOr, withAlpha } from './color.ts'
import { type Box, Drawing } from './drawing.ts'
import { type FontFace, loadFace } from './font.ts'
import type { GraphOptions } from './graph-options.ts'
import { findTemplate, type Template } from './templates.ts'

export interface TextStyle {
  readonly anchor?: 'start' | 'middle' | 'end'
  readonly rotation?: number
  readonly size?: number
  readonly color?: Color
}

const FONT_SIZE_MAX = 200

export class Canvas {
  readonly drawing: Drawing
  readonly template: Template
  readonly foreground: Color
  readonly background: Color
  readonly face: FontFace
  readonly fontSize: number
  /** What is still free. */
  area: Box

  private constructor(options: GraphOptions, face: FontFace) {
    const { width, height } = options.size()
    this.drawing = new Drawing(width, height)
    this.template = findTemplate(options.text('template'))
    this.foreground = options.color('fgcolor', colorOr(this.template.foreground))
    this.background = options.color('bgcolor', colorOr(this.template.background))
    this.face = face
    this.fontSize = Math.min(FONT_SIZE_MAX, Math.max(1, options.number('fontSize') ?? 10))
    const wanted = options.number('margin') ?? 10
    const margin = wanted < 0 ? 10 : Math.min(wanted, width / 2, height / 2)
    this.area = {
      x: margin,
      y: margin,
      width: width - 2 * margin,
      height: height - 2 * margin,
    }
    this.drawing.begin('background')
    const whole = { x: 0, y: 0, width, height }
    if (this.background.alpha > 0) this.drawing.rectangle(whole, { fill: this.background })
  }

  static async open(options: GraphOptions): Promise<Canvas> {
    const face = await loadFace({
      name: options.text('fontName') ?? 'Sans',
      bold: options.flag('fontBold') ?? false,
      italic: options.flag('fontItalic') ?? false,
    })
    return new Canvas(options, face)
  }

  get lineHeight(): number {
    return Math.ceil((this.face.ascent + this.face.descent) * this.fontSize)
  }

  widthOf(text: string, size = this.fontSize): number {
    return this.face.widthOf(text, size)
  }

  /** A text whose base line is at y. */
  text(text: string, x: number, y: number, style: TextStyle = {}): void {
    this.drawing.add({
      kind: 'text',
      text,
      x,
      y,
      anchor: style.anchor ?? 'start',
      rotation: style.rotation ?? 0,
      size: style.size ?? this.fontSize,
      color: style.color ?? this.foreground,
      face: this.face,
    })
  }

  /** Takes pixels off the area's sides. */
  shrink(sides: { top?: number; right?: number; bottom?: number; left?: number }): void {
    const { top = 0, right = 0, bottom = 0, left = 0 } = sides
    const { x, y, width, height } = this.area
    this.area = {
      x: x + left,
      y: y + top,
      width: Math.max(1, width - left - right),
      height: Math.max(1, height - top - bottom),
    }
  }

  title(text: string): void {
    this.drawing.begin('title')
    const size = this.fontSize + Math.floor(Math.log(this.fontSize))
    const lineHeight = Math.ceil((this.face.ascent + this.face.descent) * size)
    for (const line of text.split('\n')) {
      const shown = this.fitted(line, this.drawing.width - 8, size)
      const y = this.area.y + this.face.ascent * size
      this.text(shown, this.drawing.width / 2, y, { anchor: 'middle', size })
      this.shrink({ top: lineHeight })
    }
    this.shrink({ top: Math.ceil(this.fontSize / 2) })
  }

  /** A title along the left or the right side. */
  sideTitle(text: string, side: 'left' | 'right'): void {
    this.drawing.begin(side === 'left' ? 'vtitle' : 'vtitleRight')
    const ascent = this.face.ascent * this.fontSize
    for (const line of text.split('\n')) {
      const { area } = this
      const shown = this.fitted(line, this.drawing.height - 8)
      const y = area.y + area.height / 2
      const x = side === 'left' ? area.x + ascent : area.x + area.width - ascent
      this.text(shown, x, y, { anchor: 'middle', rotation: side === 'left' ? -90 : 90 })
      this.shrink({ [side]: this.lineHeight })
    }
    this.shrink({ [side]: Math.ceil(this.fontSize / 2) })
  }

  /** The text, cut with … where it is wider than `width`. */
  fitted(text: string, width: number, size = this.fontSize): string {
    if (this.widthOf(text, size) <= width) return text
    const chars = Array.from(text)
    let low = 0
    let high = chars.length
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.widthOf(`${chars.slice(0, middle).join('')}…`, size) <= width) low = middle
      else high = middle - 1
    }
    return `${chars.slice(0, low).join('')}…`
  }

  /** What a picture shows that has nothing to show. */
  noData(): void {
    this.drawing.begin('no-data')
    const { width, height } = this.drawing
    const size = Math.max(8, Math.min(width / 8, height / 4, 28))
    const y = height / 2 + (this.face.ascent * size) / 3
    const color = withAlpha(this.foreground, 0.55)
    this.text('No Data', width / 2, y, { anchor: 'middle', size, color })
  }
}
