/** A real mailer process in a temporary folder, and the clients that talk to it. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FrameReader } from '../../src/ipc/frame-format.ts'
import {
  decodeAnswer,
  encodeMail,
  type MailAnswer,
  type MailEnvelope,
} from '../../src/ipc/mail-protocol.ts'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { freePort, until } from '../peers/waiting.ts'

const ROOT = `${import.meta.dir}/../..`

export interface MailerProcess {
  readonly data: string
  readonly smtpPort: number
  readonly pid: number
  readonly log: () => Promise<string>
  /** Names of the files in a queue folder. */
  readonly queued: (folder: string) => string[]
  readonly admin: (method: string, path: string) => Promise<Response>
  kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGHUP'): Promise<void>
  restart(environment?: Readonly<Record<string, string>>): Promise<void>
  /** Ends it and removes its folder. */
  dispose(): Promise<void>
}

export async function startMailerProcess(
  environment: Readonly<Record<string, string>> = {},
): Promise<MailerProcess> {
  const data = mkdtempSync(join(tmpdir(), 'emon-mailer-'))
  const smtpPort = freePort()
  let running = await spawn(data, smtpPort, environment)
  return {
    data,
    smtpPort,
    get pid() {
      return running.pid
    },
    log: () => Bun.file(`${data}/log`).text(),
    queued: (folder) => readdirSync(`${data}/queue/${folder}`),
    admin: (method, path) =>
      fetch(`http://mailer${path}`, { method, unix: `${data}/run/mailer-admin.sock` }),
    async kill(signal) {
      running.kill(signal)
      if (signal !== 'SIGHUP') await running.exited
    },
    async restart(other = environment) {
      running = await spawn(data, smtpPort, other)
    },
    async dispose() {
      running.kill('SIGKILL')
      await running.exited
      rmSync(data, { recursive: true, force: true })
    },
  }
}

async function spawn(
  data: string,
  smtpPort: number,
  environment: Readonly<Record<string, string>>,
): Promise<Bun.Subprocess> {
  const child = Bun.spawn([process.execPath, 'scripts/mailer.ts'], {
    cwd: ROOT,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      EMON_DATA: data,
      EMON_SMTP_PORT: String(smtpPort),
      EMON_LOG_DIR: `${data}/log.d`,
      ...environment,
    },
    stdio: ['ignore', 'ignore', 'ignore'],
  })
  await until(async () => {
    if (child.exitCode !== null) return true
    const answer = await fetch('http://mailer/readyz', { unix: `${data}/run/mailer-admin.sock` })
    return answer.ok
  })
  if (child.exitCode !== null) {
    rmSync(data, { recursive: true, force: true })
    throw new Error(`mailer ended with ${child.exitCode}`)
  }
  return child
}

/** Gives one message to mail.sock. */
export async function sendToMailSocket(
  data: string,
  envelope: MailEnvelope,
  message: string,
): Promise<MailAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<MailAnswer>()
  const reader = new FrameReader({
    bytesMax: 1024 * 1024,
    onFrame: ({ payload }) => resolve(decodeAnswer(payload)),
  })
  let rest = encodeMail(envelope, toUtf8(message))
  const push = (socket: Bun.Socket): void => {
    rest = rest.subarray(socket.write(rest))
  }
  const socket = await Bun.connect({
    unix: `${data}/run/mail.sock`,
    socket: {
      open: push,
      drain: push,
      data: (_, bytes) => reader.feed(bytes),
      close: () => reject(new Error('mail.sock was closed')),
      error: (_, error) => reject(error),
    },
  })
  const answer = await promise
  socket.end()
  return answer
}

/** A client that says what it is told, line by line, and collects the replies. */
export class SmtpDialogue {
  private text = ''
  private closed = false
  private socket: Bun.Socket | undefined
  private drained: (() => void) | undefined

  static async open(port: number): Promise<SmtpDialogue> {
    const dialogue = new SmtpDialogue()
    dialogue.socket = await Bun.connect({
      hostname: '127.0.0.1',
      port,
      socket: {
        data: (_, bytes) => void (dialogue.text += bytes.toString()),
        drain: () => dialogue.drained?.(),
        close: () => void (dialogue.closed = true),
        error: () => void (dialogue.closed = true),
      },
    })
    await dialogue.reply()
    return dialogue
  }

  write(bytes: string | Uint8Array): void {
    this.socket?.write(bytes)
  }

  /** As `write`, however long it takes the other end to read it. */
  async writeAll(text: string): Promise<void> {
    let rest = Buffer.from(text)
    while (rest.length > 0 && !this.closed) {
      rest = rest.subarray(this.socket!.write(rest))
      if (rest.length > 0) await new Promise<void>((resolve) => (this.drained = resolve))
    }
  }

  /** Says a line and returns the reply, all its lines. */
  async say(line: string): Promise<string> {
    this.write(`${line}\r\n`)
    return await this.reply()
  }

  async reply(): Promise<string> {
    await until(() => /^\d{3}(?: .*)?\r\n/m.test(this.text) || this.closed, { what: 'a reply' })
    const end = /^\d{3}(?: .*)?\r\n/m.exec(this.text)
    if (!end) return ''
    const reply = this.text.slice(0, end.index + end[0].length)
    this.text = this.text.slice(reply.length)
    return reply
  }

  get isClosed(): boolean {
    return this.closed
  }

  close(): void {
    this.socket?.end()
  }
}
