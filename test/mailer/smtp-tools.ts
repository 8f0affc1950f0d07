/** smtp-source and smtp-sink, Postfix's load tools. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SBIN } from './postfix.ts'
import { freePort, until } from '../peers/waiting.ts'

export function noSmtpTools(): string | undefined {
  const found = Bun.which('smtp-source', { PATH: SBIN }) && Bun.which('smtp-sink', { PATH: SBIN })
  return found ? undefined : 'smtp-source and smtp-sink (Debian package postfix) are not installed'
}

export interface SmtpSink {
  readonly port: number
  /** Messages taken so far. */
  messages(): number
  stop(): Promise<void>
}

export async function startSmtpSink(
  options: { port?: number; more?: readonly string[] } = {},
): Promise<SmtpSink> {
  const dir = mkdtempSync(join(tmpdir(), 'emon-sink-'))
  const port = options.port ?? freePort()
  const user = process.getuid?.() === 0 ? ['-u', 'nobody'] : []
  const child = Bun.spawn(
    ['smtp-sink', ...user, '-c', ...(options.more ?? []), `127.0.0.1:${port}`, '256'],
    {
      env: { ...process.env, PATH: SBIN },
      stdio: ['ignore', Bun.file(`${dir}/out`), 'ignore'],
    },
  )
  await until(async () => {
    const socket = await Bun.connect({ hostname: '127.0.0.1', port, socket: { data() {} } })
    socket.end()
    return true
  })
  return {
    port,
    messages() {
      const text = readFileSync(`${dir}/out`, 'latin1')
      return Number(/mesg=(\d+)(?!.*mesg=)/s.exec(text.slice(-200))?.[1] ?? 0)
    },
    async stop() {
      child.kill()
      await child.exited
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

export interface SourceOptions {
  readonly port: number
  readonly sessions: number
  readonly messages: number
  readonly bytes: number
}

/** Runs to its end; throws when a message was refused. */
export async function runSmtpSource(options: SourceOptions): Promise<void> {
  const { port, sessions, messages, bytes } = options
  const words =
    `-d -s ${sessions} -m ${messages} -l ${bytes} -f alert@example.test -t ops@example.test ` +
    `127.0.0.1:${port}`
  const child = Bun.spawn(['smtp-source', ...words.split(' ')], {
    env: { ...process.env, PATH: SBIN },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const problem = await new Response(child.stderr).text()
  if ((await child.exited) !== 0) throw new Error(`smtp-source: ${problem}`)
}
