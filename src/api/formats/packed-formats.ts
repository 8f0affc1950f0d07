/**
 * The formats that other programs read: pickle and msgpack as graphite-web's clusters exchange them
 * (render/datalib.py getInfo), protobuf as go-carbon and carbonapi do (carbonapi_v2_pb, carbonapi_v3_pb).
 */

import type { RenderSeries } from '../render-series.ts'
import { encodeMsgpack } from './msgpack.ts'
import { encodePickle } from './pickle.ts'
import { encodeFetchV2, encodeFetchV3 } from './protobuf.ts'
import type { SeriesFormat } from './series-format.ts'

export const pickleFormat: SeriesFormat = {
  contentType: 'application/pickle',
  encode: (series) => [encodePickle(series.map(describe))],
}

export const msgpackFormat: SeriesFormat = {
  contentType: 'application/x-msgpack',
  encode: (series) => [encodeMsgpack(series.map(describe))],
}

export const protobufV2Format: SeriesFormat = {
  contentType: 'application/x-protobuf',
  encode: (series) => [encodeFetchV2(series)],
}

export const protobufV3Format: SeriesFormat = {
  contentType: 'application/x-carbonapi-v3-pb',
  encode: (series, query) => [encodeFetchV3(series, query)],
}

function describe(series: RenderSeries): ReadonlyMap<string, unknown> {
  return new Map<string, unknown>([
    ['name', series.name],
    ['start', series.start],
    ['end', series.end],
    ['step', series.step],
    ['values', series.values],
    ['pathExpression', series.pathExpression],
    ['valuesPerPoint', series.valuesPerPoint],
    ['consolidationFunc', series.consolidation],
    ['xFilesFactor', series.xFilesFactor],
  ])
}
