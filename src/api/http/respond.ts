/**
 * Bodies out: compressed as the client accepts (zstd, then gzip), with an ETag when they are short enough to
 * be whole in memory, else streamed piece by piece as the client takes them.
 *
 * `cache-control: no-cache` means "ask again, with the ETag": a live graph is never stale, and one that did
 * not change costs no transfer.
 */

import { promisify } from 'node:util'
import { createGzip, createZstdCompress, gzip, zstdCompress } from 'node:zlib'
import { toUtf8 } from '../../lib/bytes.ts'
import { nextTurn } from '../../lib/clock.ts'
import type { RequestParams } from './request-params.ts'
import { RenderError } from '../render-series.ts'

/** Longer answers are streamed. */
const WHOLE_BYTES_MAX = 1024 * 1024
/** Shorter ones are not worth compressing. */
const COMPRESS_BYTES_MIN = 1024

/** Bytes that are made before others have their turn: some milliseconds. */
const BYTES_A_TURN = 1024 * 1024

const GZIP_LEVEL = 3
/** ZSTD_c_compressionLevel, from zstd.h. */
const ZSTD_COMPRESSION_LEVEL = 100
const ZSTD_FAST = { params: { [ZSTD_COMPRESSION_LEVEL]: 1 } }

type Chunk = Uint8Array<ArrayBuffer>
type Encoding = 'zstd' | 'gzip'

const gzipAsync = promisify(gzip)
const zstdAsync = promisify(zstdCompress)

export interface Answer {
  readonly contentType: string
  readonly body: Iterable<Chunk>
  readonly headers?: Readonly<Record<string, string>>
  readonly status?: number
  /** False for what is compressed already. */
  readonly compressible?: boolean
}

/** The response to `request`, in the encoding that it accepts. */
export async function respond(request: Request, answer: Answer): Promise<Response> {
  const chunks: Chunk[] = []
  const rest = answer.body[Symbol.iterator]()
  let bytes = 0
  while (bytes <= WHOLE_BYTES_MAX) {
    const next = rest.next()
    if (next.done) return respondWhole(request, answer, Buffer.concat(chunks, bytes))
    chunks.push(next.value.slice())
    bytes += next.value.length
  }
  return respondStreaming(request, answer, chunks, rest)
}

async function respondWhole(request: Request, answer: Answer, body: Uint8Array): Promise<Response> {
  const headers = headersOf(answer)
  headers.set('etag', `"${Bun.hash(body).toString(36)}"`)
  if (answer.status === undefined && isKnown(request, headers.get('etag')!)) {
    return new Response(null, { status: 304, headers })
  }
  const status = answer.status ?? 200
  const encoding = answer.compressible === false ? undefined : acceptedEncoding(request)
  if (encoding === undefined || body.length < COMPRESS_BYTES_MIN) {
    return new Response(body as Chunk, { status, headers })
  }
  headers.set('content-encoding', encoding)
  const packed = await (encoding === 'zstd'
    ? zstdAsync(body, ZSTD_FAST)
    : gzipAsync(body, { level: GZIP_LEVEL }))
  return new Response(packed as unknown as Chunk, { status, headers })
}

function respondStreaming(
  request: Request,
  answer: Answer,
  chunks: readonly Chunk[],
  rest: Iterator<Chunk>,
): Response {
  const headers = headersOf(answer)
  const encoding = acceptedEncoding(request)
  if (encoding !== undefined) headers.set('content-encoding', encoding)
  const status = answer.status ?? 200
  if (request.method === 'HEAD') return new Response(null, { status, headers })
  const pieces = allPieces(chunks, rest)
  const body = encoding === undefined ? onDemand(pieces) : compress(pieces, encoding)
  const { promise, resolve } = Promise.withResolvers<void>()
  streams.set(request, promise)
  // A client that leaves before the first piece is asked for is not seen by the generator.
  request.signal.addEventListener('abort', () => resolve())
  return new Response(untilEnd(body, resolve), { status, headers })
}

const streams = new WeakMap<Request, Promise<void>>()

/** When a request's answer has been sent, or its client is gone; undefined when it was whole at once. */
export function endOfStream(request: Request): Promise<void> | undefined {
  return streams.get(request)
}

async function* untilEnd(
  body: AsyncGenerator<Chunk, void>,
  ended: () => void,
): AsyncGenerator<Chunk, void> {
  try {
    yield* body
  } finally {
    ended()
  }
}

function* allPieces(chunks: readonly Chunk[], rest: Iterator<Chunk>): Generator<Chunk, void> {
  yield* chunks
  for (let next = rest.next(); !next.done; next = rest.next()) yield next.value
}

/**
 * Asked for the next piece only when the socket has taken the one before, so pieces may share memory. A reader
 * that takes all at once would have all of them made in one go: after some, others have their turn.
 */
async function* onDemand(pieces: Iterable<Chunk>): AsyncGenerator<Chunk, void> {
  let bytes = 0
  for (const piece of pieces) {
    yield piece
    bytes += piece.length
    if (bytes < BYTES_A_TURN) continue
    bytes = 0
    await nextTurn()
  }
}

async function* compress(pieces: Iterable<Chunk>, encoding: Encoding): AsyncGenerator<Chunk, void> {
  const packer =
    encoding === 'zstd' ? createZstdCompress(ZSTD_FAST) : createGzip({ level: GZIP_LEVEL })
  const feed = async (): Promise<void> => {
    for (const piece of pieces) {
      if (packer.destroyed) return
      await new Promise<void>((taken) => packer.write(piece, () => taken()))
    }
    packer.end()
  }
  const feeding = feed()
  try {
    for await (const packed of packer) yield packed as Chunk
    await feeding
  } finally {
    packer.destroy()
  }
}

/** A JSON answer; with `jsonp` and `pretty` as the request has them. */
export function respondJson(
  request: Request,
  params: RequestParams,
  value: unknown,
  options: { status?: number; headers?: Readonly<Record<string, string>> } = {},
): Promise<Response> {
  const text = params.flag('pretty') ? JSON.stringify(value, null, 2) : JSON.stringify(value)
  const callback = readCallback(params)
  return respond(request, {
    contentType: callback === undefined ? 'application/json' : 'text/javascript',
    body: [toUtf8(callback === undefined ? text : `${callback}(${text})`) as Chunk],
    ...options,
  })
}

export function respondText(text: string, status = 200): Response {
  return new Response(text, {
    status,
    headers: { 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-cache' },
  })
}

/** The `jsonp` parameter; a text that is no function's name is refused. */
export function readCallback(params: RequestParams): string | undefined {
  const callback = params.last('jsonp')
  if (callback === undefined || callback === '') return undefined
  if (!/^[\w$.[\]]{1,200}$/.test(callback)) {
    throw new RenderError('jsonp must be the name of a function')
  }
  return callback
}

function headersOf(answer: Answer): Headers {
  const headers = new Headers(answer.headers)
  headers.set('content-type', answer.contentType)
  headers.set('cache-control', 'no-cache')
  headers.set('vary', 'Accept-Encoding')
  return headers
}

function isKnown(request: Request, etag: string): boolean {
  if (request.method !== 'GET' && request.method !== 'HEAD') return false
  const known = request.headers.get('if-none-match')
  return known !== null && known.split(',').some((one) => one.trim().replace(/^W\//, '') === etag)
}

function acceptedEncoding(request: Request): Encoding | undefined {
  const accepted = request.headers.get('accept-encoding')
  if (accepted === null) return undefined
  const names = new Set<string>()
  for (const part of accepted.toLowerCase().split(',')) {
    const [name, quality] = part.split(';')
    if (!/q=0(?:\.0*)?\s*$/.test(quality ?? '')) names.add(name!.trim())
  }
  if (names.has('zstd')) return 'zstd'
  return names.has('gzip') || names.has('*') ? 'gzip' : undefined
}
