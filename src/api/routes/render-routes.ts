/** /render: targets to series to whatever format was asked for (graphite-web render/views.py). */

import type { Hono } from 'hono'
import { drawChart, type PictureFormat } from '../charts/chart.ts'
import { splitPieTargets } from '../charts/pie-graph.ts'
import { consolidateForDisplay } from '../consolidation.ts'
import { evaluateTargets } from '../evaluator.ts'
import { seriesFormat } from '../formats/formats.ts'
import {
  type ApiRequest,
  type ApiServices,
  missingHeaders,
  openRequest,
} from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
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
  const format = seriesFormat(query.format)
  if (!format) return answerPicture(query, request, services)
  const series = await evaluate(query, request, services)
  const shown = isConsolidated(query) ? consolidateForDisplay(series, query.maxDataPoints) : series
  return respond(request.raw, {
    contentType: query.jsonp === undefined ? format.contentType : 'text/javascript',
    body: format.encode(shown, query),
    headers: missingHeaders(request.scope),
  })
}

async function answerPicture(
  query: RenderQuery,
  request: ApiRequest,
  services: ApiServices,
): Promise<Response> {
  const { params } = request
  const pie = params.last('graphType') === 'pie'
  const { slices, targets } = pie
    ? splitPieTargets(query.targets)
    : { slices: [], targets: query.targets }
  const series = await evaluate({ ...query, targets }, request, services)
  const picture = await drawChart({
    series,
    slices,
    params,
    timeZone: query.timeZone,
    format: query.format as PictureFormat,
    rasterizer: services.rasterizer,
  })
  return respond(request.raw, {
    contentType: picture.contentType,
    body: [picture.bytes],
    headers: missingHeaders(request.scope),
    compressible: query.format === 'svg',
  })
}

async function evaluate(
  query: RenderQuery,
  request: ApiRequest,
  { clock, limits, stores, aliases, events, stats }: ApiServices,
): Promise<RenderSeries[]> {
  const scope = { ...request.scope, now: query.now }
  const { seriesMax, pointsMax } = limits
  const series = await evaluateTargets(query.targets, {
    from: query.from,
    until: query.until,
    now: query.now,
    timeZone: query.timeZone,
    xFilesFactor: query.xFilesFactor,
    template: query.template,
    source: new RenderSource({ stores, events, aliases, scope, seriesMax, pointsMax }),
    clock,
    signal: scope.signal,
    deadlineMs: scope.deadlineAtMs,
    pointsMax,
    maxDataPoints: isConsolidated(query) ? query.maxDataPoints : undefined,
  })
  stats.counter('render.series').value += series.length
  const points = stats.counter('render.points')
  for (const one of series) points.value += one.values.length
  return series
}

/** The other formats have all values. */
function isConsolidated({ format }: RenderQuery): boolean {
  return format === 'json'
}
