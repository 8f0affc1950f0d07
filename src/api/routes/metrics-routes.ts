/** /metrics/find, expand, index.json, details and the metadata stubs (graphite-web metrics/views.py). */

import type { Hono } from 'hono'
import type { FindMatch } from '../../ipc/store-protocol.ts'
import { archiveSeconds } from '../../metric/retention.ts'
import { byName, completer, completerPattern, nodeList, treeJson } from '../find-formats.ts'
import {
  type ApiEnv,
  type ApiRequest,
  type ApiServices,
  missingHeaders,
  openRequest,
} from '../http/api-context.ts'
import { cut, type RequestParams } from '../http/request-params.ts'
import { respond, respondJson, respondText } from '../http/respond.ts'
import { streamNames } from '../formats/name-list.ts'
import { encodeMsgpack } from '../formats/msgpack.ts'
import { encodePickle } from '../formats/pickle.ts'
import { readTime, readTimeZone } from '../render-query.ts'
import { RenderError } from '../render-series.ts'

const PATTERNS_MAX = 1_000
const FORMATS = ['treejson', 'json', 'completer', 'nodelist', 'pickle', 'msgpack']
/** Formats that tell which time a series covers. */
const WITH_SPAN = ['json', 'pickle', 'msgpack']
const BOTH = ['GET', 'POST']

export function addMetricsRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  app.on(BOTH, '/metrics/find', async (context) =>
    answerFind(await openRequest(context, services), services),
  )
  app.on(BOTH, '/metrics/expand', async (context) =>
    answerExpand(await openRequest(context, services), services),
  )
  app.on(BOTH, '/metrics/index.json', async (context) => {
    const request = await openRequest(context, services)
    const body = streamNames(request.params, (after, namesMax) =>
      services.stores.index(request.scope, { after, namesMax }),
    )
    return body.then((chunks) => respond(request.raw, chunks))
  })
  app.on(BOTH, '/metrics/details', async (context) =>
    answerDetails(await openRequest(context, services), services),
  )
  // CarbonLink's metadata: carbon's caches keep one key, aggregationMethod.
  app.on(BOTH, '/metrics/get-metadata', async (context) =>
    answerMetadata(await openRequest(context, services), services),
  )
  app.on(BOTH, '/metrics/set-metadata', () =>
    respondText('metadata is made from storage-aggregation.conf: it cannot be set here\n', 405),
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
    withSpan: WITH_SPAN.includes(format),
    namesMax: services.limits.namesMax,
  })
  const matches = byName(found!)
  const wildcards = params.flag('wildcards')
  const json = (value: unknown): Promise<Response> =>
    respondJson(request.raw, params, value, { headers: missingHeaders(scope) })
  switch (format) {
    case 'treejson':
      return json(treeJson(matches, { pattern: query, wildcards }))
    case 'completer':
      return json(completer(matches, wildcards))
    case 'nodelist':
      return json(nodeList(matches, readPosition(params)))
    case 'json': {
      return json(found!.map((match) => nodeJson(withInterval(match, scope.now))))
    }
    case 'pickle':
    case 'msgpack':
      return answerPacked(
        request,
        matches.map((match) => withInterval(match, scope.now)),
        format,
      )
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

function answerPacked(
  request: ApiRequest,
  matches: readonly DatedMatch[],
  format: 'pickle' | 'msgpack',
): Promise<Response> {
  const nodes = matches.map(({ path, isLeaf, interval }) => {
    const node = new Map<string, unknown>([
      ['path', path],
      ['is_leaf', isLeaf],
    ])
    if (isLeaf) node.set('intervals', interval ? [[interval.start, interval.end]] : [])
    return node
  })
  return respond(request.raw, {
    contentType: format === 'pickle' ? 'application/pickle' : 'application/x-msgpack',
    body: [format === 'pickle' ? encodePickle(nodes) : encodeMsgpack(nodes)],
    headers: missingHeaders(request.scope),
  })
}

/** Each series with the time that it covers: its longest archive, up to its newest point. */
function withInterval({ path, isLeaf, span }: FindMatch, now: number): DatedMatch {
  const interval = span && { start: now - span.seconds, end: span.lastSeen || now }
  return { path, isLeaf, interval }
}

async function answerExpand(request: ApiRequest, services: ApiServices): Promise<Response> {
  const { params, scope } = request
  const queries = params.all('query')
  const patterns = queries.map(readPattern)
  if (patterns.length > PATTERNS_MAX) {
    throw new RenderError(`${patterns.length} queries: at most ${PATTERNS_MAX} are taken`, 413)
  }
  const leavesOnly = params.flag('leavesOnly')
  const lists =
    patterns.length === 0
      ? []
      : await services.stores.find(scope, {
          patterns,
          leavesOnly,
          namesMax: services.limits.namesMax,
        })
  const paths = lists.map((list) => [...new Set(list.map((match) => match.path))].sort())
  const results = params.flag('groupByExpr')
    ? Object.fromEntries(queries.map((query, i) => [query, paths[i]!]))
    : [...new Set(paths.flat())].sort()
  return respondJson(request.raw, params, { results }, { headers: missingHeaders(scope) })
}

/** carbonapi's and go-carbon's: what is known of each series that fits the queries. */
async function answerDetails(request: ApiRequest, services: ApiServices): Promise<Response> {
  const { params, scope } = request
  const patterns = [...params.all('query'), ...params.all('target')].map(readPattern)
  const lists = await services.stores.find(scope, {
    patterns: patterns.length === 0 ? ['**'] : patterns.slice(0, PATTERNS_MAX),
    leavesOnly: true,
    namesMax: services.limits.namesMax,
  })
  const paths = [...new Set(lists.flat().map((match) => match.path))]
  const infos = paths.length === 0 ? [] : await services.stores.info(scope, { paths })
  const metrics = Object.fromEntries(
    infos.map((info) => [
      info.path,
      {
        aggregationMethod: info.method,
        xFilesFactor: info.xFilesFactor,
        maxRetention: Math.max(0, ...info.archives.map(archiveSeconds)),
        retentions: info.archives.map(({ step, count }) => ({
          secondsPerPoint: step,
          numberOfPoints: count,
        })),
        lastSeen: info.lastSeen,
      },
    ]),
  )
  return respondJson(request.raw, params, { metrics }, { headers: missingHeaders(scope) })
}

async function answerMetadata(request: ApiRequest, services: ApiServices): Promise<Response> {
  const { params, scope } = request
  const paths = params.all('metric').slice(0, PATTERNS_MAX)
  const infos = paths.length === 0 ? [] : await services.stores.info(scope, { paths })
  const methods = new Map(infos.map((info) => [info.path, info.method]))
  const known = params.last('key') === 'aggregationMethod'
  const results = paths.map((path) => {
    const value = known ? methods.get(path) : undefined
    return [path, value === undefined ? { error: 'no such metric or key' } : { value }] as const
  })
  return respondJson(request.raw, params, Object.fromEntries(results))
}

/**
 * Names hold no blanks, so a blank can only be a plus of a query that was sent without encoding, which is
 * how Grafana sends it.
 */
function readPattern(query: string): string {
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
