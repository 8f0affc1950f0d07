/**
 * /functions: what Grafana's query editor is built from (graphite-web functions/views.py and params.py).
 *
 * `default: Infinity` (keepLastValue, interpolate) is no JSON: it goes out as 1e9999, which every parser
 * takes for infinity, as graphite-web's master does.
 */

import type { Hono } from 'hono'
import { toUtf8 } from '../../lib/bytes.ts'
import { describeFunctions, type FunctionInfo } from '../functions/registry.ts'
import { type ApiServices, openRequest } from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
import type { RequestParams } from '../http/request-params.ts'
import { readCallback, respond, respondText } from '../http/respond.ts'

/** Stands for Infinity until the text is made; no description holds it. */
const INFINITY_MARK = '\u0000infinity'

export function addFunctionsRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  app.all('/functions', async (context) => {
    if (context.req.method !== 'GET' && context.req.method !== 'HEAD') return onlyGet()
    const { raw, params } = await openRequest(context, services)
    return respondFunctions(raw, params, arrange(functionsOf(params), params))
  })
  app.all('/functions/:name', async (context) => {
    if (context.req.method !== 'GET' && context.req.method !== 'HEAD') return onlyGet()
    const { raw, params } = await openRequest(context, services)
    const name = context.req.param('name')
    const found = functionsOf(params).get(name)
    return found
      ? respondFunctions(raw, params, found)
      : respondFunctions(raw, params, { error: `Function not found: ${name}` }, 404)
  })
}

function onlyGet(): Response {
  return respondText('/functions takes GET\n', 405)
}

function respondFunctions(
  request: Request,
  params: RequestParams,
  value: unknown,
  status = 200,
): Promise<Response> {
  const marked = (_: string, member: unknown): unknown =>
    member === Infinity ? INFINITY_MARK : member
  const json = JSON.stringify(value, marked, params.flag('pretty') ? 2 : 0)
  const text = json.replaceAll(JSON.stringify(INFINITY_MARK), '1e9999')
  const callback = readCallback(params)
  const body = toUtf8(callback === undefined ? text : `${callback}(${text})`)
  return respond(request, {
    contentType: callback === undefined ? 'application/json' : 'text/javascript',
    body: [body as Uint8Array<ArrayBuffer>],
    status,
  })
}

/** `group` filters, `grouped` nests by group. */
function arrange(
  functions: ReadonlyMap<string, FunctionInfo>,
  params: RequestParams,
): Record<string, unknown> {
  const group = params.last('group')
  const kept = [...functions].filter(([, one]) => group === undefined || one.group === group)
  if (!params.flag('grouped')) return Object.fromEntries(kept)
  const groups: Record<string, Record<string, FunctionInfo>> = {}
  for (const [name, one] of kept) (groups[one.group] ??= {})[name] = one
  return groups
}

function functionsOf(params: RequestParams): ReadonlyMap<string, FunctionInfo> {
  return params.last('type') === 'pie' ? PIE_FUNCTIONS : describeAll()
}

let described: ReadonlyMap<string, FunctionInfo> | undefined

function describeAll(): ReadonlyMap<string, FunctionInfo> {
  described ??= describeFunctions()
  return described
}

const PIE_FUNCTIONS: ReadonlyMap<string, FunctionInfo> = new Map(
  (['average', 'maximum', 'minimum'] as const).map((name) => [
    name,
    {
      name,
      function: `${name}(series)`,
      description: `One value a series for a pie: its ${name}.`,
      module: 'graphite.render.functions',
      group: 'Pie',
      params: [{ name: 'series', type: 'series', required: true as const }],
    },
  ]),
)
