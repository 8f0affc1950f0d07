/**
 * JSON for two drawing libraries (graphite-web render/views.py): dygraph, a table with one row a time; and
 * rickshaw, objects with x and y. Infinities are null, as in `json`; series of different lengths and steps
 * share dygraph's rows by time, where graphite-web puts them by index and fails.
 */

import type { RenderQuery } from '../render-query.ts'
import type { RenderSeries } from '../render-series.ts'
import { CHUNK_BYTES, type SeriesFormat } from './series-format.ts'
import { TextBuffer } from './text-buffer.ts'

export const dygraphFormat: SeriesFormat = {
  contentType: 'application/json',
  *encode(series, query) {
    const out = new TextBuffer(CHUNK_BYTES * 2)
    openCall(out, query)
    if (series.length === 0) out.text('{}')
    else {
      out.text('{"labels": ')
      out.json(['Time', ...series.map((one) => one.name)])
      out.text(', "data": [')
      const rows = rowTimes(series)
      for (let row = 0; row < rows.length; row++) {
        const time = rows[row]!
        out.text(`${row > 0 ? ', ' : ''}[${time}000`)
        for (const one of series) {
          out.text(', ')
          finiteOrNull(out, valueAt(one, time))
        }
        out.text(']')
        if (out.length >= CHUNK_BYTES) yield out.take()
      }
      out.text(']}')
    }
    closeCall(out, query)
    yield out.take()
  },
}

export const rickshawFormat: SeriesFormat = {
  contentType: 'application/json',
  *encode(series, query) {
    const out = new TextBuffer(CHUNK_BYTES * 2)
    openCall(out, query)
    out.text('[')
    for (const [index, one] of series.entries()) {
      out.text(`${index > 0 ? ', ' : ''}{"target": ${JSON.stringify(one.name)}, "datapoints": [`)
      for (let i = 0; i < one.values.length; i++) {
        out.text(`${i > 0 ? ', ' : ''}{"x": ${one.start + i * one.step}, "y": `)
        finiteOrNull(out, one.values[i]!)
        out.text('}')
        if (out.length >= CHUNK_BYTES) yield out.take()
      }
      out.text(']}')
    }
    out.text(']')
    closeCall(out, query)
    yield out.take()
  },
}

/** Every time at which one of the series has a slot, ascending. */
function rowTimes(series: readonly RenderSeries[]): readonly number[] {
  const grids = new Set<string>()
  const times = new Set<number>()
  for (const { start, step, values } of series) {
    const grid = `${start} ${step} ${values.length}`
    if (grids.has(grid)) continue
    grids.add(grid)
    for (let i = 0; i < values.length; i++) times.add(start + i * step)
  }
  return [...times].sort((a, b) => a - b)
}

function valueAt(series: RenderSeries, time: number): number {
  return series.values[(time - series.start) / series.step] ?? NaN
}

function finiteOrNull(out: TextBuffer, value: number): void {
  if (value - value === 0) out.number(value)
  else out.text('null')
}

function openCall(out: TextBuffer, { jsonp }: RenderQuery): void {
  if (jsonp !== undefined) out.text(`${jsonp}(`)
}

function closeCall(out: TextBuffer, { jsonp }: RenderQuery): void {
  if (jsonp !== undefined) out.text(')')
}
