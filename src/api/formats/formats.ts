/** Which code writes which of /render's formats. A new format is one file and one line here. */

import type { RenderFormat } from '../render-query.ts'
import { dygraphFormat, rickshawFormat } from './chart-json.ts'
import { jsonFormat } from './json.ts'
import {
  msgpackFormat,
  pickleFormat,
  protobufV2Format,
  protobufV3Format,
} from './packed-formats.ts'
import type { SeriesFormat } from './series-format.ts'
import { csvFormat, rawFormat } from './text-formats.ts'

export type TextFormat = Exclude<RenderFormat, 'svg' | 'png' | 'pdf'>

export const SERIES_FORMATS: Readonly<Record<TextFormat, SeriesFormat>> = {
  json: jsonFormat,
  csv: csvFormat,
  raw: rawFormat,
  pickle: pickleFormat,
  msgpack: msgpackFormat,
  dygraph: dygraphFormat,
  rickshaw: rickshawFormat,
  protobuf: protobufV2Format,
  protobuf3: protobufV2Format,
  carbonapi_v2_pb: protobufV2Format,
  carbonapi_v3_pb: protobufV3Format,
}

/** Undefined for pictures. */
export function seriesFormat(format: RenderFormat): SeriesFormat | undefined {
  return SERIES_FORMATS[format as TextFormat]
}
