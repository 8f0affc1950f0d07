/**
 * carbonserver's answers in its four formats (go-carbon carbonserver/*.go, go-graphite/protocol): json as protojson
 * prints it (what is zero or false is left out), pickle for graphite-web, protobuf `carbonapi_v2_pb` and
 * `carbonapi_v3_pb`. A render answer is written series by series, so that it can be streamed.
 */

import type { FetchedSeries, FindMatch, SeriesInfo } from '../ipc/store-protocol.ts'
import { toUtf8 } from '../lib/bytes.ts'
import { PickleWriter } from './pickle-writer.ts'
import { ProtoWriter } from './protobuf.ts'

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

/** What was asked for a series, which version 3 repeats. */
export interface RenderContext {
  readonly pathExpression: string
  readonly from: number
  readonly until: number
}

export interface RenderEncoder {
  begin(): Bytes
  series(series: FetchedSeries, context: RenderContext): Bytes
  end(): Bytes
}

export function renderEncoder(format: Format): RenderEncoder {
  if (format === 'json') return jsonRender()
  if (format === 'pickle') return pickleRender()
  const encode = format === 'v2' ? encodeV2 : encodeV3
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

function encodeV2(message: ProtoWriter, { name, start, step, values }: FetchedSeries): void {
  message.text(1, name)
  message.number(2, start)
  message.number(3, start + step * values.length)
  message.number(4, step)
  message.doubles(
    5,
    values.map((value) => (value === value ? value : 0)),
  )
  message.flags(6, values, (value) => value !== value)
}

function encodeV3(message: ProtoWriter, series: FetchedSeries, context: RenderContext): void {
  const { name, start, step, values, method, xFilesFactor } = series
  message.text(1, name)
  message.text(2, context.pathExpression)
  message.text(3, method)
  message.number(4, start)
  message.number(5, start + step * values.length)
  message.number(6, step)
  message.float(7, xFilesFactor)
  message.doubles(9, values)
  message.number(11, context.from)
  message.number(12, context.until)
}

export interface PatternMatches {
  readonly pattern: string
  readonly matches: readonly FindMatch[]
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
      return protoMessage((reply) => encodeMatches(reply, found[0]))
    case 'v3':
      return protoMessage((reply) => {
        for (const one of found) reply.message(1, (message) => encodeMatches(message, one))
      })
  }
}

function encodeMatches(message: ProtoWriter, found: PatternMatches | undefined): void {
  if (!found) return
  message.text(1, found.pattern)
  for (const { path, isLeaf } of found.matches) {
    message.message(2, (match) => {
      match.text(1, path)
      match.bool(2, isLeaf)
    })
  }
}

export function encodeInfo(format: Format, series: readonly SeriesInfo[]): Bytes {
  if (format === 'v2') return protoMessage((reply) => encodeOneInfo(reply, series[0]))
  if (format === 'v3') {
    return protoMessage((reply) => {
      for (const one of series) reply.message(1, (message) => encodeOneInfo(message, one))
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

/** Versions 2 and 3 number these fields alike. */
function encodeOneInfo(message: ProtoWriter, info: SeriesInfo | undefined): void {
  if (!info) return
  message.text(1, info.path)
  message.text(2, titleCase(info.method))
  message.number(3, longest(info))
  message.float(4, info.xFilesFactor)
  for (const { step, count } of info.archives) {
    message.message(5, (retention) => {
      retention.number(1, step)
      retention.number(2, count)
    })
  }
}

function longest({ archives }: SeriesInfo): number {
  return Math.max(...archives.map(({ step, count }) => step * count))
}

function titleCase(method: string): string {
  return method[0]!.toUpperCase() + method.slice(1)
}

export function protoMessage(write: (message: ProtoWriter) => void): Bytes {
  const message = new ProtoWriter()
  write(message)
  return message.done()
}

export function bytesOf(text: string): Bytes {
  return new Uint8Array(toUtf8(text))
}
