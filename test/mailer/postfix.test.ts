/** Debian's Postfix as the smarthost: STARTTLS and SASL, greylisting, recipients that fail one by one. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Certificate, makeCertificate } from './certificate.ts'
import { noPostfix, type Postfix, startPostfix } from './postfix.ts'
import { sendToMailSocket, startMailerProcess } from './process.ts'
import { until } from '../peers/waiting.ts'
import { type Smarthost, startSmarthost } from './smarthost.ts'

const missing = noPostfix()
if (missing !== undefined) console.log(`test/mailer/postfix.test.ts skipped: ${missing}`)

const FORGETFUL =
  'gone@y.test REJECT 5.1.1 nobody of that name\nfull@y.test 452 4.2.2 mailbox full\n'

describe.skipIf(missing !== undefined)('through Postfix', () => {
  let dir = ''
  let certificate: Certificate
  let postfix: Postfix
  /** Where Postfix passes mail on to: what arrives there has come all the way. */
  let end: Smarthost
  let greylist: Greylist
  let passwords: { port: number; stop(): void }

  beforeAll(async () => {
    dir = mkdtempSync(join(tmpdir(), 'emon-mailer-tls-'))
    chmodSync(dir, 0o755)
    certificate = makeCertificate(dir)
    end = await startSmarthost()
    greylist = startGreylist()
    passwords = startPasswordServer({ user: 'emon@postfix.test', password: 'secret' })
    writeFileSync(`${dir}/access`, FORGETFUL)
    postfix = await startPostfix({
      relayhost: `[127.0.0.1]:${end.port}`,
      mynetworks: '192.0.2.0/24',
      smtpd_tls_cert_file: certificate.certFile,
      smtpd_tls_key_file: certificate.keyFile,
      smtpd_tls_security_level: 'may',
      smtpd_tls_auth_only: 'yes',
      smtpd_sasl_auth_enable: 'yes',
      smtpd_sasl_type: 'dovecot',
      smtpd_sasl_path: `inet:127.0.0.1:${passwords.port}`,
      smtpd_relay_restrictions: 'permit_sasl_authenticated, reject',
      smtpd_recipient_restrictions: `check_recipient_access texthash:${dir}/access, check_policy_service inet:127.0.0.1:${greylist.port}, permit_sasl_authenticated, reject`,
    })
  }, 30_000)

  afterAll(async () => {
    await postfix?.stop()
    await end?.stop()
    greylist?.stop()
    passwords?.stop()
    rmSync(dir, { recursive: true, force: true })
  })

  async function withMailer(
    environment: Record<string, string>,
    use: (mailer: Awaited<ReturnType<typeof startMailerProcess>>) => Promise<void>,
  ): Promise<void> {
    writeFileSync(
      `${dir}/emon.toml`,
      `[mailer]\ntls = "verify"\ntls_ca = "${certificate.certFile}"\n`,
    )
    const mailer = await startMailerProcess({
      EMON_CONFIG: `${dir}/emon.toml`,
      EMAIL_SERVER: `localhost:${postfix.port}`,
      EMAIL_USER: 'emon@postfix.test',
      EMAIL_PASS: 'secret',
      ...environment,
    })
    end.received.length = 0
    try {
      await use(mailer)
    } finally {
      await mailer.dispose()
    }
  }

  test('STARTTLS with a checked certificate, and SASL', async () => {
    await withMailer({}, async ({ data }) => {
      const envelope = { from: 'a@x.test', recipients: ['b@y.test'] }
      await sendToMailSocket(data, envelope, 'Subject: hello\n\nover TLS\n')
      await until(() => end.received.length === 1)
      expect(end.received[0]).toMatchObject({ from: 'a@x.test', recipients: ['b@y.test'] })
      const log = await postfix.log()
      expect(log).toMatch(/sasl_method=PLAIN, sasl_username=emon@postfix\.test/)
    })
  }, 20_000)

  test('a certificate that nobody vouches for: waits, says why, and goes with `encrypt`', async () => {
    await withMailer(
      { EMON_CONFIG: '/dev/null', EMON_MAIL_TLS: 'verify' },
      async ({ data, queued }) => {
        const envelope = { from: 'a@x.test', recipients: ['b@y.test'] }
        await sendToMailSocket(data, envelope, 'Subject: hello\n\nx\n')
        await until(() => queued('deferred').length === 1)
        expect(end.received).toEqual([])
      },
    )
    await withMailer({ EMON_CONFIG: '/dev/null', EMON_MAIL_TLS: 'encrypt' }, async ({ data }) => {
      const envelope = { from: 'a@x.test', recipients: ['b@y.test'] }
      await sendToMailSocket(data, envelope, 'Subject: hello\n\nx\n')
      await until(() => end.received.length === 1)
    })
  }, 30_000)

  test('a wrong password makes mail wait, not bounce', async () => {
    await withMailer({ EMAIL_PASS: 'wrong' }, async (mailer) => {
      const envelope = { from: 'a@x.test', recipients: ['b@y.test'] }
      await sendToMailSocket(mailer.data, envelope, 'Subject: hello\n\nx\n')
      await until(() => mailer.queued('deferred').length === 1)
      const rows = await (await mailer.admin('GET', '/queue')).text()
      expect(rows).toContain('535 5.7.8')
      expect(end.received).toEqual([])
      await mailer.kill('SIGTERM')
      await mailer.restart({
        EMON_CONFIG: `${dir}/emon.toml`,
        EMAIL_SERVER: `localhost:${postfix.port}`,
        EMAIL_USER: 'emon@postfix.test',
        EMAIL_PASS: 'secret',
      })
      expect((await mailer.admin('POST', '/queue/flush')).ok).toBe(true)
      await until(() => end.received.length === 1)
    })
  }, 30_000)

  test('greylisting only delays', async () => {
    await withMailer({}, async ({ data, queued }) => {
      greylist.refuse('grey@y.test')
      const envelope = { from: 'a@x.test', recipients: ['grey@y.test', 'white@y.test'] }
      await sendToMailSocket(data, envelope, 'Subject: hello\n\nx\n')
      await until(() => end.received.length === 1)
      expect(end.received[0]!.recipients).toEqual(['white@y.test'])
      await until(() => end.received.length === 2, { seconds: 15 })
      expect(end.received[1]!.recipients).toEqual(['grey@y.test'])
      await until(() => queued('deferred').length === 0)
    })
  }, 30_000)

  test('each recipient for itself: sent, returned, kept', async () => {
    await withMailer({}, async ({ data, admin }) => {
      const recipients = ['good@y.test', 'gone@y.test', 'full@y.test']
      await sendToMailSocket(data, { from: 'me@x.test', recipients }, 'Subject: hello\n\nx\n')
      await until(() => end.received.length === 2)
      const delivered = end.received.find(({ from }) => from === 'me@x.test')
      expect(delivered?.recipients).toEqual(['good@y.test'])
      const report = end.received.find(({ from }) => from === '')
      expect(report?.recipients).toEqual(['me@x.test'])
      expect(report?.text).toContain('Final-Recipient: rfc822; gone@y.test')
      expect(report?.text).toContain('Status: 5.1.1')
      const rows = await (await admin('GET', '/queue')).text()
      expect(rows).toContain('"address":"full@y.test","delay_reason":"4.2.2 452 4.2.2')
      expect(rows).not.toContain('good@y.test')
    })
  }, 30_000)
})

/** Dovecot's authentication protocol, as much of it as Postfix needs for PLAIN. */
function startPasswordServer(known: { user: string; password: string }): {
  port: number
  stop(): void
} {
  const server = Bun.listen<{ text: string }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open(socket) {
        socket.data = { text: '' }
        socket.write('VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nDONE\n')
      },
      data(socket, bytes) {
        socket.data.text += bytes.toString()
        const lines = socket.data.text.split('\n')
        socket.data.text = lines.pop()!
        for (const line of lines) {
          const request = /^AUTH\t(\d+)\t.*\tresp=(\S+)/.exec(line)
          if (!request) continue
          const [, user, password] = Buffer.from(request[2]!, 'base64').toString().split('\0')
          const good = user === known.user && password === known.password
          socket.write(`${good ? 'OK' : 'FAIL'}\t${request[1]}\tuser=${user}\n`)
        }
      },
    },
  })
  return { port: server.port, stop: () => server.stop(true) }
}

interface Greylist {
  readonly port: number
  /** The next attempt for this recipient is put off. */
  refuse(recipient: string): void
  stop(): void
}

/** Postfix's policy protocol (SMTPD_POLICY_README): name=value lines, an empty line, an action back. */
function startGreylist(): Greylist {
  const refused = new Set<string>()
  const server = Bun.listen<{ text: string }>({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      open: (socket) => void (socket.data = { text: '' }),
      data(socket, bytes) {
        socket.data.text += bytes.toString()
        const requests = socket.data.text.split('\n\n')
        socket.data.text = requests.pop()!
        for (const request of requests) {
          const recipient = /^recipient=(.*)$/m.exec(request)?.[1] ?? ''
          const later = refused.delete(recipient)
          socket.write(`action=${later ? '450 4.2.0 greylisted, come back' : 'DUNNO'}\n\n`)
        }
      },
    },
  })
  return {
    port: server.port,
    refuse: (recipient) => void refused.add(recipient),
    stop: () => server.stop(true),
  }
}
