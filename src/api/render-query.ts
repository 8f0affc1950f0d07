/**
 * /render's parameters, checked (graphite-web render/views.py parseOptions).
 *
 * Blank targets are skipped; times are swapped when from is the later; an unknown time zone is ignored;
 * an unknown format is a picture, as there is none. `maxDataPoints` that is not digits is ignored too.
 * Anything else that cannot be used is a `RenderError` with the parameter's name in its text.
 */

import { z } from 'zod'
import { parseAtTime } from './at-time.ts'
import { cut, type RequestParams } from './http/request-params.ts'
import { RenderError } from './render-series.ts'
import { isTimeZone } from './time-zone.ts'

export const RENDER_FORMATS = [
  'json',
  'csv',
  'raw',
  'pickle',
  'msgpack',
  'dygraph',
  'rickshaw',
  'protobuf',
  'protobuf3',
  'carbonapi_v2_pb',
  'carbonapi_v3_pb',
  'svg',
  'png',
  'pdf',
] as const

export type RenderFormat = (typeof RENDER_FORMATS)[number]

export interface RenderQuery {
  readonly targets: readonly string[]
  /** Unix seconds, from < until. */
  readonly from: number
  readonly until: number
  readonly now: number
  readonly timeZone: string
  readonly format: RenderFormat
  readonly maxDataPoints: number | undefined
  readonly noNullPoints: boolean
  readonly xFilesFactor: number
  readonly template: ReadonlyMap<string, string>
  readonly jsonp: string | undefined
  readonly pretty: boolean
  /** How many zeros follow the seconds of a timestamp in JSON: 3 makes milliseconds. */
  readonly timestampZeros: number
}

export interface QueryDefaults {
  /** Unix seconds. */
  readonly now: number
  readonly timeZone: string
  readonly targetsMax: number
}

const TARGET_CHARACTERS_MAX = 65_536

const TIMESTAMP_ZEROS = { s: 0, ms: 3, us: 6, ns: 9 } as const

const timeZone = z.string().refine(isTimeZone)

const schema = z.object({
  xFilesFactor: z.coerce
    .number('must be a number')
    .min(0, 'must be from 0 to 1')
    .max(1, 'must be from 0 to 1')
    .default(0),
  maxDataPoints: z
    .string()
    .transform((text) => (/^\d{1,9}$/.test(text) && Number(text) > 0 ? Number(text) : undefined))
    .optional(),
  jsonp: z
    .string()
    .regex(/^[\w$.[\]]{1,200}$/, 'must be the name of a function')
    .optional(),
  timestampFormat: z.enum(['s', 'ms', 'us', 'ns'], 'must be s, ms, us or ns').default('s'),
})

export function readRenderQuery(params: RequestParams, defaults: QueryDefaults): RenderQuery {
  const checked = schema.safeParse({
    xFilesFactor: emptyToUndefined(params.last('xFilesFactor')),
    maxDataPoints: params.last('maxDataPoints'),
    jsonp: emptyToUndefined(params.last('jsonp')),
    timestampFormat: emptyToUndefined(params.last('timestampFormat')),
  })
  if (!checked.success) {
    const issue = checked.error.issues[0]!
    throw new RenderError(`${issue.path.join('.')} ${issue.message}`)
  }
  return {
    targets: readTargets(params, defaults.targetsMax),
    ...readTimes(params, defaults),
    format: readFormat(params),
    maxDataPoints: checked.data.maxDataPoints,
    noNullPoints: params.has('noNullPoints'),
    xFilesFactor: checked.data.xFilesFactor,
    template: readTemplate(params),
    jsonp: checked.data.jsonp,
    pretty: params.flag('pretty'),
    timestampZeros: TIMESTAMP_ZEROS[checked.data.timestampFormat],
  }
}

/** `tz`, `now`, `from` and `until`, as every endpoint with a range reads them; from < until. */
export function readTimes(
  params: RequestParams,
  defaults: QueryDefaults,
): Pick<RenderQuery, 'from' | 'until' | 'now' | 'timeZone'> {
  const zone = readTimeZone(params, defaults)
  const now = readTime(params, 'now', { now: defaults.now, timeZone: zone }, 'now')
  const context = { now, timeZone: zone }
  const from = readTime(params, 'from', context, '-1d')
  const until = readTime(params, 'until', context, 'now')
  if (from === until) throw new RenderError('Invalid empty time range')
  return { from: Math.min(from, until), until: Math.max(from, until), now, timeZone: zone }
}

export function readTimeZone(params: RequestParams, defaults: QueryDefaults): string {
  const asked = timeZone.safeParse(params.last('tz'))
  return asked.success ? asked.data : defaults.timeZone
}

/** One time; `-1` and an empty text are the fallback. */
export function readTime(
  params: RequestParams,
  name: string,
  context: { now: number; timeZone: string },
  fallback: string,
): number {
  const given = params.last(name)?.trim()
  const text = given === undefined || given === '' ? fallback : given
  if (text === 'now') return context.now
  const time = parseAtTime(text, context)
  if (!time.ok) throw new RenderError(`${name}: ${time.error}`)
  if (!Number.isFinite(time.value) || Math.abs(time.value) > 0xffff_ffff) {
    throw new RenderError(`${name}: ${JSON.stringify(cut(text))} is outside 1970 to 2106`)
  }
  return Math.max(0, Math.floor(time.value))
}

function readTargets(params: RequestParams, targetsMax: number): string[] {
  const targets: string[] = []
  for (const target of params.all('target')) {
    const trimmed = target.trim()
    if (trimmed === '') continue
    if (trimmed.length > TARGET_CHARACTERS_MAX) {
      throw new RenderError(
        `a target of ${trimmed.length} characters: at most ${TARGET_CHARACTERS_MAX} are taken`,
        413,
      )
    }
    targets.push(trimmed)
  }
  if (targets.length > targetsMax) {
    throw new RenderError(`${targets.length} targets: at most ${targetsMax} are taken`, 413)
  }
  return targets
}

function readFormat(params: RequestParams): RenderFormat {
  const format = params.last('format')
  if (format === undefined) {
    if (params.has('rawData')) return 'raw'
    if (params.has('pickle')) return 'pickle'
  }
  return RENDER_FORMATS.find((known) => known === format) ?? 'png'
}

function readTemplate(params: RequestParams): Map<string, string> {
  const template = new Map<string, string>()
  for (const name of params.names()) {
    const parts = /^template\[(.+)\]$/.exec(name)
    if (parts) template.set(parts[1]!, params.last(name)!)
  }
  return template
}

function emptyToUndefined(text: string | undefined): string | undefined {
  return text === '' ? undefined : text
}
