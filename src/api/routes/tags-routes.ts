/**
 * /tags: graphite-web's eight questions and orders (tags/views.py). Wrong methods are 405; errors are
 * `{"error": …}`, as its clients expect here and nowhere else.
 */

import type { Context, Hono } from 'hono'
import {
  type ApiRequest,
  type ApiServices,
  missingHeaders,
  openRequest,
} from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
import { mayChange } from '../http/access.ts'
import { respondJson, respondText } from '../http/respond.ts'
import { RenderError } from '../render-series.ts'

/** graphite-web's, for the completions; the lists have no limit there, here the one of names. */
const COMPLETION_LIMIT = 100
const PATHS_MAX = 10_000

type Method = 'GET' | 'POST'
type Answerer = (request: ApiRequest, services: ApiServices) => Promise<unknown>

export function addTagsRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  const route = (
    path: string,
    methods: readonly Method[],
    answer: Answerer,
    access: 'reads' | 'changes' = 'reads',
  ): void => {
    app.all(path, (context) => handle(context, services, { methods, answer, access }))
  }
  route('/tags/tagSeries', ['POST'], tagSeries, 'changes')
  route('/tags/tagMultiSeries', ['POST'], tagMultiSeries, 'changes')
  route('/tags/delSeries', ['POST'], deleteSeries, 'changes')
  route('/tags/findSeries', ['GET', 'POST'], findSeries)
  route('/tags/autoComplete/tags', ['GET', 'POST'], completeTags)
  route('/tags/autoComplete/values', ['GET', 'POST'], completeValues)
  route('/tags', ['GET'], listTags)
  app.get('/tags/:tag', (context) => {
    const tag = context.req.param('tag')
    const answer: Answerer = (request, given) => tagDetails(tag, request, given)
    return handle(context, services, { methods: ['GET'], answer, access: 'reads' })
  })
}

async function handle(
  context: Context<ApiEnv>,
  services: ApiServices,
  route: { methods: readonly Method[]; answer: Answerer; access: 'reads' | 'changes' },
): Promise<Response> {
  const method = context.req.method === 'HEAD' ? 'GET' : context.req.method
  if (!route.methods.includes(method as Method)) {
    const response = respondText(`${context.req.path} takes ${route.methods.join(' and ')}\n`, 405)
    response.headers.set('allow', route.methods.join(', '))
    return response
  }
  if (route.access === 'changes') mayChange(context, services.access)
  const request = await openRequest(context, services)
  try {
    const value = await route.answer(request, services)
    return await respondJson(request.raw, request.params, value, {
      headers: missingHeaders(request.scope),
    })
  } catch (error) {
    if (!(error instanceof RenderError)) throw error
    return respondJson(
      request.raw,
      request.params,
      { error: error.message },
      { status: error.status },
    )
  }
}

async function tagSeries({ params, scope }: ApiRequest, services: ApiServices): Promise<unknown> {
  const path = params.last('path')
  if (!path) throw new RenderError('no path specified')
  return (await services.stores.register(scope, [path]))[0]
}

function tagMultiSeries({ params, scope }: ApiRequest, services: ApiServices): Promise<unknown> {
  return services.stores.register(scope, readPaths(params.all('path')))
}

async function deleteSeries({ params, scope }: ApiRequest, services: ApiServices): Promise<true> {
  await services.stores.delete(scope, readPaths(params.all('path')))
  return true
}

async function findSeries({ params, scope }: ApiRequest, services: ApiServices): Promise<unknown> {
  const expressions = params.all('expr')
  if (expressions.length === 0) throw new RenderError('no tag expressions specified')
  const namesMax = services.limits.namesMax
  return (await services.stores.tags(scope, { ask: 'findSeries', expressions, namesMax })).names
}

async function completeTags(request: ApiRequest, services: ApiServices): Promise<unknown> {
  const { params, scope } = request
  const reply = await services.stores.tags(scope, {
    ask: 'completeTags',
    expressions: params.all('expr'),
    prefix: params.last('tagPrefix') ?? '',
    limit: readLimit(request, services, COMPLETION_LIMIT),
  })
  return reply.names
}

async function completeValues(request: ApiRequest, services: ApiServices): Promise<unknown> {
  const { params, scope } = request
  const tag = params.last('tag')
  if (!tag) throw new RenderError('no tag specified')
  const expressions = params.all('expr')
  const reply = await services.stores.tags(scope, {
    ask: 'completeValues',
    // What has the tag: so that expressions that only exclude are enough.
    expressions: expressions.length === 0 ? [] : [...expressions, `${tag}!=`],
    tag,
    prefix: params.last('valuePrefix') ?? '',
    limit: readLimit(request, services, COMPLETION_LIMIT),
  })
  return reply.names
}

async function listTags(request: ApiRequest, services: ApiServices): Promise<unknown> {
  const { params, scope } = request
  const reply = await services.stores.tags(scope, {
    ask: 'tags',
    filter: params.last('filter') ?? '',
    limit: readLimit(request, services, services.limits.namesMax),
  })
  return reply.names.map((tag) => ({ id: null, tag }))
}

/** Null for a tag that no series has. */
async function tagDetails(
  tag: string,
  request: ApiRequest,
  services: ApiServices,
): Promise<unknown> {
  const { params, scope } = request
  const filter = params.last('filter') ?? ''
  const limit = readLimit(request, services, services.limits.namesMax)
  const { stores } = services
  const reply = await stores.tags(scope, { ask: 'values', tag, filter, limit })
  if (reply.names.length === 0) {
    const any = await stores.tags(scope, { ask: 'values', tag, filter: '', limit: 1 })
    if (any.names.length === 0) return null
  }
  const values = reply.names.map((value, i) => ({ id: null, value, count: reply.counts?.[i] ?? 0 }))
  return { id: null, tag, values }
}

function readLimit(request: ApiRequest, services: ApiServices, fallback: number): number {
  return Math.min(request.params.wholeNumber('limit', fallback), services.limits.namesMax)
}

function readPaths(paths: readonly string[]): readonly string[] {
  if (paths.length === 0) throw new RenderError('no paths specified')
  if (paths.length > PATHS_MAX) {
    throw new RenderError(`${paths.length} paths: at most ${PATHS_MAX} are taken`, 413)
  }
  return paths
}
