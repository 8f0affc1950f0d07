/**
 * /events (graphite-web events/views.py): POST makes one, GET lists, /events/ID shows one, /events/get_data is
 * what Grafana's annotations read. Everything is JSON; graphite-web's pages are not there.
 */

import type { Hono } from 'hono'
import { fromUtf8 } from '../../lib/bytes.ts'
import { nowSeconds } from '../../lib/clock.ts'
import type { GraphiteEvent, NewEvent } from '../events.ts'
import { mayChange } from '../http/access.ts'
import { type ApiRequest, type ApiServices, openRequest } from '../http/api-context.ts'
import type { ApiEnv } from '../http/api-env.ts'
import { cut, readBody } from '../http/request-params.ts'
import { respondJson, respondText } from '../http/respond.ts'
import { readTime, readTimeZone } from '../render-query.ts'
import { RenderError } from '../render-series.ts'

const TEXT_CHARACTERS_MAX = 65_536
const TAGS_MAX = 100

export function addEventsRoutes(app: Hono<ApiEnv>, services: ApiServices): void {
  const { clock, events, access } = services
  app.post('/events', async (context) => {
    mayChange(context, access)
    events.add(readEvent(await readJson(context.req.raw), nowSeconds(clock)))
    return respondText('')
  })
  app.on(['GET', 'POST'], '/events/get_data', async (context) =>
    answerFind(await openRequest(context, services), services),
  )
  app.get('/events', async (context) => answerFind(await openRequest(context, services), services))
  app.get('/events/:id', async (context) => {
    const { raw, params } = await openRequest(context, services)
    const id = context.req.param('id')
    const event = /^\d{1,15}$/.test(id) ? events.get(Number(id)) : undefined
    if (!event) {
      const error = 'Event matching query does not exist'
      return respondJson(raw, params, { error }, { status: 404 })
    }
    const when = new Date(event.when * 1000).toISOString().replace('.000Z', 'Z')
    return respondJson(raw, params, { ...showEvent(event), when })
  })
}

function answerFind(request: ApiRequest, { events }: ApiServices): Promise<Response> {
  const { raw, params, defaults } = request
  const context = { now: defaults.now, timeZone: readTimeZone(params, defaults) }
  const set = params.last('set')
  const found = events.find({
    from: params.last('from') ? readTime(params, 'from', context, 'now') : undefined,
    until: readTime(params, 'until', context, 'now'),
    tags: params.all('tags').flatMap(splitTags),
    set: set === 'union' || set === 'intersection' ? set : 'known',
  })
  return respondJson(raw, params, found.map(showEvent))
}

function showEvent({ when, what, data, tags, id }: GraphiteEvent): Record<string, unknown> {
  return { when, what, data, tags, id }
}

async function readJson(request: Request): Promise<Record<string, unknown>> {
  try {
    const body: unknown = JSON.parse(fromUtf8(await readBody(request)))
    if (typeof body === 'object' && body !== null && !Array.isArray(body)) {
      return body as Record<string, unknown>
    }
  } catch (error) {
    if (error instanceof RenderError) throw error
  }
  throw new RenderError('an event is a JSON object with what, tags, when and data')
}

function readEvent(body: Record<string, unknown>, now: number): NewEvent {
  const when = body['when'] === undefined || body['when'] === null ? now : Number(body['when'])
  if (!Number.isFinite(when) || when < 0 || when > 0xffff_ffff) {
    throw new RenderError('"when" must be Unix seconds')
  }
  return {
    when: Math.floor(when),
    what: readText(body, 'what'),
    data: readText(body, 'data'),
    tags: readTags(body['tags']),
  }
}

/** A text; what is not one is kept as its JSON. */
function readText(body: Record<string, unknown>, name: string): string {
  const value = body[name] ?? ''
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  if (text.length > TEXT_CHARACTERS_MAX) throw new RenderError(`"${name}" is too long`, 413)
  return text
}

function readTags(value: unknown): string[] {
  if (value === undefined || value === null) return []
  const list: unknown[] | undefined =
    typeof value === 'string' ? [value] : Array.isArray(value) ? value : undefined
  if (!list || list.some((tag) => typeof tag !== 'string')) {
    throw new RenderError('"tags" must be an array or space-separated string')
  }
  const tags = (list as string[]).flatMap(splitTags)
  const long = tags.find((tag) => tag.length > 255)
  if (long !== undefined) throw new RenderError(`tag ${cut(long)} is too long`)
  if (tags.length > TAGS_MAX) throw new RenderError(`at most ${TAGS_MAX} tags`, 413)
  return tags
}

function splitTags(text: string): string[] {
  return text.split(/\s+/).filter(Boolean)
}
