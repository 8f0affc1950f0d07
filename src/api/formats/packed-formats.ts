/**
 * The formats that other programs read: pickle and msgpack as graphite-web's clusters exchange them
 * (render/datalib.py getInfo), protobuf as go-carbon and carbonapi do (carbonapi_v2_pb, carbonapi_v3_pb).
 */

import { type FetchMessage, writeFetchV2, writeFetchV3 } from '../../ipc/go-graphite-messages.ts'
import { pickleList } from '../../lib/pickle-writer.ts'
import { protoMessage } from '../../lib/protobuf.ts'
import type { RenderSeries } from '../render-series.ts'
import { encodeMsgpack } from './msgpack.ts'
import type { SeriesFormat } from './series-format.ts'

export const PACKED_CONTENT_TYPES = {
  pickle: 'application/pickle',
  msgpack: 'application/x-msgpack',
  protobufV2: 'application/x-protobuf',
  protobufV3: 'application/x-carbonapi-v3-pb',
} as const

export const pickleFormat: SeriesFormat = {
  contentType: PACKED_CONTENT_TYPES.pickle,
  encode: (series) => [pickleList(series.map(describe))],
}

export const msgpackFormat: SeriesFormat = {
  contentType: PACKED_CONTENT_TYPES.msgpack,
  encode: (series) => [encodeMsgpack(series.map(describe))],
}

export const protobufV2Format: SeriesFormat = {
  contentType: PACKED_CONTENT_TYPES.protobufV2,
  encode: (series) => [
    protoMessage((reply) => {
      for (const one of series) reply.message(1, (message) => writeFetchV2(message, toMessage(one)))
    }),
  ],
}

export const protobufV3Format: SeriesFormat = {
  contentType: PACKED_CONTENT_TYPES.protobufV3,
  encode: (series, { from, until }) => [
    protoMessage((reply) => {
      for (const one of series) {
        const { pathExpression } = one
        reply.message(1, (message) =>
          writeFetchV3(message, toMessage(one), { pathExpression, from, until }),
        )
      }
    }),
  ],
}

function toMessage(series: RenderSeries): FetchMessage {
  return { ...series, method: series.consolidation }
}

function describe(series: RenderSeries) {
  return {
    name: series.name,
    start: series.start,
    end: series.end,
    step: series.step,
    values: series.values,
    pathExpression: series.pathExpression,
    valuesPerPoint: series.valuesPerPoint,
    consolidationFunc: series.consolidation,
    xFilesFactor: series.xFilesFactor,
  }
}
