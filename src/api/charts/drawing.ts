/**
 * A picture as a list of shapes, in pixels from the upper left corner, which svg.ts, pdf.ts and png.ts print.
 * Shapes stand one over another in the order in which they were added; each belongs to the group that was
 * begun last, which is its class in SVG.
 */

import type { Color } from './color.ts'
import type { FontFace } from './font.ts'

export interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** x, y, x, y, … */
export type Polyline = readonly number[]

export interface Stroke {
  readonly color: Color
  readonly width: number
  /** Length of dashes and of the gaps between them. */
  readonly dash?: number | undefined
}

export type Shape =
  | {
      readonly kind: 'path'
      readonly lines: readonly Polyline[]
      readonly closed: boolean
      readonly fill?: Color | undefined
      readonly stroke?: Stroke | undefined
      readonly clip?: Box | undefined
    }
  | {
      readonly kind: 'text'
      readonly text: string
      /** Where the base line starts, is in the middle or ends, as `anchor` says. */
      readonly x: number
      readonly y: number
      readonly anchor: 'start' | 'middle' | 'end'
      /** Degrees, clockwise. */
      readonly rotation: number
      readonly size: number
      readonly color: Color
      readonly face: FontFace
    }

export interface Group {
  readonly name: string
  readonly shapes: Shape[]
}

export class Drawing {
  readonly width: number
  readonly height: number
  readonly groups: Group[]

  constructor(width: number, height: number) {
    this.width = width
    this.height = height
    this.groups = []
  }

  begin(name: string): void {
    this.groups.push({ name, shapes: [] })
  }

  add(shape: Shape): void {
    if (this.groups.length === 0) this.begin('background')
    this.groups.at(-1)!.shapes.push(shape)
  }

  rectangle(box: Box, paint: { fill?: Color; stroke?: Stroke }): void {
    const { x, y, width, height } = box
    const right = x + width
    const bottom = y + height
    this.add({
      kind: 'path',
      closed: true,
      lines: [[x, y, right, y, right, bottom, x, bottom]],
      ...paint,
    })
  }

  line(points: Polyline, stroke: Stroke): void {
    this.add({ kind: 'path', closed: false, lines: [points], stroke })
  }
}
