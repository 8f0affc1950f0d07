/**
 * go-carbon's HTTP interface (carbonserver), so that carbonapi and graphite-web can have the store as their
 * backend: /render/, /metrics/find/, /metrics/list/, /metrics/details/, /info/, /_internal/capabilities/. Off by
 * default. Unlike the original's, answers are never cached, new series and unwritten points show at once, and a
 * coarse range has its newest points too.
 *
 * Limits: 64 requests at a time (else 429), 60 s a request, 100,000 series, 20,000,000 points, 1,000,000 names of a
 * find. Long answers are made while they are sent.
 */

import type { FetchedSeries, FetchRequest } from '../../ipc/store-protocol.ts'
import { type Clock, nowSeconds } from '../../lib/clock.ts'
import type { Disk } from '../../lib/disk.ts'
import { type Log, reason } from '../../lib/log.ts'
import { protoFields, protoMessage, protoText } from '../../lib/protobuf.ts'
import type { Stats } from '../../lib/stats.ts'
import {
  type Bytes,
  bytesOf,
  CONTENT_TYPES,
  encodeInfo,
  findPieces,
  type Format,
  formatOf,
  renderEncoder,
} from './carbonserver-formats.ts'
import { QueryError } from '../query-error.ts'
import { ReplyStream } from './reply-stream.ts'
import { Abandoned, type Patience } from '../../lib/slices.ts'
import { TimeSlice } from '../../lib/time-slice.ts'
import type { StoreQueries } from '../queries/store-queries.ts'

const REQUESTS_MAX = 64
const REQUEST_MS_MAX = 60_000
const SERIES_MAX = 100_000
const POINTS_MAX = 20_000_000
const NAMES_MAX = 1_000_000
const LIST_PAGE = 2_000
const UNKNOWN_FORMAT =
  'unknown format: it must be json, pickle, protobuf, protobuf3, carbonapi_v2_pb or carbonapi_v3_pb\n'

export interface CarbonserverParts {
  readonly bind: string
  readonly port: number
  /** Where the store's data lies: its file system's space is what details tell. */
  readonly dataDir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly queries: StoreQueries
}

export interface Carbonserver {
  readonly port: number
  stop(): void
}

export function serveCarbon(parts: CarbonserverParts): Carbonserver {
  const handler = new CarbonHandler(parts)
  const server = Bun.serve({
    hostname: parts.bind,
    port: parts.port,
    idleTimeout: 120,
    fetch: (request) => handler.answer(request),
  })
  return { port: server.port ?? parts.port, stop: () => void server.stop(true) }
}

/** One request that is worked on. */
interface Asked {
  readonly request: Request
  readonly url: URL
  readonly format: Format
  readonly abort: AbortController
  readonly patience: Patience
}

class CarbonHandler {
  private readonly parts: CarbonserverParts
  private open: number

  constructor(parts: CarbonserverParts) {
    this.parts = parts
    this.open = 0
    parts.stats.gauge('carbonserver.inflight_requests_count', () => this.open)
  }

  async answer(request: Request): Promise<Response> {
    const url = new URL(request.url)
    const path = url.pathname.replace(/\/*$/, '/')
    const route = ROUTES[path]
    if (path === '/robots.txt/') return new Response('User-agent: *\nDisallow: /\n')
    if (!route) return new Response(`no ${url.pathname} here\n`, { status: 404 })
    if (this.open >= REQUESTS_MAX) return new Response('too many requests\n', { status: 429 })
    const format = formatOf(request, url)
    if (!format) return new Response(UNKNOWN_FORMAT, { status: 400 })
    this.parts.stats.counter(`carbonserver.${route.statistic}`).value++
    const abort = new AbortController()
    const { clock } = this.parts
    const patience = { clock, isOver: () => abort.signal.aborted }
    request.signal.addEventListener('abort', () => abort.abort())
    const deadline = clock.after(REQUEST_MS_MAX, () => abort.abort())
    this.open++
    const done = (): void => {
      this.open--
      deadline.cancel()
    }
    try {
      return await route.answer(this.parts, { request, url, format, abort, patience }, done)
    } catch (error) {
      done()
      return this.explain(error, abort)
    }
  }

  private explain(error: unknown, { signal }: AbortController): Response {
    if (signal.aborted || error instanceof Abandoned) {
      return new Response('not done in time\n', { status: 503 })
    }
    if (error instanceof QueryError || error instanceof RangeError) {
      return new Response(`${error.message}\n`, { status: 400 })
    }
    this.parts.log.error('carbonserver request failed', { reason: reason(error) })
    return new Response('the request failed\n', { status: 500 })
  }
}

interface Route {
  /** go-carbon's name for the number of such requests. */
  readonly statistic: string
  /** `done` is called once, when the answer has left, or never when this throws. */
  readonly answer: (parts: CarbonserverParts, asked: Asked, done: () => void) => Promise<Response>
}

const ROUTES: Readonly<Record<string, Route>> = {
  '/render/': { statistic: 'render_requests', answer: render },
  '/metrics/find/': { statistic: 'find_requests', answer: find },
  '/metrics/list/': { statistic: 'list_requests', answer: list },
  '/metrics/details/': { statistic: 'details_requests', answer: details },
  '/info/': { statistic: 'info_requests', answer: atOnce(info) },
  '/_internal/capabilities/': { statistic: 'capabilities_requests', answer: atOnce(capabilities) },
  '/forcescan/': { statistic: 'forcescan_requests', answer: atOnce(forceScan) },
}

function atOnce(
  answer: (parts: CarbonserverParts, asked: Asked) => Promise<Response>,
): Route['answer'] {
  return async (parts, asked, done) => {
    const response = await answer(parts, asked)
    done()
    return response
  }
}

/** The wanted series, streamed; 404 when there is none, as the original has it. */
async function render(parts: CarbonserverParts, asked: Asked, done: () => void): Promise<Response> {
  const targets = await renderTargets(asked)
  const { clock, queries } = parts
  const { abort, format, patience } = asked
  const stream = new ReplyStream(abort)
  const encoder = renderEncoder(format)
  stream.push(encoder.begin())
  const { promise: begun, resolve: begin } = Promise.withResolvers<void>()
  let count = 0
  const work = async (): Promise<void> => {
    for (const { pathExpression, from, until } of targets) {
      const request: FetchRequest = {
        op: 'fetch',
        selectors: [{ pattern: pathExpression }],
        from,
        until,
        now: nowSeconds(clock),
        deadlineMs: REQUEST_MS_MAX,
        seriesMax: SERIES_MAX - count,
        pointsMax: POINTS_MAX,
      }
      const receiver = {
        signal: abort.signal,
        take(series: FetchedSeries) {
          stream.push(encoder.series(series, { pathExpression, from, until }))
          count++
          begin()
          return stream.drained()
        },
      }
      await queries.fetch(request, receiver, patience)
    }
    stream.push(encoder.end())
  }
  const finished = work()
  void finished.then(
    () => stream.end(),
    (error: unknown) => stream.end(new Error(reason(error))),
  )
  await Promise.race([begun, finished])
  if (count === 0) {
    done()
    return new Response('not found\n', { status: 404 })
  }
  void finished.then(done, done)
  return new Response(stream.body, { headers: { 'content-type': CONTENT_TYPES[format] } })
}

async function renderTargets(
  asked: Asked,
): Promise<{ pathExpression: string; from: number; until: number }[]> {
  const { request, url, format } = asked
  if (format === 'v3' && request.method === 'POST') {
    const body = new Uint8Array(await request.arrayBuffer())
    return [...protoFields(body)].filter(({ field }) => field === 1).map(fetchTarget)
  }
  const parameters = await parametersOf(request, url)
  const from = epoch(parameters, 'from')
  const until = epoch(parameters, 'until')
  const targets = parameters.getAll('target')
  if (targets.length === 0) throw new QueryError('bad', 'no target: ask with target=PATTERN')
  return targets.map((pathExpression) => ({ pathExpression, from, until }))
}

/** A FetchRequest of version 3. */
function fetchTarget(message: { bytes: Uint8Array }): {
  pathExpression: string
  from: number
  until: number
} {
  const target = { pathExpression: '', from: 0, until: 0 }
  for (const field of protoFields(message.bytes)) {
    if (field.field === 1) target.pathExpression = protoText(field)
    else if (field.field === 2) target.from = field.number
    else if (field.field === 3) target.until = field.number
  }
  return target
}

function epoch(parameters: URLSearchParams, name: string): number {
  const text = parameters.get(name) ?? ''
  if (!/^-?\d{1,12}$/.test(text)) {
    const given = text === '' ? 'missing' : JSON.stringify(text)
    throw new QueryError('bad', `${name} is ${given}: it must be Unix seconds`)
  }
  return Number(text)
}

/** Of the query string, and of a posted form. */
async function parametersOf(request: Request, url: URL): Promise<URLSearchParams> {
  const parameters = new URLSearchParams(url.searchParams)
  const type = request.headers.get('content-type') ?? ''
  if (request.method === 'POST' && type.includes('application/x-www-form-urlencoded')) {
    for (const [name, value] of new URLSearchParams(await request.text())) {
      parameters.append(name, value)
    }
  }
  return parameters
}

/** Sends pieces as fast as they are taken. A piece is made in a few milliseconds. */
function streamed(
  { abort, format }: Asked,
  pieces: Iterable<Bytes> | AsyncIterable<Bytes>,
  { clock, done }: { clock: Clock; done: () => void },
): Response {
  const stream = new ReplyStream(abort)
  const slice = new TimeSlice(clock)
  const work = async (): Promise<void> => {
    for await (const piece of pieces) {
      stream.push(piece)
      await stream.drained()
      if (slice.isOver()) await slice.rest()
      if (abort.signal.aborted) return
    }
  }
  void work()
    .then(
      () => stream.end(),
      (error: unknown) => stream.end(new Error(reason(error))),
    )
    .finally(done)
  return new Response(stream.body, { headers: { 'content-type': CONTENT_TYPES[format] } })
}

async function find(parts: CarbonserverParts, asked: Asked, done: () => void): Promise<Response> {
  const { queries, clock } = parts
  const { request, url, format, patience } = asked
  let patterns: string[]
  if (format === 'v3' && request.method === 'POST') {
    const fields = [...protoFields(new Uint8Array(await request.arrayBuffer()))]
    patterns = fields.filter(({ field }) => field === 1).map(protoText)
  } else patterns = (await parametersOf(request, url)).getAll('query')
  if (patterns.length === 0) throw new QueryError('bad', 'no query: ask with query=PATTERN')
  const common = { now: nowSeconds(clock), deadlineMs: REQUEST_MS_MAX }
  const { matches } = await queries.find(
    { ...common, op: 'find', patterns, leavesOnly: false, namesMax: NAMES_MAX },
    patience,
  )
  if (format !== 'json' && format !== 'pickle' && matches.every(({ length }) => length === 0)) {
    done()
    return new Response('not found\n', { status: 404 })
  }
  const found = patterns.map((pattern, i) => ({ pattern, matches: matches[i] ?? [] }))
  return streamed(asked, findPieces(format, found), { clock, done })
}

async function list(
  { queries, clock }: CarbonserverParts,
  asked: Asked,
  done: () => void,
): Promise<Response> {
  if (asked.format !== 'json') protoOnly(asked.format)
  return streamed(asked, listPieces(queries, asked), { clock, done })
}

/** All names, page by page, however many there are. */
async function* namePages(
  queries: StoreQueries,
  { patience }: Asked,
): AsyncGenerator<readonly string[]> {
  for (let after = ''; ;) {
    const { paths, more } = await queries.listNames(
      { op: 'index', after, namesMax: LIST_PAGE, now: 0, deadlineMs: REQUEST_MS_MAX },
      patience,
    )
    if (paths.length > 0) yield paths
    if (!more) return
    after = paths.at(-1)!
  }
}

async function* listPieces(queries: StoreQueries, asked: Asked): AsyncGenerator<Bytes> {
  const isJson = asked.format === 'json'
  if (isJson) yield bytesOf('{"Metrics":[')
  let comma = ''
  for await (const paths of namePages(queries, asked)) {
    if (isJson) yield bytesOf(comma + JSON.stringify(paths).slice(1, -1))
    else yield protoMessage((message) => paths.forEach((path) => message.text(1, path)))
    comma = ','
  }
  if (isJson) yield bytesOf(']}\n')
}

async function details(
  parts: CarbonserverParts,
  asked: Asked,
  done: () => void,
): Promise<Response> {
  if (asked.format !== 'json') protoOnly(asked.format)
  return streamed(asked, detailPieces(parts, asked), { clock: parts.clock, done })
}

/** Sizes are what Whisper files would have: the store has no file a series. */
async function* detailPieces(parts: CarbonserverParts, asked: Asked): AsyncGenerator<Bytes> {
  const { queries, disk, dataDir, clock } = parts
  const { freeBytes, totalBytes } = disk.space(dataDir)
  const isJson = asked.format === 'json'
  if (isJson) yield bytesOf('{"metrics":{')
  let comma = ''
  for await (const paths of namePages(queries, asked)) {
    const question = { op: 'info', paths, now: nowSeconds(clock), deadlineMs: 0 } as const
    const { series } = await queries.info(question, asked.patience)
    if (series.length === 0) continue
    const sizes = series.map(({ path, archives, lastSeen }) => ({
      path,
      bytes: archives.reduce((sum, { count }) => sum + count * 12, 16 + 12 * archives.length),
      lastSeen,
    }))
    if (isJson) {
      const entries = sizes.map(({ path, bytes, lastSeen }) => [
        path,
        { Size: bytes, ModTime: lastSeen },
      ])
      yield bytesOf(comma + JSON.stringify(Object.fromEntries(entries)).slice(1, -1))
    } else {
      yield protoMessage((message) => {
        for (const { path, bytes, lastSeen } of sizes) {
          message.message(1, (entry) => {
            entry.text(1, path)
            entry.message(2, (detail) => {
              detail.number(2, bytes)
              detail.number(3, lastSeen)
            })
          })
        }
      })
    }
    comma = ','
  }
  if (isJson) yield bytesOf(`},"FreeSpace":${freeBytes},"TotalSpace":${totalBytes}}\n`)
  else {
    yield protoMessage((message) => {
      message.number(2, freeBytes)
      message.number(3, totalBytes)
    })
  }
}

async function info(
  parts: CarbonserverParts,
  { request, url, format, patience }: Asked,
): Promise<Response> {
  let paths: string[]
  if (format === 'v3' && request.method === 'POST') {
    const fields = [...protoFields(new Uint8Array(await request.arrayBuffer()))]
    paths = fields.filter(({ field }) => field === 1).map(protoText)
  } else paths = (await parametersOf(request, url)).getAll('target')
  const now = nowSeconds(parts.clock)
  const question = { op: 'info', paths, now, deadlineMs: REQUEST_MS_MAX } as const
  const { series } = await parts.queries.info(question, patience)
  if (series.length === 0) return new Response('not found\n', { status: 404 })
  return reply(format === 'pickle' ? 'json' : format, encodeInfo(format, series))
}

const PROTOCOLS = [
  'carbonapi_v3_pb',
  'carbonapi_v2_pb',
  'graphite-web-pickle',
  'graphite-web-pickle-1.1',
  'carbonapi_v2_json',
]

async function capabilities(_parts: CarbonserverParts, { format }: Asked): Promise<Response> {
  if (format === 'json') {
    const body = { supportedProtocols: PROTOCOLS, name: 'emon', likeSplittedRequests: true }
    return reply('json', bytesOf(`${JSON.stringify(body)}\n`))
  }
  const body = protoMessage((message) => {
    for (const protocol of PROTOCOLS) message.text(1, protocol)
    message.text(2, 'emon')
    message.bool(5, true)
  })
  return reply(protoOnly(format), body)
}

/** New series show at once: there is nothing to scan. */
async function forceScan(): Promise<Response> {
  return new Response('', { status: 202 })
}

function protoOnly(format: Format): Format {
  if (format === 'pickle') throw new QueryError('bad', 'there is no pickle of this')
  return format
}

function reply(format: Format, body: Uint8Array<ArrayBuffer>): Response {
  return new Response(body, { headers: { 'content-type': CONTENT_TYPES[format] } })
}
