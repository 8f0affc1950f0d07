/**
 * `format=json`: `[{"target", "tags", "datapoints": [[value, time], …]}, …]`, as Grafana reads it
 * (graphite-web render/views.py renderViewJson). NaN and the infinities are null: strict JSON has neither,
 * and Go's decoder refuses the 1e9999 that graphite-web writes.
 *
 * `jsonp` wraps it in a call; `pretty` indents; `noNullPoints` leaves out what is null, and series that
 * hold nothing else.
 */

import type { RenderSeries } from '../render-series.ts'
import { CHUNK_BYTES, type SeriesFormat } from './series-format.ts'
import { NUMBER_BYTES_MAX, writeNumber } from '../../lib/number-text.ts'
import { PointTails, type Tails } from './point-tails.ts'
import { TextBuffer } from './text-buffer.ts'

const POINTS_A_TURN = CHUNK_BYTES / 64

/** `null` as a little-endian word. */
const NULL = 0x6c6c756e

export const jsonFormat: SeriesFormat = {
  contentType: 'application/json',
  *encode(series, query) {
    const out = new TextBuffer(CHUNK_BYTES * 2)
    const layout = query.pretty ? PRETTY : COMPACT
    const tails = new PointTails({ zeros: query.timestampZeros, between: layout.nextValue })
    if (query.jsonp !== undefined) out.text(`${query.jsonp}(`)
    out.text('[')
    let first = true
    for (const one of series) {
      const shown = query.noNullPoints ? countFinite(one.values) : one.values.length
      if (query.noNullPoints && shown === 0) continue
      out.text(first ? layout.firstSeries : layout.nextSeries)
      first = false
      writeHead(out, one, layout)
      const { start, step, values } = one
      let opening = layout.firstValue
      for (let from = 0; from < values.length; from += POINTS_A_TURN) {
        if (out.length >= CHUNK_BYTES) yield out.take()
        const turn = values.subarray(from, from + POINTS_A_TURN)
        const behind = tails.of(start + from * step, step, turn.length)
        out.text(opening)
        if (writePoints(out, turn, behind, query.noNullPoints)) {
          // The last tail leads to a value that may come with the next turn, or never.
          opening = layout.nextValue
        }
        out.length -= opening.length
      }
      out.text(shown > 0 ? layout.endPoints : ']')
      out.text(layout.endSeries)
    }
    out.text(first ? ']' : layout.end)
    if (query.jsonp !== undefined) out.text(')')
    yield out.take()
  },
}

interface Layout {
  readonly firstSeries: string
  readonly nextSeries: string
  readonly colon: string
  readonly member: string
  readonly firstValue: string
  readonly nextValue: string
  readonly endPoints: string
  readonly endSeries: string
  readonly end: string
}

const COMPACT: Layout = {
  firstSeries: '{',
  nextSeries: ',{',
  colon: ':',
  member: ',',
  firstValue: '[',
  nextValue: ',[',
  endPoints: ']',
  endSeries: '}',
  end: ']',
}

const PRETTY: Layout = {
  firstSeries: '\n  {\n    ',
  nextSeries: ',\n  {\n    ',
  colon: ': ',
  member: ',\n    ',
  firstValue: '\n      [',
  nextValue: ',\n      [',
  endPoints: '\n    ]',
  endSeries: '\n  }',
  end: '\n]\n',
}

function writeHead(out: TextBuffer, series: RenderSeries, layout: Layout): void {
  const { colon, member } = layout
  out.text(`"target"${colon}${JSON.stringify(series.name)}${member}"tags"${colon}`)
  out.json(Object.fromEntries(series.tags))
  out.text(`${member}"datapoints"${colon}[`)
}

/** Points that follow what stands in front of a value, each with its tail; whether there was any. */
function writePoints(
  out: TextBuffer,
  values: Float64Array,
  tails: Tails,
  noNullPoints: boolean,
): boolean {
  const { words, doubles, lengths } = tails
  out.reserve(values.length * (NUMBER_BYTES_MAX + words * 8))
  const { view } = out
  let at = out.length
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value - value === 0) at = writeNumber(view, at, value)
    else {
      if (noNullPoints) continue
      view.setUint32(at, NULL, true)
      at += 4
    }
    const from = i * words
    for (let j = 0; j < words; j++) view.setFloat64(at + j * 8, doubles[from + j]!, true)
    at += lengths[i]!
  }
  const written = at > out.length
  out.length = at
  return written
}

function countFinite(values: Float64Array): number {
  let count = 0
  for (let i = 0; i < values.length; i++) if (Number.isFinite(values[i]!)) count++
  return count
}
