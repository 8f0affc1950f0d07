/** Real clients: swaks, smtp-source into smtp-sink, monit's alerts; and bad ones on real sockets. */
import { afterEach, describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { type MailerProcess, SmtpDialogue, startMailerProcess } from './process.ts'
import { until } from '../peers/waiting.ts'
import { type Smarthost, startSmarthost } from './smarthost.ts'
import { noSmtpTools, runSmtpSource, startSmtpSink } from './smtp-tools.ts'

const missing = {
  swaks: Bun.which('swaks') ? undefined : 'the Debian package swaks is not installed',
  monit: Bun.which('monit') ? undefined : 'the Debian package monit is not installed',
  tools: noSmtpTools(),
}
for (const [name, reason] of Object.entries(missing)) {
  if (reason !== undefined) console.log(`test/mailer/peers.test.ts without ${name}: ${reason}`)
}

const open: (() => Promise<unknown> | void)[] = []
afterEach(async () => {
  for (const close of open.splice(0).reverse()) await close()
})

function scratch(): string {
  const dir = mkdtempSync(join(tmpdir(), 'emon-peers-'))
  open.push(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function start(
  environment: Record<string, string> = {},
): Promise<{ mailer: MailerProcess; smarthost: Smarthost }> {
  const smarthost = await startSmarthost()
  open.push(() => smarthost.stop())
  const mailer = await startMailerProcess({
    EMAIL_SERVER: `127.0.0.1:${smarthost.port}`,
    ...environment,
  })
  open.push(() => mailer.dispose())
  return { mailer, smarthost }
}

describe.skipIf(missing.swaks !== undefined)('swaks', () => {
  const swaks = (port: number, ...words: string[]): { code: number; text: string } => {
    const common = ['--server', `127.0.0.1:${port}`, '--from', 'a@x.test', '--to', 'b@y.test']
    const run = Bun.spawnSync(['swaks', ...common, ...words])
    return { code: run.exitCode, text: run.stdout.toString() + run.stderr.toString() }
  }

  test('plain, and with pipelining', async () => {
    const { mailer, smarthost } = await start()
    expect(swaks(mailer.smtpPort).code).toBe(0)
    expect(swaks(mailer.smtpPort, '--pipeline', '--to', 'b@y.test,c@y.test').code).toBe(0)
    await until(() => smarthost.received.length === 2)
    expect(smarthost.received[1]!.recipients).toEqual(['b@y.test', 'c@y.test'])
  })

  test('STARTTLS and login', async () => {
    const dir = scratch()
    const { certFile, keyFile } = makeCertificate(dir)
    writeFileSync(
      `${dir}/emon.toml`,
      `[mailer]\ntls_cert = "${certFile}"\ntls_key = "${keyFile}"\nsmtp_user = "me"\nsmtp_password = "secret"\n`,
    )
    const { mailer, smarthost } = await start({ EMON_CONFIG: `${dir}/emon.toml` })
    const login = ['--auth-user', 'me', '--auth-password']
    expect(swaks(mailer.smtpPort, '--tls', ...login, 'secret', '--auth', 'PLAIN').code).toBe(0)
    expect(swaks(mailer.smtpPort, '--tls', ...login, 'secret', '--auth', 'LOGIN').code).toBe(0)
    expect(swaks(mailer.smtpPort, '--tls', ...login, 'wrong', '--auth', 'PLAIN').code).not.toBe(0)
    // Without TLS nobody is asked for a password.
    expect(swaks(mailer.smtpPort, ...login, 'secret', '--auth', 'PLAIN').code).not.toBe(0)
    await until(() => smarthost.received.length === 2)
    for (const { text } of smarthost.received) expect(text).toContain('with ESMTPSA id')
  }, 20_000)
})

test.skipIf(missing.tools !== undefined)(
  'smtp-source to smtp-sink, 8 sessions',
  async () => {
    const sink = await startSmtpSink()
    open.push(() => sink.stop())
    const { mailer } = await start({ EMAIL_SERVER: `127.0.0.1:${sink.port}` })
    await runSmtpSource({ port: mailer.smtpPort, sessions: 8, messages: 300, bytes: 1_500 })
    await until(() => sink.messages() === 300)
    await until(() => mailer.queued('active').length === 0)
  },
  20_000,
)

test.skipIf(missing.tools !== undefined)(
  'a server that hangs up or refuses now and then',
  async () => {
    const sink = await startSmtpSink({ more: ['-r', 'rcpt', '-N'] })
    open.push(() => sink.stop())
    const { mailer } = await start({ EMAIL_SERVER: `127.0.0.1:${sink.port}` })
    await runSmtpSource({ port: mailer.smtpPort, sessions: 2, messages: 20, bytes: 500 })
    await until(() => mailer.queued('deferred').length === 20)
    expect(sink.messages()).toBe(0)
  },
  20_000,
)

test.skipIf(missing.monit !== undefined)(
  'monit mails its alerts through it',
  async () => {
    const dir = scratch()
    const { mailer, smarthost } = await start({ EMAIL_ALERT_ADDR: 'ops@y.test' })
    writeFileSync(
      `${dir}/monitrc`,
      `set daemon 1
set log ${dir}/log
set pidfile ${dir}/pid
set idfile ${dir}/id
set statefile ${dir}/state
set mailserver 127.0.0.1 port ${mailer.smtpPort} with timeout 3 seconds
set mail-format {
  from: monit@localhost
  subject: [emon] $SERVICE $EVENT
}
set alert root@localhost
check program broken with path "/bin/false"
  if status != 0 then alert
`,
      { mode: 0o600 },
    )
    const monit = Bun.spawn(['monit', '-I', '-c', `${dir}/monitrc`], {
      stdio: ['ignore', 'ignore', 'ignore'],
    })
    open.push(async () => {
      monit.kill()
      await monit.exited
    })
    const alert = (): string | undefined =>
      smarthost.received.find(({ text }) => text.includes('Subject: [emon] broken'))?.text
    await until(() => alert() !== undefined, { seconds: 15 })
    for (const { recipients } of smarthost.received) expect(recipients).toEqual(['ops@y.test'])
  },
  30_000,
)

describe('bad clients', () => {
  test('one that stops mid-DATA costs nothing', async () => {
    const { mailer } = await start()
    const client = await SmtpDialogue.open(mailer.smtpPort)
    await client.say('EHLO x')
    await client.say('MAIL FROM:<a@x.test>')
    await client.say('RCPT TO:<b@y.test>')
    await client.say('DATA')
    client.write(`Subject: half\r\n\r\n${'x'.repeat(400_000)}`)
    await until(() => mailer.queued('active').length === 1)
    client.close()
    await until(() => mailer.queued('active').length === 0)
  })

  test('a message of 100 MB is refused, without being kept in memory', async () => {
    const { mailer } = await start()
    const client = await SmtpDialogue.open(mailer.smtpPort)
    await client.say('EHLO x')
    await client.say('MAIL FROM:<a@x.test>')
    await client.say('RCPT TO:<b@y.test>')
    await client.say('DATA')
    await client.writeAll('Subject: big\r\n\r\n')
    const piece = `${'x'.repeat(998)}\r\n`.repeat(1_000)
    for (let i = 0; i < 100; i++) await client.writeAll(piece)
    expect(await client.say('.')).toStartWith('552 5.3.4')
    expect(mailer.queued('active')).toEqual([])
    const status = await Bun.file(`/proc/${mailer.pid}/status`).text()
    expect(Number(/^VmHWM:\s+(\d+)/m.exec(status)![1])).toBeLessThan(200_000)
    client.close()
  }, 30_000)

  test('more connections than allowed are told to come later', async () => {
    const dir = scratch()
    writeFileSync(`${dir}/emon.toml`, '[mailer]\nconnections_max = 3\n')
    const { mailer } = await start({ EMON_CONFIG: `${dir}/emon.toml` })
    const clients = await Promise.all([1, 2, 3, 4].map(() => SmtpDialogue.open(mailer.smtpPort)))
    await until(() => clients.some((client) => client.isClosed))
    expect(clients.filter((client) => client.isClosed)).toHaveLength(1)
    for (const client of clients) client.close()
  })
})
