/**
 * go-carbon's HTTP interface (carbonserver), so that carbonapi and graphite-web can have the store as their
 * backend: /render/, /metrics/find/, /metrics/list/, /metrics/details/, /info/, /_internal/capabilities/. Off by
 * default. Unlike the original's, answers are never cached, new series and unwritten points show at once, and a
 * coarse range has its newest points too.
 *
 * Limits: 64 requests at a time (else 429), 60 s a request, and what an answer may hold (carbonserver-answers.ts).
 */

import { type Log, reason } from '../../lib/log.ts'
import { Abandoned } from '../../lib/slices.ts'
import type { Stats } from '../../lib/stats.ts'
import { QueryError } from '../query-error.ts'
import {
  capabilities,
  type CarbonAnswerParts,
  details,
  find,
  forceScan,
  info,
  list,
  render,
  REQUEST_MS_MAX,
} from './carbonserver-answers.ts'
import { formatOf } from './carbonserver-formats.ts'
import type { Asked } from './carbonserver-questions.ts'

const REQUESTS_MAX = 64
const UNKNOWN_FORMAT =
  'unknown format: it must be json, pickle, protobuf, protobuf3, carbonapi_v2_pb or carbonapi_v3_pb\n'

export interface CarbonserverParts extends CarbonAnswerParts {
  readonly bind: string
  readonly port: number
  readonly log: Log
  readonly stats: Stats
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
