/** /dashboard/find, load, save, delete (graphite-web dashboard/views.py): JSON with `error` where there is one. */

import type { Hono } from 'hono'
import { mayChange } from '../http/access.ts'
import { type ApiServices, openRequest } from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
import { cut } from '../http/request-params.ts'
import { respondJson } from '../http/respond.ts'
import { RenderError } from '../render-series.ts'

const NAME_CHARACTERS_MAX = 255
const STATE_CHARACTERS_MAX = 1024 * 1024

export function addDashboardRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  const { dashboards, access } = services
  app.on(['GET', 'POST'], '/dashboard/find', async (context) => {
    const { raw, params } = await openRequest(context, services)
    const names = dashboards.find(params.last('query') ?? '')
    return respondJson(raw, params, { dashboards: names.map((name) => ({ name })) })
  })
  app.on(['GET', 'POST'], '/dashboard/load/:name', async (context) => {
    const { raw, params } = await openRequest(context, services)
    const name = context.req.param('name')
    const state = dashboards.load(name)
    return respondJson(
      raw,
      params,
      state === undefined ? absent(name) : { state: JSON.parse(state) },
    )
  })
  app.post('/dashboard/save/:name', async (context) => {
    mayChange(context, access)
    const { raw, params } = await openRequest(context, services)
    const name = context.req.param('name')
    if (name.length > NAME_CHARACTERS_MAX) throw new RenderError('the name is too long', 413)
    dashboards.save(name, readState(params.last('state')))
    return respondJson(raw, params, { success: true })
  })
  app.on(['POST', 'DELETE'], '/dashboard/delete/:name', async (context) => {
    mayChange(context, access)
    const { raw, params } = await openRequest(context, services)
    const name = context.req.param('name')
    return respondJson(raw, params, dashboards.delete(name) ? { success: true } : absent(name))
  })
}

function absent(name: string): { error: string } {
  return { error: `Dashboard '${cut(name)}' does not exist.` }
}

function readState(text: string | undefined): string {
  if (text === undefined) throw new RenderError("required parameter 'state' is missing")
  if (text.length > STATE_CHARACTERS_MAX) throw new RenderError('the state is too long', 413)
  try {
    JSON.parse(text)
  } catch {
    throw new RenderError('state must be JSON')
  }
  return text
}
