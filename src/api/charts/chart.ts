/** One picture: a line graph or a pie, as SVG, PNG or PDF. */

import { toUtf8 } from '../../lib/bytes.ts'
import type { RequestParams } from '../http/request-params.ts'
import type { RenderSeries } from '../render-series.ts'
import type { Drawing } from './drawing.ts'
import { GraphOptions } from './graph-options.ts'
import { drawLineGraph } from './line-graph.ts'
import { drawPieGraph, pieModeOf, type Slice, sliceOf } from './pie-graph.ts'
import { printPdf } from './pdf.ts'
import type { Rasterizer } from './rasterizer.ts'
import { printSvg } from './svg.ts'

export type PictureFormat = 'svg' | 'png' | 'pdf'

export interface Picture {
  readonly contentType: string
  readonly bytes: Uint8Array<ArrayBuffer>
}

export interface ChartInput {
  readonly series: readonly RenderSeries[]
  /** Slices of a pie that are given as numbers. */
  readonly slices: readonly Slice[]
  readonly params: RequestParams
  readonly timeZone: string
  readonly format: PictureFormat
  readonly rasterizer: Rasterizer
}

export async function drawChart(input: ChartInput): Promise<Picture> {
  const options = new GraphOptions(input.params)
  if (options.oneOf('graphType', ['line', 'pie'] as const, 'line') === 'pie') {
    const mode = pieModeOf(options)
    const slices = [...input.slices, ...input.series.map((series) => sliceOf(series, mode))]
    return print(await drawPieGraph(slices, options), input)
  }
  const { drawing, metadata } = await drawLineGraph(input.series, options, input.timeZone)
  return print(drawing, input, metadata)
}

async function print(
  drawing: Drawing,
  { format, rasterizer }: ChartInput,
  metadata?: unknown,
): Promise<Picture> {
  switch (format) {
    case 'svg': {
      const bytes = toUtf8(printSvg(drawing, metadata)) as Uint8Array<ArrayBuffer>
      return { contentType: 'image/svg+xml', bytes }
    }
    case 'pdf':
      return { contentType: 'application/x-pdf', bytes: printPdf(drawing) }
    case 'png':
      return { contentType: 'image/png', bytes: await rasterizer.toPng(drawing) }
  }
}
