/** What says how the api itself is: version, load balancer check, health, and its own statistics. */

import type { Hono } from 'hono'
import { answerHealth } from '../../ipc/admin.ts'
import { type ApiServices, openRequest } from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
import { respondText } from '../http/respond.ts'
import { answerFind } from './find-routes.ts'

/** The version of graphite-web whose API this is: clients switch features on by it. */
export const GRAPHITE_VERSION = '1.1.10'

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
  app.get('/', () =>
    respondText(
      `emon-metrics speaks graphite-web ${GRAPHITE_VERSION}'s API: /render, /metrics/find, /tags, /functions …\n`,
    ),
  )
}
