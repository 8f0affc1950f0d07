/**
 * The crash loop: messages go in over SMTP while the mailer is killed with -9 again and again, and a smarthost
 * in this process writes down what arrives. Every message that got its 250 must arrive. Each that arrives
 * twice is explained, by the queue ids of its copies and the mailer's log: two ids mean that the client saw
 * no 250 and sent again; one id that was reported sent once, that the kill came before the smarthost's
 * last reply was seen. One id that was reported sent twice would be a bug.
 */
import { readFileSync } from 'node:fs'
import { SmtpDialogue, startMailerProcess } from './process.ts'
import { until } from '../peers/waiting.ts'
import { startSmarthost } from './smarthost.ts'

export interface CrashLoopResult {
  readonly accepted: number
  readonly kills: number
  /** Accepted with 250 and never arrived: must be empty. */
  readonly lost: readonly string[]
  /** Copies beyond the first, each with its cause. */
  readonly duplicates: readonly { readonly message: string; readonly cause: string }[]
  readonly seconds: number
}

export async function runCrashLoop(options: {
  messages: number
  kills: number
  clients: number
}): Promise<CrashLoopResult> {
  const start = performance.now()
  const smarthost = await startSmarthost()
  /** Message → queue ids of its copies. */
  const arrived = new Map<string, string[]>()
  let kills = 0
  const accepted = new Set<string>()
  const mailer = await startMailerProcess({ EMAIL_SERVER: `127.0.0.1:${smarthost.port}` })
  const collect = (): void => {
    for (const { text } of smarthost.received.splice(0)) {
      const message = /^Subject: (m\d+)/m.exec(text)?.[1] ?? 'unknown'
      const id = /^ by \S+ \(emon-metrics\) with \w+ id (\w+);/m.exec(text)?.[1] ?? 'none'
      arrived.set(message, [...(arrived.get(message) ?? []), id])
    }
  }
  const collecting = setInterval(collect, 5)
  let next = 0
  const client = async (): Promise<void> => {
    let dialogue: SmtpDialogue | undefined
    while (next < options.messages) {
      const message = `m${next++}`
      while (!accepted.has(message)) {
        dialogue = dialogue && !dialogue.isClosed ? dialogue : await connect(mailer.smtpPort)
        const reply = await sendOne(dialogue, message)
        if (reply.startsWith('250')) accepted.add(message)
        else {
          dialogue.close()
          dialogue = undefined
        }
      }
    }
    dialogue?.close()
  }
  const clients = Array.from({ length: options.clients }, client)
  for (let kill = 0; kill < options.kills; kill++) {
    // Spread over the messages: the next kill comes when its share has been accepted.
    const share = ((kill + 0.5) / options.kills) * options.messages
    await until(() => accepted.size >= share, { seconds: 120, what: 'progress' })
    kills++
    await mailer.kill('SIGKILL')
    await mailer.restart()
  }
  await Promise.all(clients)
  await until(() => ['active', 'deferred'].every((folder) => mailer.queued(folder).length === 0), {
    seconds: 60,
    what: 'an empty queue',
  })
  clearInterval(collecting)
  collect()
  const log = readFileSync(`${mailer.data}/log.d/mailer.log`, 'utf8')
  await mailer.dispose()
  await smarthost.stop()
  const lost = [...accepted].filter((message) => !arrived.has(message))
  const duplicates = [...arrived].flatMap(([message, ids]) =>
    ids.slice(1).map(() => ({ message, cause: explain(ids, log) })),
  )
  const seconds = (performance.now() - start) / 1000
  return { accepted: accepted.size, kills, lost, duplicates, seconds }
}

function explain(ids: readonly string[], log: string): string {
  if (new Set(ids).size === ids.length) {
    return 'killed after the commit, before the client had read its 250: it sent again'
  }
  const reports = log.match(new RegExp(` delivery id=${ids[0]} .* status=sent`, 'g'))?.length ?? 0
  return reports < ids.length
    ? 'killed after the smarthost had it, before its last reply was seen'
    : 'UNEXPLAINED'
}

async function connect(port: number): Promise<SmtpDialogue> {
  for (;;) {
    try {
      const dialogue = await SmtpDialogue.open(port)
      if ((await dialogue.say('EHLO client.test')).startsWith('250')) return dialogue
    } catch {
      // it is being restarted
    }
    await Bun.sleep(5)
  }
}

/** The last reply, '' when the connection ended before it. */
async function sendOne(dialogue: SmtpDialogue, message: string): Promise<string> {
  for (const line of ['MAIL FROM:<a@x.test>', 'RCPT TO:<b@y.test>', 'DATA']) {
    if (!/^[23]/.test(await dialogue.say(line))) return ''
  }
  return await dialogue.say(`Subject: ${message}\r\n\r\nthe body of ${message}\r\n.`)
}
