/**
 * `format=json`: `[{"target", "tags", "datapoints": [[value, time], …]}, …]`, as Grafana reads it
 * (graphite-web render/views.py renderViewJson). NaN and the infinities are null: strict JSON has neither,
 * and Go's decoder refuses the 1e9999 that graphite-web writes.
 *
 * `jsonp` wraps it in a call; `pretty` indents; `noNullPoints` leaves out what is null, and series that
 * hold nothing else.
 */

import type { RenderQuery } from '../render-query.ts'
import type { RenderSeries } from '../render-series.ts'
import { CHUNK_BYTES, type SeriesFormat } from './series-format.ts'
import { TextBuffer, writeDecimal, writeInteger, writeThree } from './text-buffer.ts'

/** Most bytes that one point takes: brackets, a number, a comma, a timestamp in nanoseconds, indentation. */
const POINT_BYTES_MAX = 96
const POINTS_A_TURN = CHUNK_BYTES / 64

const COMMA = 0x2c
const OPEN = 0x5b
const CLOSE = 0x5d
const BLANK = 0x20
const ZERO = 0x30

export const jsonFormat: SeriesFormat = {
  contentType: 'application/json',
  *encode(series, query) {
    const out = new TextBuffer(CHUNK_BYTES * 2)
    const layout = query.pretty ? PRETTY : COMPACT
    if (query.jsonp !== undefined) out.text(`${query.jsonp}(`)
    out.text('[')
    let first = true
    for (const one of series) {
      const shown = query.noNullPoints ? countFinite(one.values) : one.values.length
      if (query.noNullPoints && shown === 0) continue
      out.text(first ? layout.firstSeries : layout.nextSeries)
      first = false
      writeHead(out, one, layout)
      for (let from = 0; from < one.values.length; from += POINTS_A_TURN) {
        // What was written last stays in the buffer: the comma behind the last point is taken back.
        if (out.length >= CHUNK_BYTES) yield out.take()
        writePoints(out, one, { from, to: from + POINTS_A_TURN, layout, query })
      }
      if (shown > 0) out.length -= layout.betweenPoints.length
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
  readonly betweenPoints: Uint8Array
  readonly firstPoint: string
  readonly endPoints: string
  readonly endSeries: string
  readonly end: string
}

const COMPACT: Layout = {
  firstSeries: '{',
  nextSeries: ',{',
  colon: ':',
  member: ',',
  betweenPoints: bytesOf(','),
  firstPoint: '',
  endPoints: ']',
  endSeries: '}',
  end: ']',
}

const PRETTY: Layout = {
  firstSeries: '\n  {\n    ',
  nextSeries: ',\n  {\n    ',
  colon: ': ',
  member: ',\n    ',
  betweenPoints: bytesOf(',\n      '),
  firstPoint: '\n      ',
  endPoints: '\n    ]',
  endSeries: '\n  }',
  end: '\n]\n',
}

function writeHead(out: TextBuffer, series: RenderSeries, layout: Layout): void {
  const { colon, member } = layout
  out.text(`"target"${colon}${JSON.stringify(series.name)}${member}"tags"${colon}`)
  out.json(Object.fromEntries(series.tags))
  out.text(`${member}"datapoints"${colon}[`)
  if (series.values.length > 0) out.text(layout.firstPoint)
}

interface Turn {
  readonly from: number
  readonly to: number
  readonly layout: Layout
  readonly query: RenderQuery
}

/** Points [from, to), each with what stands between points after it. */
function writePoints(out: TextBuffer, series: RenderSeries, turn: Turn): void {
  const { values, start, step } = series
  const { noNullPoints, timestampZeros: zeros } = turn.query
  const { betweenPoints } = turn.layout
  const to = Math.min(turn.to, values.length)
  out.reserve((to - turn.from) * POINT_BYTES_MAX)
  const { bytes } = out
  const gap = betweenPoints.length
  const prefix = new Uint8Array(32)
  let prefixLength = 0
  let prefixSeconds = -1
  let at = out.length
  for (let i = turn.from; i < to; i++) {
    const value = values[i]!
    if (value - value === 0) {
      bytes[at++] = OPEN
      const end = writeDecimal(bytes, at, value)
      at = end > 0 ? end : writeText(bytes, at, String(value))
    } else {
      if (noNullPoints) continue
      bytes[at] = OPEN
      bytes.set(NULL, at + 1)
      at += 5
    }
    bytes[at] = COMMA
    bytes[at + 1] = BLANK
    at += 2
    // The first seven digits of a time change every thousand seconds: they are copied.
    const time = start + i * step
    const seconds = (time / 1e3) | 0
    if (seconds !== prefixSeconds) {
      prefixSeconds = seconds
      prefixLength = seconds === 0 ? 0 : writeInteger(prefix, 0, seconds)
    }
    for (let j = 0; j < prefixLength; j++) bytes[at + j] = prefix[j]!
    at += prefixLength
    at =
      prefixLength === 0
        ? writeInteger(bytes, at, time)
        : writeThree(bytes, at, time - seconds * 1e3)
    for (let j = 0; j < zeros; j++) bytes[at++] = ZERO
    bytes[at++] = CLOSE
    for (let j = 0; j < gap; j++) bytes[at++] = betweenPoints[j]!
  }
  out.length = at
}

const NULL = bytesOf('null')

function writeText(bytes: Uint8Array, at: number, text: string): number {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i)
  return at + text.length
}

function countFinite(values: Float64Array): number {
  let count = 0
  for (let i = 0; i < values.length; i++) if (Number.isFinite(values[i]!)) count++
  return count
}

function bytesOf(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
