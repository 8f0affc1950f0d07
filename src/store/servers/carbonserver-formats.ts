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

const nothing: Bytes = new Uint8Array(0)
/** Matches in one piece of an answer. */
const BATCH = 1_000

export interface RenderEncoder {
  begin(): Bytes
  series(series: FetchedSeries, context: RenderContext): Bytes
  end(): Bytes
}

export function renderEncoder(format: Format): RenderEncoder {
  if (format === 'json') return jsonRender()
  if (format === 'pickle') return pickleRender()
  const encode = format === 'v2' ? writeFetchV2 : writeFetchV3
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

/** The answer to a find in pieces; an empty one is a pause. */
export function* findPieces(format: Format, found: readonly PatternMatches[]): Generator<Bytes> {
  if (format === 'v2') yield* matchPieces(found[0] ?? { pattern: '', matches: [] })
  else if (format === 'v3') {
    // Each pattern's answer is a field, with its length before it.
    for (const one of found) {
      const pieces: Bytes[] = []
      for (const piece of matchPieces(one)) {
        pieces.push(piece)
        yield nothing
      }
      const length = pieces.reduce((sum, piece) => sum + piece.length, 0)
      yield protoMessage((reply) => reply.lengthOf(1, length))
      yield* pieces
    }
  } else if (format === 'pickle') yield* picklePieces(found)
  else yield* jsonPieces(found)
}

function* matchPieces({ pattern, matches }: PatternMatches): Generator<Bytes> {
  yield protoMessage((message) => writeMatches(message, { pattern, matches: [] }))
  for (const some of inBatches(matches))
    yield protoMessage((message) => writeMatches(message, { pattern: '', matches: some }))
}

function* picklePieces(found: readonly PatternMatches[]): Generator<Bytes> {
  const out = new PickleWriter()
  out.beginList()
  for (const { matches } of found) {
    for (const some of inBatches(matches)) {
      for (const { path, isLeaf } of some)
        out.write({ metric_path: path, isLeaf, path, is_leaf: isLeaf, intervals: ALWAYS })
      yield out.take()
    }
  }
  out.endList()
  yield out.take()
}

function* jsonPieces(found: readonly PatternMatches[]): Generator<Bytes> {
  yield bytesOf('{"metrics":[')
  for (const [i, { pattern, matches }] of found.entries()) {
    yield bytesOf(`${i === 0 ? '' : ','}{"name":${JSON.stringify(pattern)},"matches":[`)
    let comma = ''
    for (const some of inBatches(matches)) {
      const list = some.map(({ path, isLeaf }) => (isLeaf ? { path, isLeaf } : { path }))
      yield bytesOf(comma + JSON.stringify(list).slice(1, -1))
      comma = ','
    }
    yield bytesOf(']}')
  }
  yield bytesOf(']}\n')
}

function* inBatches<T>(list: readonly T[]): Generator<readonly T[]> {
  for (let at = 0; at < list.length; at += BATCH) yield list.slice(at, at + BATCH)
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
