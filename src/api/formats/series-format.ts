/**
 * What a format is: a content type and pieces of bytes. Pieces of about CHUNK_BYTES are made one at a time,
 * as the client takes them, so that a long answer neither fills memory nor holds the event loop. A piece is
 * valid until the next is asked for: one buffer serves them all.
 */

import type { RenderQuery } from '../render-query.ts'
import type { RenderSeries } from '../render-series.ts'

export const CHUNK_BYTES = 256 * 1024

export interface SeriesFormat {
  readonly contentType: string
  encode(series: readonly RenderSeries[], query: RenderQuery): Iterable<Uint8Array<ArrayBuffer>>
}
