/**
 * Each process's own HTTP socket, run/NAME-admin.sock, open before recovery starts:
 * `/healthz` = alive (200 as long as its loop answers), `/readyz` = 200 when it can do its job, else 503
 * with one line a reason, `/metrics` = Prometheus text. A concern may add routes of its own
 * (`POST /flush`, `GET /queue`): what arrives here comes from the owner of the run folder and is trusted.
 */

import { toUtf8 } from '../lib/bytes.ts'
import type { Clock, Timer } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { reason } from '../lib/log.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Stats } from '../lib/stats.ts'
import { publishSocket } from './socket.ts'

export type AdminRoute = (request: Request, url: URL) => Response | Promise<Response>

export interface AdminOptions {
  readonly concern: string
  readonly socketPath: string
  readonly disk: Disk
  readonly stats: Stats
  /** Why the process cannot do its job now, a line each; empty when it can. */
  readonly notReady: () => readonly string[]
  /** Further routes, `METHOD /path`; looked up at each request, so it may grow after the start. */
  readonly routes?: ReadonlyMap<string, AdminRoute>
}

export interface AdminServer {
  stop(): Promise<void>
}

export function serveAdmin(options: AdminOptions): AdminServer {
  const published = publishSocket(options.disk, options.socketPath, {
    listen: (path) => Bun.serve({ unix: path, fetch: (request) => answer(options, request) }),
  })
  return {
    async stop() {
      published.unpublish()
      await published.server.stop(true)
    },
  }
}

function answer(options: AdminOptions, request: Request): Response | Promise<Response> {
  const url = new URL(request.url)
  const route = options.routes?.get(`${request.method} ${url.pathname}`)
  if (route) return route(request, url)
  return (
    answerHealth(url.pathname, options) ??
    new Response(`no ${request.method} ${url.pathname} here\n`, { status: 404 })
  )
}

/** Shorter than the 10 s of silence after which Bun's server hangs up on a Unix socket. */
const PATIENCE_MS = 3_000

/**
 * The answer to something that may take minutes: blank lines until it is done, then `DONE` or `FAILED` on a
 * line, then what there is to say. The status, sent with the first blank line, is 200 either way:
 * `readSlowAnswer` tells them apart.
 */
export function slowAnswer(clock: Clock, work: Promise<string>): Response {
  let waiting: Timer | undefined
  const body = new ReadableStream<Uint8Array>({
    async start(stream) {
      const say = (text: string): void => stream.enqueue(toUtf8(text))
      waiting = clock.every(PATIENCE_MS, () => say('\n'))
      const end = await work.then(
        (text) => `DONE\n${text}`,
        (error: unknown) => `FAILED\n${reason(error)}`,
      )
      waiting.cancel()
      say(end)
      stream.close()
    },
    cancel: () => waiting?.cancel(),
  })
  return new Response(body)
}

export function readSlowAnswer(body: string): Result<string> {
  const text = body.trimStart()
  if (text.startsWith('DONE\n')) return ok(text.slice('DONE\n'.length))
  if (text.startsWith('FAILED\n')) return err(text.slice('FAILED\n'.length))
  return err('the process ended before it was done')
}

/** The three standard answers, for a process that also serves them on a port of its own. */
export function answerHealth(
  path: string,
  options: Pick<AdminOptions, 'concern' | 'stats' | 'notReady'>,
): Response | undefined {
  if (path === '/healthz') return new Response('ok\n')
  if (path === '/readyz') {
    const reasons = options.notReady()
    return reasons.length === 0
      ? new Response('ready\n')
      : new Response(`${reasons.join('\n')}\n`, { status: 503 })
  }
  if (path === '/metrics') {
    return new Response(options.stats.prometheusText(options.concern), {
      headers: { 'content-type': 'text/plain; version=0.0.4' },
    })
  }
  return undefined
}
