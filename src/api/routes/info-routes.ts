/**
 * What is known of each series: /info and /metrics/details as go-carbon and carbonapi have them, and CarbonLink's
 * /metrics/get-metadata, whose one key is aggregationMethod.
 */

import type { Hono } from 'hono'
import { longest, writeInfo } from '../../ipc/go-graphite-messages.ts'
import type { SeriesInfo } from '../../ipc/store-protocol.ts'
import { protoMessage, type ProtoWriter } from '../../lib/protobuf.ts'
import { PACKED_CONTENT_TYPES } from '../formats/packed-formats.ts'
import {
  type ApiRequest,
  type ApiServices,
  missingHeaders,
  openRequest,
} from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
import { respond, respondJson, respondText } from '../http/respond.ts'
import { RenderError } from '../render-series.ts'
import { readPattern } from './find-routes.ts'

const TARGETS_MAX = 1_000
const BOTH = ['GET', 'POST']

export function addInfoRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  app.on(BOTH, '/info', async (context) =>
    answerInfo(await openRequest(context, services), services),
  )
  app.on(BOTH, '/metrics/details', async (context) =>
    answerDetails(await openRequest(context, services), services),
  )
  app.on(BOTH, '/metrics/get-metadata', async (context) =>
    answerMetadata(await openRequest(context, services), services),
  )
  app.on(BOTH, '/metrics/set-metadata', () =>
    respondText('metadata is made from storage-aggregation.conf: it cannot be set here\n', 405),
  )
}

/** JSON, or go-carbon's protobuf: version 2 for the first target, version 3 for all. */
async function answerInfo(request: ApiRequest, services: ApiServices): Promise<Response> {
  const { params, scope } = request
  const paths = params.all('target')
  if (paths.length === 0) throw new RenderError("required parameter 'target' is missing")
  if (paths.length > TARGETS_MAX) throw new RenderError(`at most ${TARGETS_MAX} targets`, 413)
  const infos = await services.stores.info(scope, { paths })
  if (infos.length === 0) throw new RenderError('no such series', 404)
  const headers = missingHeaders(scope)
  const packed = (contentType: string, write: (reply: ProtoWriter) => void): Promise<Response> =>
    respond(request.raw, { contentType, body: [protoMessage(write)], headers })
  switch (params.last('format') ?? 'json') {
    case 'json':
      break
    case 'protobuf':
    case 'protobuf3':
    case 'carbonapi_v2_pb':
      return packed(PACKED_CONTENT_TYPES.protobufV2, (reply) => writeInfo(reply, infos[0]))
    case 'carbonapi_v3_pb':
      return packed(PACKED_CONTENT_TYPES.protobufV3, (reply) => {
        for (const info of infos) reply.message(1, (message) => writeInfo(message, info))
      })
    default:
      throw new RenderError('format must be json, protobuf, carbonapi_v2_pb or carbonapi_v3_pb')
  }
  const answers = infos.map((info) => ({ name: info.path, ...infoJson(info) }))
  const body = paths.length === 1 ? answers[0] : answers
  return respondJson(request.raw, params, body, { headers })
}

function infoJson(info: SeriesInfo) {
  return {
    aggregationMethod: info.method,
    xFilesFactor: info.xFilesFactor,
    maxRetention: longest(info),
    retentions: info.archives.map(({ step, count }) => ({
      secondsPerPoint: step,
      numberOfPoints: count,
    })),
    lastSeen: info.lastSeen,
  }
}

/** Of each series that fits the queries. */
async function answerDetails(request: ApiRequest, services: ApiServices): Promise<Response> {
  const { params, scope } = request
  const patterns = [...params.all('query'), ...params.all('target')].map(readPattern)
  const lists = await services.stores.find(scope, {
    patterns: patterns.length === 0 ? ['**'] : patterns.slice(0, TARGETS_MAX),
    leavesOnly: true,
    namesMax: services.limits.namesMax,
  })
  const paths = [...new Set(lists.flat().map((match) => match.path))]
  const infos = paths.length === 0 ? [] : await services.stores.info(scope, { paths })
  const metrics = Object.fromEntries(infos.map((info) => [info.path, infoJson(info)]))
  return respondJson(request.raw, params, { metrics }, { headers: missingHeaders(scope) })
}

async function answerMetadata(request: ApiRequest, services: ApiServices): Promise<Response> {
  const { params, scope } = request
  const paths = params.all('metric').slice(0, TARGETS_MAX)
  const infos = paths.length === 0 ? [] : await services.stores.info(scope, { paths })
  const methods = new Map(infos.map((info) => [info.path, info.method]))
  const known = params.last('key') === 'aggregationMethod'
  const results = paths.map((path) => {
    const value = known ? methods.get(path) : undefined
    return [path, value === undefined ? { error: 'no such metric or key' } : { value }] as const
  })
  return respondJson(request.raw, params, Object.fromEntries(results))
}
