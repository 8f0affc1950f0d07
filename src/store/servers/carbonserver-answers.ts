/**
 * carbonserver's answers, route by route. Long ones are made while they are sent.
 *
 * Limits: 100,000 series and 20,000,000 points of a render, 1,000,000 names of a find.
 */

import type { FetchedSeries, FetchRequest } from '../../ipc/store-protocol.ts'
import { type Clock, nowSeconds } from '../../lib/clock.ts'
import type { Disk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import { protoMessage } from '../../lib/protobuf.ts'
import { TimeSlice } from '../../lib/time-slice.ts'
import type { StoreQueries } from '../queries/store-queries.ts'
import { QueryError } from '../query-error.ts'
import {
  type Bytes,
  bytesOf,
  CONTENT_TYPES,
  encodeInfo,
  findPieces,
  type Format,
  renderEncoder,
} from './carbonserver-formats.ts'
import { type Asked, namesOf, targetsOf } from './carbonserver-questions.ts'
import { ReplyStream } from './reply-stream.ts'

/** What one request may take. */
export const REQUEST_MS_MAX = 60_000
const SERIES_MAX = 100_000
const POINTS_MAX = 20_000_000
const NAMES_MAX = 1_000_000
const LIST_PAGE = 2_000

export interface CarbonAnswerParts {
  /** Where the store's data lies: its file system's space is what details tell. */
  readonly dataDir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly queries: StoreQueries
}

/** The wanted series, streamed; 404 when there is none, as the original has it. */
export async function render(
  parts: CarbonAnswerParts,
  asked: Asked,
  done: () => void,
): Promise<Response> {
  const targets = await targetsOf(asked)
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

export async function find(
  parts: CarbonAnswerParts,
  asked: Asked,
  done: () => void,
): Promise<Response> {
  const { queries, clock } = parts
  const { format, patience } = asked
  const patterns = await namesOf(asked, 'query')
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

export async function list(
  { queries, clock }: CarbonAnswerParts,
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

export async function details(
  parts: CarbonAnswerParts,
  asked: Asked,
  done: () => void,
): Promise<Response> {
  if (asked.format !== 'json') protoOnly(asked.format)
  return streamed(asked, detailPieces(parts, asked), { clock: parts.clock, done })
}

/** Sizes are what Whisper files would have: the store has no file a series. */
async function* detailPieces(parts: CarbonAnswerParts, asked: Asked): AsyncGenerator<Bytes> {
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

export async function info(parts: CarbonAnswerParts, asked: Asked): Promise<Response> {
  const { format, patience } = asked
  const paths = await namesOf(asked, 'target')
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

export async function capabilities(
  _parts: CarbonAnswerParts,
  { format }: Asked,
): Promise<Response> {
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
export async function forceScan(): Promise<Response> {
  return new Response('', { status: 202 })
}

function protoOnly(format: Format): Format {
  if (format === 'pickle') throw new QueryError('bad', 'there is no pickle of this')
  return format
}

function reply(format: Format, body: Uint8Array<ArrayBuffer>): Response {
  return new Response(body, { headers: { 'content-type': CONTENT_TYPES[format] } })
}
