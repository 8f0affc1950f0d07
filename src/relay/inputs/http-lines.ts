/**
 * Lines over HTTP: `POST /lines` with a body of lines, gzip if it says so. The answer is 200 with the number of
 * lines when all that became of them survives a power cut, 504 when that takes longer than 10 s (they are then
 * on their way, and may be sent again: Graphite does not mind), 413 for more than 16 MiB.
 *
 * Limit: `REQUESTS_MAX` wait at a time, others get 503.
 */

import { gunzipSync } from 'node:zlib'
import { NEWLINE } from '../../lib/bytes.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import type { Dispatcher } from '../routing/dispatcher.ts'
import type { HeldMark } from './held.ts'

export const HTTP_BODY_BYTES_MAX = 16 * 1024 * 1024
const REQUESTS_MAX = 256
const HELD_MS_MAX = 10_000

export interface HttpLinesOptions {
  readonly clock: Clock
  readonly dispatcher: Dispatcher
  /** A mark after everything dispatched until now. */
  readonly mark: () => HeldMark
}

interface Waiting {
  readonly mark: HeldMark
  readonly answer: (held: boolean) => void
}

export class HttpLines {
  private readonly options: HttpLinesOptions
  private readonly waiting: Set<Waiting>

  constructor(options: HttpLinesOptions) {
    this.options = options
    this.waiting = new Set()
  }

  async answer(request: Request): Promise<Response> {
    if (this.waiting.size >= REQUESTS_MAX) return plain(503, 'too many requests wait')
    const body = new Uint8Array(await request.arrayBuffer())
    const lines = unpack(body, request.headers.get('content-encoding'))
    if (lines === undefined) return plain(400, 'the body is not gzip')
    if (lines.length > HTTP_BODY_BYTES_MAX)
      return plain(413, `more than ${HTTP_BODY_BYTES_MAX} bytes`)
    if (lines.length === 0) return plain(200, '0 lines')
    const whole = withNewline(lines)
    this.options.dispatcher.dispatch(whole, 0, whole.length, 0)
    return (await this.held(this.options.mark()))
      ? plain(200, `${countLines(whole)} lines`)
      : plain(504, 'accepted, but not synced yet')
  }

  /** Destinations moved on. */
  check(): void {
    for (const waiting of this.waiting) {
      if (waiting.mark.isSynced) waiting.answer(true)
    }
  }

  private held(mark: HeldMark): Promise<boolean> {
    if (mark.isSynced) return Promise.resolve(true)
    const { clock } = this.options
    return new Promise((resolve) => {
      const waiting: Waiting = {
        mark,
        answer: (held) => {
          timer.cancel()
          this.waiting.delete(waiting)
          resolve(held)
        },
      }
      const timer: Timer = clock.after(HELD_MS_MAX, () => waiting.answer(false))
      this.waiting.add(waiting)
    })
  }
}

function unpack(body: Uint8Array, encoding: string | null): Uint8Array | undefined {
  if (encoding !== 'gzip') return body
  try {
    return gunzipSync(body, { maxOutputLength: HTTP_BODY_BYTES_MAX })
  } catch {
    return undefined
  }
}

/** A request is whole, so its last line is too. */
function withNewline(lines: Uint8Array): Uint8Array {
  if (lines[lines.length - 1] === NEWLINE) return lines
  const whole = new Uint8Array(lines.length + 1)
  whole.set(lines)
  whole[lines.length] = NEWLINE
  return whole
}

function countLines(bytes: Uint8Array): number {
  let count = 0
  for (let at = bytes.indexOf(NEWLINE); at >= 0; at = bytes.indexOf(NEWLINE, at + 1)) count++
  return count
}

function plain(status: number, text: string): Response {
  return new Response(`${text}\n`, { status })
}
