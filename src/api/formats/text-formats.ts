/**
 * The formats that are lines of text (graphite-web render/views.py): csv, `name,time,value` with the time in
 * the request's zone and `\r\n`; raw, `name,start,end,step|v,v,None` with numbers as Python prints floats.
 */

import { pythonFloat } from '../python-format.ts'
import { localTimeTexts } from './local-time.ts'
import { CHUNK_BYTES, type SeriesFormat } from './series-format.ts'
import { TextBuffer } from './text-buffer.ts'

const COMMA = 0x2c

export const csvFormat: SeriesFormat = {
  contentType: 'text/csv',
  *encode(series, query) {
    const out = new TextBuffer(CHUNK_BYTES * 2)
    const timeText = localTimeTexts(query.timeZone)
    for (const one of series) {
      const name = quoteField(one.name)
      for (let i = 0; i < one.values.length; i++) {
        const value = one.values[i]!
        if (query.noNullPoints && value !== value) continue
        out.text(`${name},${timeText(one.start + i * one.step)},`)
        if (value === value) appendFloat(out, value)
        out.text('\r\n')
        if (out.length >= CHUNK_BYTES) yield out.take()
      }
    }
    yield out.take()
  },
}

export const rawFormat: SeriesFormat = {
  contentType: 'text/plain',
  *encode(series) {
    const out = new TextBuffer(CHUNK_BYTES * 2)
    for (const one of series) {
      out.text(`${one.name},${one.start},${one.end},${one.step}|`)
      for (let i = 0; i < one.values.length; i++) {
        if (i > 0) out.byte(COMMA)
        const value = one.values[i]!
        if (value === value) appendFloat(out, value)
        else out.text('None')
        if (out.length >= CHUNK_BYTES) yield out.take()
      }
      out.text('\n')
    }
    yield out.take()
  },
}

/** Quoted when it holds a comma, a quote or a line's end (Python's csv, QUOTE_MINIMAL). */
function quoteField(text: string): string {
  return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/** As Python's repr: whole numbers with `.0`, exponents from 1e16 and below 1e-4, two digits at least. */
function appendFloat(out: TextBuffer, value: number): void {
  const size = Math.abs(value)
  if (Object.is(value, 0) || (size >= 1e-4 && size < 1e16)) {
    out.number(value)
    if (Number.isInteger(value)) out.text('.0')
  } else out.text(pythonFloat(value))
}
