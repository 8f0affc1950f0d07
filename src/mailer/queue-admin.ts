/**
 * What people do with the queue, over run/mailer-admin.sock: `bun run mailq …` is the client.
 *
 * ```
 * GET    /queue            every message, a JSON object a line (fields as postqueue -j has them)
 * POST   /queue/flush      try everything that waits now
 * GET    /queue/message?id=ID             the message as it is kept
 * POST   /queue/hold?id=ID | ?id=ALL      set aside
 * POST   /queue/release?id=ID | ?id=ALL   back to be tried now
 * DELETE /queue/message?id=ID | ?id=ALL   gone
 * ```
 *
 * A message that is being tried right now is left alone (409): it may just have been delivered.
 */

import type { AdminRoute } from '../ipc/admin.ts'
import type { Log } from '../lib/log.ts'
import type { Delivery } from './delivery.ts'
import type { MailQueue, QueueEntry } from './mail-queue.ts'

export interface QueueAdminOptions {
  readonly queue: MailQueue
  readonly delivery: Delivery
  readonly log: Log
}

/** What is known of one message; times in Unix seconds. */
export interface QueueRow {
  readonly queue_name: string
  readonly queue_id: string
  readonly arrival_time: number
  readonly message_size: number
  readonly sender: string
  readonly origin: string
  readonly attempts: number
  readonly next_attempt: number
  readonly recipients: readonly { readonly address: string; readonly delay_reason?: string }[]
}

const ALL = 'ALL'

export function addQueueRoutes(routes: Map<string, AdminRoute>, options: QueueAdminOptions): void {
  const { queue, delivery, log } = options
  routes.set('GET /queue', () => listing(options))
  routes.set('POST /queue/flush', () => {
    const count = delivery.flush()
    log.info('flushed by hand', { messages: count })
    return new Response(`${count} to be tried\n`)
  })
  routes.set('GET /queue/message', (_, url) => {
    const entry = queue.entries.get(url.searchParams.get('id') ?? '')
    const file = entry && queue.load(entry)
    return file ? new Response(Buffer.concat([...file.chunks()])) : unknown(url)
  })
  routes.set('POST /queue/hold', (_, url) =>
    each(url, options, 'hold', (entry) => hold(queue, entry)),
  )
  routes.set('POST /queue/release', (_, url) =>
    each(url, options, 'release', (entry) => {
      if (entry.folder !== 'hold') return false
      entry.nextAttemptMs = 0
      queue.move(entry, 'deferred')
      return true
    }),
  )
  routes.set('DELETE /queue/message', (_, url) =>
    each(url, options, 'delete', (entry) => {
      queue.remove(entry)
      return true
    }),
  )
}

function hold(queue: MailQueue, entry: QueueEntry): boolean {
  if (entry.folder === 'hold') return false
  queue.move(entry, 'hold')
  return true
}

/** Does it to one message or to all; says how many it was done to. */
function each(
  url: URL,
  { queue, delivery, log }: QueueAdminOptions,
  verb: string,
  run: (entry: QueueEntry) => boolean,
): Response {
  const id = url.searchParams.get('id') ?? ''
  const chosen = id === ALL ? [...queue.entries.values()] : [queue.entries.get(id)]
  let count = 0
  for (const entry of chosen) {
    if (!entry) return unknown(url)
    if (delivery.isActive(entry.id)) {
      if (id === ALL) continue
      return new Response(`${entry.id} is being tried right now\n`, { status: 409 })
    }
    if (run(entry)) count++
  }
  log.info(`${verb} by hand`, { id, messages: count })
  return new Response(`${verb}: ${count}\n`)
}

function unknown(url: URL): Response {
  return new Response(`there is no message ${url.searchParams.get('id') ?? ''}\n`, { status: 404 })
}

/** A line a message, made while it is read: the queue may be long. */
function listing(options: QueueAdminOptions): Response {
  const { queue } = options
  const ids = [...queue.entries.keys()].sort()
  const encoder = new TextEncoder()
  let next = 0
  const stream = new ReadableStream<Uint8Array>({
    pull(controller) {
      let text = ''
      for (const end = Math.min(next + 100, ids.length); next < end; next++) {
        const entry = queue.entries.get(ids[next]!)
        const row = entry && describe(entry, options)
        if (row) text += `${JSON.stringify(row)}\n`
      }
      if (text !== '') controller.enqueue(encoder.encode(text))
      if (next >= ids.length) controller.close()
    },
  })
  return new Response(stream, { headers: { 'content-type': 'application/x-ndjson' } })
}

function describe(entry: QueueEntry, { queue, delivery }: QueueAdminOptions): QueueRow | undefined {
  const file = queue.load(entry)
  if (!file) return undefined
  const { from, recipients, origin } = file.envelope
  const pending = file.state?.pending ?? recipients.map((address) => ({ address }))
  return {
    queue_name: delivery.isActive(entry.id) ? 'active' : entry.folder,
    queue_id: entry.id,
    arrival_time: Math.floor(entry.arrivalMs / 1000),
    message_size: entry.bytes,
    sender: from,
    origin,
    attempts: entry.attempts,
    next_attempt: Math.floor(entry.nextAttemptMs / 1000),
    recipients: pending.map((recipient) =>
      'reason' in recipient && recipient.reason !== undefined
        ? { address: recipient.address, delay_reason: recipient.reason }
        : { address: recipient.address },
    ),
  }
}
