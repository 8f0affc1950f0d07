/**
 * carbonserver's answers in its four formats (go-carbon carbonserver/*.go, go-graphite/protocol): json as protojson
 * prints it (what is zero or false is left out), pickle for graphite-web, protobuf `carbonapi_v2_pb` and
 * `carbonapi_v3_pb`. A render answer is written series by series, so that it can be streamed.
 */

import {
  longest,
  type PatternMatches,
  type RenderContext,
  titleCase,
  writeFetchV2,
  writeFetchV3,
  writeInfo,
  writeMatches,
} from '../../ipc/go-graphite-messages.ts'
import type { FetchedSeries, SeriesInfo } from '../../ipc/store-protocol.ts'
import { toUtf8 } from '../../lib/bytes.ts'
import { PickleWriter } from '../../lib/pickle-writer.ts'
import { protoMessage, ProtoWriter } from '../../lib/protobuf.ts'

export type Format = 'json' | 'pickle' | 'v2' | 'v3'

export const CONTENT_TYPES: Readonly<Record<Format, string>> = {
  json: 'application/json',
  pickle: 'application/pickle',
  v2: 'application/x-protobuf',
  v3: 'application/x-carbonapi-v3-pb',
}

const FORMAT_NAMES: Readonly<Record<string, Format>> = {
  json: 'json',
  pickle: 'pickle',
  protobuf: 'v2',
  protobuf3: 'v2',
  carbonapi_v2_pb: 'v2',
  carbonapi_v3_pb: 'v3',
}

/** `?format=`, unless the Accept header wants version 3; undefined for a format that there is not. */
export function formatOf(request: Request, url: URL): Format | undefined {
  if (request.headers.get('accept')?.includes(CONTENT_TYPES.v3)) return 'v3'
  return FORMAT_NAMES[url.searchParams.get('format') ?? 'json']
}

export type Bytes = Uint8Array<ArrayBuffer>

export interface RenderEncoder {
  begin(): Bytes
  series(series: FetchedSeries, context: RenderContext): Bytes
  end(): Bytes
}

export function renderEncoder(format: Format): RenderEncoder {
  if (format === 'json') return jsonRender()
  if (format === 'pickle') return pickleRender()
  const encode = format === 'v2' ? writeFetchV2 : writeFetchV3
  const nothing = new Uint8Array(0)
  return {
    begin: () => nothing,
    end: () => nothing,
    series(series, context) {
      const reply = new ProtoWriter()
      reply.message(1, (message) => encode(message, series, context))
      return reply.done()
    },
  }
}

function jsonRender(): RenderEncoder {
  let isFirst = true
  return {
    begin: () => bytesOf('{"metrics":['),
    series({ name, start, step, values }) {
      const comma = isFirst ? '' : ','
      isFirst = false
      const fields = {
        name,
        startTime: start,
        stopTime: start + step * values.length,
        stepTime: step,
        values: Array.from(values, jsonNumber),
        isAbsent: Array.from(values, (value) => value !== value),
      }
      return bytesOf(comma + JSON.stringify(fields))
    },
    end: () => bytesOf(']}\n'),
  }
}

/** protojson writes infinities as texts; where nothing is known stands 0. */
function jsonNumber(value: number): number | string {
  if (value !== value) return 0
  if (Number.isFinite(value)) return value
  return value > 0 ? 'Infinity' : '-Infinity'
}

function pickleRender(): RenderEncoder {
  const out = new PickleWriter()
  return {
    begin() {
      out.beginList()
      return out.take()
    },
    series({ name, start, step, values, method, xFilesFactor }, { pathExpression }) {
      const end = start + step * values.length
      const consolidationFunc = method
      out.write({ name, pathExpression, start, end, step, values, xFilesFactor, consolidationFunc })
      return out.take()
    },
    end() {
      out.endList()
      return out.take()
    },
  }
}

/** All times: what graphite-web takes for "may have data whenever". */
const ALWAYS = [[0, 0x7fff_ffff]]

export function encodeFind(format: Format, found: readonly PatternMatches[]): Bytes {
  switch (format) {
    case 'json': {
      const metrics = found.map(({ pattern, matches }) => ({
        name: pattern,
        matches: matches.map(({ path, isLeaf }) => (isLeaf ? { path, isLeaf } : { path })),
      }))
      return bytesOf(`${JSON.stringify({ metrics })}\n`)
    }
    case 'pickle': {
      const out = new PickleWriter()
      out.beginList()
      for (const { matches } of found) {
        for (const { path, isLeaf } of matches) {
          out.write({ metric_path: path, isLeaf, path, is_leaf: isLeaf, intervals: ALWAYS })
        }
      }
      out.endList()
      return out.take()
    }
    case 'v2':
      return protoMessage((reply) => writeMatches(reply, found[0]))
    case 'v3':
      return protoMessage((reply) => {
        for (const one of found) reply.message(1, (message) => writeMatches(message, one))
      })
  }
}

export function encodeInfo(format: Format, series: readonly SeriesInfo[]): Bytes {
  if (format === 'v2') return protoMessage((reply) => writeInfo(reply, series[0]))
  if (format === 'v3') {
    return protoMessage((reply) => {
      for (const one of series) reply.message(1, (message) => writeInfo(message, one))
    })
  }
  const metrics = series.map((info) => ({
    name: info.path,
    consolidationFunc: titleCase(info.method),
    maxRetention: longest(info),
    xFilesFactor: info.xFilesFactor,
    retentions: info.archives.map(({ step, count }) => ({
      secondsPerPoint: step,
      numberOfPoints: count,
    })),
  }))
  return bytesOf(`${JSON.stringify({ metrics })}\n`)
}

export function bytesOf(text: string): Bytes {
  return new Uint8Array(toUtf8(text))
}
