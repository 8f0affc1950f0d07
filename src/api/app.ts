/**
 * The HTTP application: who may ask, how many at once, which endpoint answers, and how errors are told: as
 * plain text with a 4xx, never as a page.
 */

import { Hono, type Context } from 'hono'
import { reason } from '../lib/log.ts'
import type { Counter, Stats } from '../lib/stats.ts'
import { refuse } from './http/access.ts'
import type { ApiServices } from './http/api-context.ts'
import type { ApiEnv } from './http/api-env.ts'
import { addCors } from './http/cors.ts'
import { endOfStream, respondText } from './http/respond.ts'
import { RenderError } from './render-series.ts'
import { addDashboardRoutes } from './routes/dashboard-routes.ts'
import { addEventsRoutes } from './routes/events-routes.ts'
import { addFindRoutes } from './routes/find-routes.ts'
import { addFunctionsRoutes } from './routes/functions-routes.ts'
import { addInfoRoutes } from './routes/info-routes.ts'
import { addMetricsRoutes } from './routes/metrics-routes.ts'
import { addRenderRoutes } from './routes/render-routes.ts'
import { addHealthRoutes, addServiceRoutes } from './routes/service-routes.ts'
import { addTagsRoutes } from './routes/tags-routes.ts'

export function createApp(services: ApiServices): Hono<ApiEnv> {
  const app = new Hono<ApiEnv>({ strict: false })
  app.onError((error, context) => answerError(error, context, services))
  app.notFound((context) => respondText(`there is nothing at ${context.req.path}\n`, 404))
  addHealthRoutes(app, services)
  addCors(app, services.corsOrigins)
  app.use(async (context, next) => {
    const refusal = refuse(context, services.access)
    if (refusal) return refusal
    await next()
  })
  addFlightLimit(app, services)
  addServiceRoutes(app, services)
  addRenderRoutes(app, services)
  addFindRoutes(app, services)
  addMetricsRoutes(app, services)
  addInfoRoutes(app, services)
  addTagsRoutes(app, services)
  addFunctionsRoutes(app, services)
  addEventsRoutes(app, services)
  addDashboardRoutes(app, services)
  return app
}

/** Refuses what is over `requestsMax` at once, being sent included, counts, and measures. */
function addFlightLimit(app: Hono<ApiEnv>, { clock, limits, stats }: ApiServices): void {
  let inFlight = 0
  const refused = stats.counter('requests.refused')
  const failed = stats.counter('requests.failed')
  stats.gauge('requests.inFlight', () => inFlight)
  const counted = new Map(KINDS.map((kind) => [kind, countersOf(stats, kind)]))
  const others = countersOf(stats, 'other')
  app.use(async (context, next) => {
    if (inFlight >= limits.requestsMax) {
      refused.value++
      const response = respondText(
        `${limits.requestsMax} requests are being answered already: ask again\n`,
        429,
      )
      response.headers.set('retry-after', '1')
      return response
    }
    inFlight++
    const startMs = clock.monotonicMs()
    try {
      await next()
    } finally {
      const end = (): void => {
        inFlight--
        context.get('values')?.release()
      }
      const streaming = endOfStream(context.req.raw)
      if (streaming) void streaming.then(end)
      else end()
      const { count, milliseconds } = counted.get(context.req.path.split('/')[1]!) ?? others
      count.value++
      milliseconds.value += Math.round(clock.monotonicMs() - startMs)
      if (context.res.status >= 400) failed.value++
    }
  })
}

/** First parts of paths that are counted by name. */
const KINDS = ['render', 'metrics', 'tags', 'functions', 'events', 'dashboard']

function countersOf(stats: Stats, kind: string): { count: Counter; milliseconds: Counter } {
  return {
    count: stats.counter(`requests.${kind}`),
    milliseconds: stats.counter(`milliseconds.${kind}`),
  }
}

function answerError(error: unknown, context: Context<ApiEnv>, services: ApiServices): Response {
  if (error instanceof RenderError) return respondText(`${error.message}\n`, error.status)
  if (context.req.raw.signal.aborted) return respondText('cancelled\n', 499)
  services.stats.counter('requests.broken').value++
  services.log.error('request failed', { path: context.req.path, error: reason(error) })
  services.log.debug(error instanceof Error ? (error.stack ?? '') : '')
  return respondText('the request failed for a reason that is in the log\n', 500)
}
