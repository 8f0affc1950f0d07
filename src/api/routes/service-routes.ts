/** What says how the api itself is: version, info, load balancer check, health, and its own statistics. */

import type { Hono } from 'hono'
import { archiveSeconds } from '../../metric/retention.ts'
import { answerHealth } from '../../ipc/admin.ts'
import { type ApiEnv, type ApiServices, missingHeaders, openRequest } from '../http/api-context.ts'
import { respondJson, respondText } from '../http/respond.ts'
import { RenderError } from '../render-series.ts'
import { answerFind } from './metrics-routes.ts'

/** The version of graphite-web whose API this is: clients switch features on by it. */
export const GRAPHITE_VERSION = '1.1.10'

const TARGETS_MAX = 1_000

/** Answered to everybody, before access and limits. */
export function addHealthRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  const { stats, notReady } = services
  const health = (path: string): Response =>
    answerHealth(path, { concern: 'api', stats, notReady })!
  app.get('/healthz', () => health('/healthz'))
  app.get('/readyz', () => health('/readyz'))
  app.get('/lb_check', () => {
    const reasons = notReady()
    return reasons.length === 0 ? respondText('OK\n') : respondText(`${reasons.join('\n')}\n`, 503)
  })
}

export function addServiceRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  const { stats, notReady } = services
  // graphite-web's /metrics is /metrics/find; Prometheus asks it without a query.
  app.on(['GET', 'POST'], '/metrics', async (context) => {
    const request = await openRequest(context, services)
    return request.params.has('query')
      ? answerFind(request, services)
      : answerHealth('/metrics', { concern: 'api', stats, notReady })!
  })
  app.on(['GET', 'POST'], '/version', () => respondText(`${GRAPHITE_VERSION}\n`))
  app.on(['GET', 'POST'], '/info', async (context) => {
    const request = await openRequest(context, services)
    const { params, scope } = request
    const paths = params.all('target')
    if (paths.length === 0) throw new RenderError("required parameter 'target' is missing")
    if (paths.length > TARGETS_MAX) throw new RenderError(`at most ${TARGETS_MAX} targets`, 413)
    const infos = await services.stores.info(scope, { paths })
    if (infos.length === 0) throw new RenderError('no such series', 404)
    const answers = infos.map((info) => ({
      name: info.path,
      aggregationMethod: info.method,
      maxRetention: Math.max(0, ...info.archives.map(archiveSeconds)),
      xFilesFactor: info.xFilesFactor,
      retentions: info.archives.map(({ step, count }) => ({
        secondsPerPoint: step,
        numberOfPoints: count,
      })),
      lastSeen: info.lastSeen,
    }))
    const body = paths.length === 1 ? answers[0] : answers
    return respondJson(request.raw, params, body, { headers: missingHeaders(scope) })
  })
  app.get('/', () =>
    respondText(
      `emon-metrics speaks graphite-web ${GRAPHITE_VERSION}'s API: /render, /metrics/find, /tags, /functions …\n`,
    ),
  )
}
