/** /render: targets to series to whatever format was asked for (graphite-web render/views.py). */

import type { Hono } from 'hono'
import { consolidateForDisplay } from '../consolidation.ts'
import { evaluateTargets } from '../evaluator.ts'
import { seriesFormat } from '../formats/formats.ts'
import { jsonFormat } from '../formats/json.ts'
import {
  type ApiEnv,
  type ApiRequest,
  type ApiServices,
  missingHeaders,
  openRequest,
} from '../http/api-context.ts'
import { respond } from '../http/respond.ts'
import { readRenderQuery, type RenderQuery } from '../render-query.ts'
import type { RenderSeries } from '../render-series.ts'
import { RenderSource } from '../render-source.ts'

export function addRenderRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  app.on(['GET', 'POST'], '/render', async (context) => {
    const request = await openRequest(context, services)
    return answerRender(request, services)
  })
}

async function answerRender(request: ApiRequest, services: ApiServices): Promise<Response> {
  const query = readRenderQuery(request.params, request.defaults)
  const series = await evaluate(query, request, services)
  const shown =
    query.format === 'json' ? consolidateForDisplay(series, query.maxDataPoints) : series
  services.stats.counter('render.series').value += series.length
  services.stats.counter('render.points').value += series.reduce(
    (sum, one) => sum + one.values.length,
    0,
  )
  const format = seriesFormat(query.format) ?? jsonFormat
  return respond(request.raw, {
    contentType: query.jsonp === undefined ? format.contentType : 'text/javascript',
    body: format.encode(shown, query),
    headers: missingHeaders(request.scope),
  })
}

function evaluate(
  query: RenderQuery,
  request: ApiRequest,
  { clock, limits, stores, events }: ApiServices,
): Promise<RenderSeries[]> {
  const scope = { ...request.scope, now: query.now }
  const { seriesMax, pointsMax } = limits
  return evaluateTargets(query.targets, {
    from: query.from,
    until: query.until,
    now: query.now,
    timeZone: query.timeZone,
    xFilesFactor: query.xFilesFactor,
    template: query.template,
    source: new RenderSource({ stores, events, scope, seriesMax, pointsMax }),
    clock,
    signal: scope.signal,
    deadlineMs: scope.deadlineAtMs,
    pointsMax,
  })
}
