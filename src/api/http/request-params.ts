/**
 * What a request asks for, wherever it says it: the query string, then the body's form or JSON object, as
 * one multimap (graphite-web: `GET.copy(); update(POST)`). Of several values `last` takes the last, so the
 * body wins; `name[]` is the same as `name`.
 *
 * A body without a type is read as a form: Grafana sends `query=…` unencoded. Limits: BODY_BYTES_MAX, and
 * PARAMETERS_MAX names and values in all. What cannot be read is a `RenderError` with 400, 413 or 415's text.
 */

import { fromUtf8 } from '../../lib/bytes.ts'
import { RenderError } from '../render-series.ts'

export const BODY_BYTES_MAX = 16 * 1024 * 1024
const PARAMETERS_MAX = 20_000

export class RequestParams {
  private readonly values: Map<string, string[]>
  private count: number

  constructor() {
    this.values = new Map()
    this.count = 0
  }

  static async read(request: Request): Promise<RequestParams> {
    const params = new RequestParams()
    const query = request.url.indexOf('?')
    if (query >= 0) params.addForm(request.url.slice(query + 1))
    if (request.method === 'POST' || request.method === 'PUT') await params.addBody(request)
    return params
  }

  has(name: string): boolean {
    return this.values.has(name)
  }

  all(name: string): readonly string[] {
    return this.values.get(name) ?? []
  }

  last(name: string): string | undefined {
    return this.values.get(name)?.at(-1)
  }

  names(): IterableIterator<string> {
    return this.values.keys()
  }

  /** graphite-web's reading of a flag: there, and neither 0 nor false. */
  flag(name: string): boolean {
    const value = this.last(name)
    return value !== undefined && !/^(?:0|false|no|off)$/i.test(value)
  }

  /** A whole number, or `fallback` where there is none; anything else is refused. */
  wholeNumber(name: string, fallback: number): number {
    const value = this.last(name)
    if (value === undefined || value === '') return fallback
    if (!/^\d{1,15}$/.test(value)) {
      throw new RenderError(`${name} must be a whole number, not ${JSON.stringify(cut(value))}`)
    }
    return Number(value)
  }

  add(name: string, value: string): void {
    this.count++
    if (this.count > PARAMETERS_MAX) {
      throw new RenderError(`more than ${PARAMETERS_MAX} parameters`, 413)
    }
    const key = name.endsWith('[]') ? name.slice(0, -2) : name
    const list = this.values.get(key)
    if (list) list.push(value)
    else this.values.set(key, [value])
  }

  private addForm(text: string): void {
    let at = 0
    while (at <= text.length) {
      let end = text.indexOf('&', at)
      if (end < 0) end = text.length
      if (end > at) {
        const equals = text.indexOf('=', at)
        if (equals < 0 || equals >= end) this.add(decodeForm(text.slice(at, end)), '')
        else {
          this.add(decodeForm(text.slice(at, equals)), decodeForm(text.slice(equals + 1, end)))
        }
      }
      at = end + 1
    }
  }

  private async addBody(request: Request): Promise<void> {
    const type = (request.headers.get('content-type') ?? '').split(';')[0]!.trim().toLowerCase()
    if (type === 'multipart/form-data') return this.addMultipart(request)
    const text = fromUtf8(await readBody(request))
    if (type === 'application/json' || type.endsWith('+json')) this.addJson(text)
    else this.addForm(text)
  }

  private async addMultipart(request: Request): Promise<void> {
    const copy = new Response(await readBody(request), {
      headers: { 'content-type': request.headers.get('content-type') ?? '' },
    })
    try {
      for (const [name, value] of await copy.formData()) {
        if (typeof value === 'string') this.add(name, value)
      }
    } catch (error) {
      if (error instanceof RenderError) throw error
      throw new RenderError('the body is not the multipart form that its type says')
    }
  }

  private addJson(text: string): void {
    let body: unknown
    try {
      body = text.trim() === '' ? {} : JSON.parse(text)
    } catch {
      throw new RenderError('the body is not JSON')
    }
    if (typeof body !== 'object' || body === null || Array.isArray(body)) {
      throw new RenderError('the body must be a JSON object')
    }
    for (const [name, value] of Object.entries(body)) {
      for (const item of Array.isArray(value) ? (value as unknown[]) : [value]) {
        if (item === null) continue
        if (typeof item === 'object') {
          throw new RenderError(`${cut(name)} must be a text, a number or a list of those`)
        }
        this.add(name, String(item))
      }
    }
  }
}

/** The whole body, refused as soon as it is known to be too long. */
export async function readBody(request: Request): Promise<Uint8Array<ArrayBuffer>> {
  const tooLong = new RenderError(`the body may have at most ${BODY_BYTES_MAX} bytes`, 413)
  if (Number(request.headers.get('content-length') ?? 0) > BODY_BYTES_MAX) throw tooLong
  const bytes = new Uint8Array(await request.arrayBuffer())
  if (bytes.length > BODY_BYTES_MAX) throw tooLong
  return bytes
}

/** Percent and plus decoding that takes what is not well encoded as it stands. */
function decodeForm(text: string): string {
  const spaced = text.includes('+') ? text.replaceAll('+', ' ') : text
  if (!spaced.includes('%')) return spaced
  try {
    return decodeURIComponent(spaced)
  } catch {
    return spaced.replace(/(?:%[0-9a-f]{2})+/gi, (run) =>
      fromUtf8(Uint8Array.from(run.slice(1).split('%'), (hex) => Number.parseInt(hex, 16))),
    )
  }
}

/** For error texts: enough to recognise it. */
export function cut(text: string): string {
  return text.length > 100 ? `${text.slice(0, 100)}…` : text
}
