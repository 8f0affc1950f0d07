/**
 * Runs sendmail(1): reads standard input, tries the ways in order, answers the exit code. What went wrong
 * goes to standard error, in a line.
 */

import { hostname } from 'node:os'
import { loadConfig } from '../config.ts'
import { fromUtf8 } from '../lib/bytes.ts'
import { systemClock } from '../lib/clock.ts'
import { realDisk } from '../lib/disk.ts'
import { reason } from '../lib/log.ts'
import { composeSubmission, Exit, exitCode, parseArguments } from './sendmail.ts'
import { type Submission, submitToDrop, submitToPort, submitToSocket } from './submit-client.ts'
import { runMailq } from './mailq-command.ts'

const LINGER_MS = 10_000

export async function runSendmail(words: readonly string[]): Promise<number> {
  const command = parseArguments(words)
  if (!command.ok) return complain(Exit.usage, command.error)
  const { mode } = command.value
  if (mode === 'list') return await runMailq([])
  if (mode === 'flush') return await runMailq(['flush'])
  const loaded = loadConfig({ environment: process.env, disk: realDisk })
  if (!loaded.ok) return complain(Exit.temporary, loaded.error.join('; '))
  const { mailer, data, run } = loaded.value
  if (mode === 'smtp') return await talkSmtp(mailer.smtp_port)
  const input = new Uint8Array(await Bun.stdin.arrayBuffer())
  if (input.length > mailer.message_size_max) {
    return complain(Exit.dataError, `message over ${mailer.message_size_max} bytes`)
  }
  const submission = composeSubmission(command.value, input, {
    user: userName(),
    hostname: mailer.hostname ?? hostname(),
  })
  if (!submission.ok) return complain(Exit.usage, submission.error)
  const answer =
    (await submitToSocket(`${run}/mail.sock`, submission.value, systemClock)) ??
    (await submitToPort('127.0.0.1', mailer.smtp_port, submission.value)) ??
    drop(`${data}/queue/drop`, submission.value)
  if (typeof answer === 'string') return complain(Exit.temporary, answer)
  return answer.ok ? Exit.ok : complain(exitCode(answer), answer.text)
}

/** Of whoever runs this, by /etc/passwd: cron's environment may not say. */
function userName(): string {
  const uid = String(process.getuid?.() ?? '')
  const users = fromUtf8(realDisk.readFile('/etc/passwd')).split('\n')
  const mine = users.map((line) => line.split(':')).find((fields) => fields[2] === uid)
  return mine?.[0] ?? `uid${uid}`
}

function drop(dir: string, submission: Submission): ReturnType<typeof submitToDrop> | string {
  try {
    return submitToDrop(dir, submission, { disk: realDisk, clock: systemClock })
  } catch (error) {
    return `the mailer is not there, and the message cannot be left in ${dir}: ${reason(error)}`
  }
}

/** -bs: standard input and output are the SMTP port. */
async function talkSmtp(port: number): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<number>()
  let printed: Promise<unknown> = Promise.resolve()
  try {
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        data(_, bytes) {
          const copy = bytes.slice()
          printed = printed.then(() => Bun.write(Bun.stdout, copy))
        },
        close: () => void printed.then(() => resolve(Exit.ok)),
        error: () => resolve(Exit.temporary),
      },
    })
    for await (const bytes of Bun.stdin.stream()) socket.write(bytes)
    // After QUIT the mailer hangs up; without it nobody waits for ever.
    systemClock.after(LINGER_MS, () => socket.end())
  } catch {
    return complain(Exit.temporary, `nobody listens on 127.0.0.1:${port}`)
  }
  return await promise
}

function complain(code: number, text: string): number {
  process.stderr.write(`sendmail: ${text}\n`)
  return code
}
