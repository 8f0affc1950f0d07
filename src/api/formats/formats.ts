/** Which code writes which of /render's formats. A new format is one file and one line here. */

import type { RenderFormat } from '../render-query.ts'
import { jsonFormat } from './json.ts'
import type { SeriesFormat } from './series-format.ts'

const FORMATS: Partial<Record<RenderFormat, SeriesFormat>> = {
  json: jsonFormat,
}

export function seriesFormat(format: RenderFormat): SeriesFormat {
  return FORMATS[format] ?? jsonFormat
}
