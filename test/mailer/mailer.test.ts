/** The real process between real sockets: in by SMTP and mail.sock, out to a smarthost, killed on the way. */
import { afterEach, describe, expect, test } from 'bun:test'
import { statSync } from 'node:fs'
import {
  type MailerProcess,
  sendToMailSocket,
  SmtpDialogue,
  startMailerProcess,
} from './process.ts'
import { until } from '../peers/waiting.ts'
import { type Smarthost, startSmarthost } from './smarthost.ts'

const open: { dispose?: () => Promise<void>; stop?: () => Promise<void> }[] = []

afterEach(async () => {
  for (const thing of open.splice(0)) await (thing.dispose?.() ?? thing.stop?.())
})

async function start(environment: Record<string, string> = {}): Promise<{
  mailer: MailerProcess
  smarthost: Smarthost
}> {
  const smarthost = await startSmarthost()
  const mailer = await startMailerProcess({
    EMAIL_SERVER: `127.0.0.1:${smarthost.port}`,
    ...environment,
  })
  open.push(mailer, smarthost)
  return { mailer, smarthost }
}

async function sendBySmtp(port: number, subject: string): Promise<string> {
  const client = await SmtpDialogue.open(port)
  await client.say('EHLO client.test')
  await client.say('MAIL FROM:<monit@x.test>')
  await client.say('RCPT TO:<ops@y.test>')
  await client.say('DATA')
  const reply = await client.say(`Subject: ${subject}\r\n\r\n..dots\r\nbody\r\n.`)
  client.close()
  return reply
}

describe('mailer', () => {
  test('SMTP in, smarthost out', async () => {
    const { mailer, smarthost } = await start()
    expect(await sendBySmtp(mailer.smtpPort, 'disk full')).toMatch(/^250 2\.0\.0 queued as \w+\r\n/)
    await until(() => smarthost.received.length === 1)
    const [mail] = smarthost.received
    expect(mail).toMatchObject({ from: 'monit@x.test', recipients: ['ops@y.test'] })
    expect(mail?.text).toContain('Subject: disk full\r\n')
    expect(mail?.text).toMatch(/^Received: from client\.test \(\[127\.0\.0\.1\]\)\r\n/)
    expect(mail?.text).toEndWith('\r\n\r\n.dots\r\nbody\r\n')
    await until(() => mailer.queued('active').length === 0)
  })

  test('mail.sock in, with the sender’s uid', async () => {
    const { mailer, smarthost } = await start()
    expect(statSync(`${mailer.data}/run/mail.sock`).mode & 0o777).toBe(0o666)
    const envelope = { from: 'root', recipients: ['ops@y.test'] }
    const answer = await sendToMailSocket(mailer.data, envelope, 'Subject: hello\n\nline\n.\nend')
    expect(answer).toMatchObject({ ok: true })
    await until(() => smarthost.received.length === 1)
    const text = smarthost.received[0]!.text
    expect(text).toContain(`with local (uid ${process.getuid!()})`)
    expect(text).toEndWith('\r\n\r\nline\r\n.\r\nend\r\n')
  })

  test('EMAIL_ALERT_ADDR takes every mail', async () => {
    const { mailer, smarthost } = await start({ EMAIL_ALERT_ADDR: 'alerts@z.test' })
    await sendBySmtp(mailer.smtpPort, 'anything')
    await until(() => smarthost.received.length === 1)
    expect(smarthost.received[0]!.recipients).toEqual(['alerts@z.test'])
  })

  test('waits for a smarthost that is down, through a kill -9', async () => {
    const smarthost = await startSmarthost()
    await smarthost.stop()
    const mailer = await startMailerProcess({ EMAIL_SERVER: `127.0.0.1:${smarthost.port}` })
    open.push(mailer)
    expect(await sendBySmtp(mailer.smtpPort, 'first')).toStartWith('250')
    await until(() => mailer.queued('deferred').length === 1)
    await mailer.kill('SIGKILL')
    await mailer.restart()
    expect(await sendBySmtp(mailer.smtpPort, 'second')).toStartWith('250')
    const back = await startSmarthost({ port: smarthost.port })
    open.push(back)
    await until(() => back.received.length === 2, { seconds: 15 })
    const subjects = back.received.map(({ text }) => /Subject: (\w+)/.exec(text)?.[1])
    expect(new Set(subjects)).toEqual(new Set(['first', 'second']))
  }, 30_000)

  test('HUP takes a new smarthost without dropping a connection', async () => {
    const { mailer, smarthost } = await start()
    const client = await SmtpDialogue.open(mailer.smtpPort)
    await client.say('EHLO client.test')
    await mailer.kill('SIGHUP')
    await client.say('MAIL FROM:<a@x.test>')
    await client.say('RCPT TO:<b@y.test>')
    await client.say('DATA')
    expect(await client.say('Subject: x\r\n\r\nbody\r\n.')).toStartWith('250')
    client.close()
    await until(() => smarthost.received.length === 1)
  })
})
