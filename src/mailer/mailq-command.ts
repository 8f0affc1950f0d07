/**
 * `bun run mailq [flush | show ID | hold ID | release ID | delete ID | json]`: looks at the queue of the
 * running mailer, or changes it; ID may be ALL. Without a word it prints what Postfix's mailq prints.
 */

import { loadConfig } from '../config.ts'
import { realDisk } from '../lib/disk.ts'
import type { QueueRow } from './queue-admin.ts'
import { Exit } from './sendmail.ts'

const USAGE =
  'usage: mailq [json | flush | show ID | hold ID | release ID | delete ID]; ID may be ALL'

const REQUESTS: Readonly<
  Record<string, readonly [method: string, path: string, takesId: boolean]>
> = {
  json: ['GET', '/queue', false],
  flush: ['POST', '/queue/flush', false],
  show: ['GET', '/queue/message', true],
  hold: ['POST', '/queue/hold', true],
  release: ['POST', '/queue/release', true],
  delete: ['DELETE', '/queue/message', true],
}

export async function runMailq(words: readonly string[]): Promise<number> {
  const [verb = 'list', id] = words
  const request = REQUESTS[verb === 'list' ? 'json' : verb]
  if (!request || words.length > 2 || request[2] !== (id !== undefined))
    return fail(Exit.usage, USAGE)
  const loaded = loadConfig({ environment: process.env, disk: realDisk })
  if (!loaded.ok) return fail(Exit.temporary, loaded.error.join('\n'))
  const [method, path] = request
  const query = id === undefined ? '' : `?id=${encodeURIComponent(id)}`
  let answer: Response
  try {
    answer = await fetch(`http://mailer${path}${query}`, {
      method,
      unix: `${loaded.value.run}/mailer-admin.sock`,
    })
  } catch {
    return fail(Exit.unavailable, `the mailer of ${loaded.value.data} does not answer`)
  }
  if (!answer.ok) return fail(Exit.unavailable, (await answer.text()).trim())
  // Bun.write, because process.stdout would be cut short by the exit that follows.
  if (verb === 'list') await Bun.write(Bun.stdout, printQueue(parseRows(await answer.text())))
  else await Bun.write(Bun.stdout, await answer.arrayBuffer())
  return Exit.ok
}

function parseRows(text: string): QueueRow[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as QueueRow)
}

/** Postfix's layout: after the id, * is being tried, ! is on hold. */
export function printQueue(rows: readonly QueueRow[]): string {
  if (rows.length === 0) return 'Mail queue is empty\n'
  let text = '-Queue ID-      --Size-- ----Arrival Time---- -Sender/Recipient-------\n'
  let bytes = 0
  for (const row of rows) {
    const mark = { active: '*', hold: '!' }[row.queue_name] ?? ' '
    const arrival = new Date(row.arrival_time * 1000).toUTCString().slice(0, 25)
    const size = String(row.message_size).padStart(8)
    bytes += row.message_size
    text += `${(row.queue_id + mark).padEnd(15)} ${size} ${arrival.slice(5)} ${row.sender || 'MAILER-DAEMON'}\n`
    for (const { address, delay_reason: why } of row.recipients) {
      if (why !== undefined) text += `${' '.repeat(4)}(${why})\n`
      text += `${' '.repeat(46)}${address}\n`
    }
    text += '\n'
  }
  const requests = rows.length === 1 ? '1 Request' : `${rows.length} Requests`
  return `${text}-- ${Math.ceil(bytes / 1024)} Kbytes in ${requests}.\n`
}

function fail(code: number, text: string): number {
  process.stderr.write(`${text}\n`)
  return code
}
