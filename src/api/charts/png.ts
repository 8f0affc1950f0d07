/** A drawing as PNG: its SVG, rasterised by resvg with the fonts that the drawing uses and no others. */

import { Resvg } from '@resvg/resvg-js'
import type { Drawing } from './drawing.ts'
import { printSvg } from './svg.ts'

export function printPng(drawing: Drawing): Uint8Array<ArrayBuffer> {
  const fonts = new Set<string>()
  for (const { shapes } of drawing.groups) {
    for (const shape of shapes) if (shape.kind === 'text') fonts.add(shape.face.path)
  }
  const image = new Resvg(printSvg(drawing), {
    font: { fontFiles: [...fonts], loadSystemFonts: false },
    textRendering: 1,
    shapeRendering: 2,
  })
  return new Uint8Array(image.render().asPng())
}
