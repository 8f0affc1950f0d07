/** /metrics/find in all its formats (graphite-web metrics/views.py; the protobuf ones are carbonapi's). */

import type { Hono } from 'hono'
import { writeMatches } from '../../ipc/go-graphite-messages.ts'
import type { FindMatch } from '../../ipc/store-protocol.ts'
import { pickleList } from '../../lib/pickle-writer.ts'
import { protoMessage } from '../../lib/protobuf.ts'
import { byName, completer, completerPattern, nodeList, treeJson } from '../find-formats.ts'
import { encodeMsgpack } from '../formats/msgpack.ts'
import { PACKED_CONTENT_TYPES } from '../formats/packed-formats.ts'
import {
  type ApiRequest,
  type ApiServices,
  missingHeaders,
  openRequest,
} from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
import { cut, type RequestParams } from '../http/request-params.ts'
import { respond, respondJson } from '../http/respond.ts'
import { readTime, readTimeZone } from '../render-query.ts'
import { RenderError } from '../render-series.ts'

const FORMATS = [
  'treejson',
  'json',
  'completer',
  'nodelist',
  'pickle',
  'msgpack',
  'protobuf',
  'carbonapi_v2_pb',
  'carbonapi_v3_pb',
]

/** Those that tell which time a series covers. */
const FORMATS_WITH_SPAN = ['json', 'pickle', 'msgpack']

export function addFindRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  app.on(['GET', 'POST'], '/metrics/find', async (context) =>
    answerFind(await openRequest(context, services), services),
  )
}

export async function answerFind(request: ApiRequest, services: ApiServices): Promise<Response> {
  const { params, scope } = request
  const format = params.last('format') ?? 'treejson'
  const query = readPattern(params.last('query') ?? '')
  if (query === '') throw new RenderError("required parameter 'query' is missing or empty")
  const isCompleter = format === 'completer'
  const [found] = await services.stores.find(scope, {
    patterns: [isCompleter ? completerPattern(query, params.flag('automatic_variants')) : query],
    ...readOptionalRange(request),
    leavesOnly: params.flag('leavesOnly'),
    withSpan: FORMATS_WITH_SPAN.includes(format),
    namesMax: services.limits.namesMax,
  })
  const matches = byName(found!)
  const wildcards = params.flag('wildcards')
  const json = (value: unknown): Promise<Response> =>
    respondJson(request.raw, params, value, { headers: missingHeaders(scope) })
  const packed = (kind: keyof typeof PACKED_CONTENT_TYPES, bytes: Uint8Array<ArrayBuffer>) =>
    respond(request.raw, {
      contentType: PACKED_CONTENT_TYPES[kind],
      body: [bytes],
      headers: missingHeaders(scope),
    })
  const answer = { pattern: query, matches }
  switch (format) {
    case 'treejson':
      return json(treeJson(matches, { pattern: query, wildcards }))
    case 'completer':
      return json(completer(matches, wildcards))
    case 'nodelist':
      return json(nodeList(matches, readPosition(params)))
    case 'json':
      return json(found!.map((match) => nodeJson(withInterval(match, scope.now))))
    case 'pickle':
      return packed(
        'pickle',
        pickleList(matches.map((match) => packedNode(withInterval(match, scope.now)))),
      )
    case 'msgpack':
      return packed(
        'msgpack',
        encodeMsgpack(matches.map((match) => packedNode(withInterval(match, scope.now)))),
      )
    case 'protobuf':
    case 'protobuf3':
    case 'carbonapi_v2_pb':
      return packed(
        'protobufV2',
        protoMessage((reply) => writeMatches(reply, answer)),
      )
    case 'carbonapi_v3_pb': {
      const reply = protoMessage((all) => all.message(1, (one) => writeMatches(one, answer)))
      return packed('protobufV3', reply)
    }
    default:
      throw new RenderError(
        `unknown format ${JSON.stringify(cut(format))}: there are ${FORMATS.join(', ')}`,
      )
  }
}

interface DatedMatch extends FindMatch {
  readonly interval: { start: number; end: number } | undefined
}

function nodeJson({ path, isLeaf, interval }: DatedMatch): unknown {
  return isLeaf
    ? { path, is_leaf: isLeaf, intervals: interval ? [interval] : [] }
    : { path, is_leaf: isLeaf }
}

/** As graphite-web's clusters ask each other. */
function packedNode({ path, isLeaf, interval }: DatedMatch) {
  if (!isLeaf) return { path, is_leaf: isLeaf }
  return { path, is_leaf: isLeaf, intervals: interval ? [[interval.start, interval.end]] : [] }
}

/** A series with the time that it covers: its longest archive, up to its newest point. */
function withInterval({ path, isLeaf, span }: FindMatch, now: number): DatedMatch {
  const interval = span && { start: now - span.seconds, end: span.lastSeen || now }
  return { path, isLeaf, interval }
}

/**
 * Names hold no blanks, so a blank can only be a plus of a query that was sent without encoding, which is
 * how Grafana sends it.
 */
export function readPattern(query: string): string {
  return query.trim().replaceAll(' ', '+')
}

function readOptionalRange(request: ApiRequest): { from?: number; until?: number } {
  const { params, defaults } = request
  const timeZone = readTimeZone(params, defaults)
  const now = readTime(params, 'now', { now: defaults.now, timeZone }, 'now')
  const read = (name: string): number | undefined => {
    const text = params.last(name)
    if (text === undefined || text === '' || text === '-1') return undefined
    return readTime(params, name, { now, timeZone }, 'now')
  }
  const from = read('from')
  const until = read('until')
  return {
    ...(from === undefined ? {} : { from }),
    ...(until === undefined ? {} : { until }),
  }
}

function readPosition(params: RequestParams): number {
  const text = params.last('position') ?? '-1'
  if (!/^-?\d{1,6}$/.test(text)) throw new RenderError('position must be a whole number')
  return Number(text)
}
