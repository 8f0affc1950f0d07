/**
 * Python's `template % number` for the templates of aliasQuery(): `%d`, `%s`, `%f`, `%.1f`, `%g`, `%e`, `%%`.
 */

import { formatD, formatG, pythonFloat, roundTo } from '../python-format.ts'
import { RenderError } from '../render-series.ts'

const CONVERSION_RE = /%(?:%|([-+ 0]*)(\d{0,3})(?:\.(\d{1,2}))?([dsrfFgGeEi]))/g

export function formatNumbers(template: string, value: number): string {
  let conversions = 0
  const text = template.replace(
    CONVERSION_RE,
    (all: string, flags?: string, width?: string, precision?: string, kind?: string) => {
      if (kind === undefined) return all === '%%' ? '%' : all
      conversions++
      return pad(convert(value, kind, precision), flags ?? '', Number(width ?? 0))
    },
  )
  if (conversions !== 1) {
    throw new RenderError(
      `${JSON.stringify(template)} must hold one %d, %s, %f or %g for the value`,
    )
  }
  return text
}

function convert(value: number, kind: string, precision: string | undefined): string {
  const digits = precision === undefined ? 6 : Number(precision)
  switch (kind) {
    case 'd':
    case 'i':
      return formatD(value)
    case 'f':
    case 'F':
      return Number.isFinite(value) ? roundTo(value, digits).toFixed(digits) : pythonFloat(value)
    case 'e':
    case 'E':
      return value.toExponential(digits).replace(/e([+-])(\d)$/, 'e$10$2')
    case 'g':
    case 'G':
      return formatG(value)
    default:
      return pythonFloat(value)
  }
}

function pad(text: string, flags: string, width: number): string {
  const signed = flags.includes('+') && !text.startsWith('-') ? `+${text}` : text
  if (flags.includes('-')) return signed.padEnd(width)
  if (!flags.includes('0')) return signed.padStart(width)
  const sign = /^[+-]/.exec(signed)?.[0] ?? ''
  return sign + signed.slice(sign.length).padStart(width - sign.length, '0')
}
