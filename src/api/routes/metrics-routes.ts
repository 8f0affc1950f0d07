/** /metrics/expand and index.json: names by pattern, and all of them (graphite-web metrics/views.py). */

import type { Hono } from 'hono'
import {
  type ApiRequest,
  type ApiServices,
  missingHeaders,
  openRequest,
} from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
import { respond, respondJson } from '../http/respond.ts'
import { streamNames } from '../formats/name-list.ts'
import { RenderError } from '../render-series.ts'
import { readPattern } from './find-routes.ts'

const PATTERNS_MAX = 1_000
const BOTH = ['GET', 'POST']

export function addMetricsRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
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
