/** What a carbonserver request asks for: parameters of the query string and of a form, or a message of version 3. */

import { protoFields, protoText } from '../../lib/protobuf.ts'
import type { Patience } from '../../lib/slices.ts'
import { QueryError } from '../query-error.ts'
import type { Format } from './carbonserver-formats.ts'

/** One request that is worked on. */
export interface Asked {
  readonly request: Request
  readonly url: URL
  readonly format: Format
  readonly abort: AbortController
  readonly patience: Patience
}

/** A pattern, and the range (from, until] that is wanted of its series. */
export interface RenderTarget {
  pathExpression: string
  from: number
  until: number
}

export async function targetsOf(asked: Asked): Promise<RenderTarget[]> {
  const message = await messageOf(asked)
  if (message) return [...protoFields(message)].filter(({ field }) => field === 1).map(fetchTarget)
  const parameters = await parametersOf(asked)
  const from = epoch(parameters, 'from')
  const until = epoch(parameters, 'until')
  const targets = parameters.getAll('target')
  if (targets.length === 0) throw new QueryError('bad', 'no target: ask with target=PATTERN')
  return targets.map((pathExpression) => ({ pathExpression, from, until }))
}

/** The names or patterns of a request, which are its message's first field or all values of one parameter. */
export async function namesOf(asked: Asked, parameter: string): Promise<string[]> {
  const message = await messageOf(asked)
  if (!message) return (await parametersOf(asked)).getAll(parameter)
  return [...protoFields(message)].filter(({ field }) => field === 1).map(protoText)
}

async function messageOf({ request, format }: Asked): Promise<Uint8Array | undefined> {
  if (format !== 'v3' || request.method !== 'POST') return undefined
  return new Uint8Array(await request.arrayBuffer())
}

/** A FetchRequest of version 3. */
function fetchTarget(message: { bytes: Uint8Array }): RenderTarget {
  const target = { pathExpression: '', from: 0, until: 0 }
  for (const field of protoFields(message.bytes)) {
    if (field.field === 1) target.pathExpression = protoText(field)
    else if (field.field === 2) target.from = field.number
    else if (field.field === 3) target.until = field.number
  }
  return target
}

function epoch(parameters: URLSearchParams, name: string): number {
  const text = parameters.get(name) ?? ''
  if (!/^-?\d{1,12}$/.test(text)) {
    const given = text === '' ? 'missing' : JSON.stringify(text)
    throw new QueryError('bad', `${name} is ${given}: it must be Unix seconds`)
  }
  return Number(text)
}

/** Of the query string, and of a posted form. */
async function parametersOf({ request, url }: Asked): Promise<URLSearchParams> {
  const parameters = new URLSearchParams(url.searchParams)
  const type = request.headers.get('content-type') ?? ''
  if (request.method === 'POST' && type.includes('application/x-www-form-urlencoded')) {
    for (const [name, value] of new URLSearchParams(await request.text())) {
      parameters.append(name, value)
    }
  }
  return parameters
}
