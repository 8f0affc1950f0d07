/** sendmail(1): its options, its envelope, its exit codes, and the mail it leaves while the mailer is away. */
import { afterEach, describe, expect, test } from 'bun:test'
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'
import { composeSubmission, parseArguments } from '../../src/mailer/sendmail.ts'
import { type MailerProcess, startMailerProcess } from './process.ts'
import { until } from '../peers/waiting.ts'
import { type Smarthost, startSmarthost } from './smarthost.ts'

const WHO = { user: 'cron', hostname: 'box.test' }

describe('parseArguments()', () => {
  const ok = (words: string, want: object): void => {
    const command = parseArguments(words.split(' '))
    expect(command).toMatchObject({ ok: true, value: want })
  }

  test('reads what cron, monit and PHP write', () => {
    ok('-t -i', { recipientsFromHeader: true, dotEnds: false })
    ok('-ti', { recipientsFromHeader: true, dotEnds: false })
    ok('-oi -f a@x.test b@y.test', { from: 'a@x.test', dotEnds: false, recipients: ['b@y.test'] })
    ok('-FCronDaemon -fa@x.test -oem root', { fullName: 'CronDaemon', from: 'a@x.test' })
    ok('-r a@x.test -v -N never -- -odd', { from: 'a@x.test', recipients: ['-odd'] })
    ok('-B 8BITMIME -O IgnoreDots a', { dotEnds: false, recipients: ['a'] })
    ok('-bp', { mode: 'list' })
    ok('-q', { mode: 'flush' })
    ok('-q30m', { mode: 'flush' })
    ok('-bs', { mode: 'smtp' })
  })

  test('refuses what it cannot do', () => {
    for (const word of ['-f', '-bd', '-bi', '-z']) expect(parseArguments([word]).ok).toBe(false)
  })
})

describe('composeSubmission()', () => {
  const compose = (words: string, input: string) => {
    const command = parseArguments(words.split(' ').filter((word) => word !== ''))
    if (!command.ok) throw new Error(command.error)
    const composed = composeSubmission(command.value, toUtf8(input), WHO)
    if (!composed.ok) throw new Error(composed.error)
    return { ...composed.value.envelope, text: fromUtf8(composed.value.message) }
  }

  test('-t takes To, Cc and Bcc, and hides Bcc', () => {
    const mail = compose(
      '-t',
      'To: a@x.test\nCc: B <b@x.test>\nBcc: c@x.test\nSubject: s\n\nbody\n',
    )
    expect(mail.recipients).toEqual(['a@x.test', 'b@x.test', 'c@x.test'])
    expect(mail.text).toBe('To: a@x.test\r\nCc: B <b@x.test>\r\nSubject: s\r\n\r\nbody\r\n')
    expect(mail.from).toBe('cron')
  })

  test('a lone dot ends the message, except with -i', () => {
    expect(compose('a', 'S: x\n\none\n.\ntwo\n').text).toBe('S: x\r\n\r\none\r\n')
    expect(compose('-i a', 'S: x\n\none\n.\ntwo\n').text).toContain('two')
  })

  test('-f <> is the null sender, -F a name', () => {
    expect(compose('-f <> a', 'S: x\n\n').from).toBe('')
    expect(compose('-F Cron a', 'S: x\n\n').text).toStartWith('From: "Cron" <cron@box.test>\r\n')
  })
})

describe('scripts/sendmail', () => {
  const open: { dispose?: () => Promise<void>; stop?: () => Promise<void> }[] = []
  afterEach(async () => {
    for (const thing of open.splice(0)) await (thing.dispose?.() ?? thing.stop?.())
  })

  const MESSAGE = 'To: ops@y.test\nSubject: from cron\n\nbody\n'

  async function start(): Promise<{ mailer: MailerProcess; smarthost: Smarthost }> {
    const smarthost = await startSmarthost()
    const mailer = await startMailerProcess({ EMAIL_SERVER: `127.0.0.1:${smarthost.port}` })
    open.push(mailer, smarthost)
    return { mailer, smarthost }
  }

  function sendmail(mailer: MailerProcess, words: string[], message = MESSAGE): number {
    const { data, smtpPort } = mailer
    return Bun.spawnSync(['scripts/sendmail', ...words], {
      cwd: `${import.meta.dir}/../..`,
      env: { ...process.env, EMON_DATA: data, EMON_SMTP_PORT: String(smtpPort) },
      stdin: Buffer.from(message),
      stdout: 'ignore',
      stderr: 'ignore',
    }).exitCode
  }

  test('hands over to the mailer, with exit codes of sysexits', async () => {
    const { mailer, smarthost } = await start()
    expect(sendmail(mailer, ['-t'])).toBe(0)
    expect(sendmail(mailer, [], 'Subject: to nobody\n\n')).toBe(64)
    expect(sendmail(mailer, ['bad address@'])).toBe(67)
    await until(() => smarthost.received.length === 1)
    expect(smarthost.received[0]!.text).toContain('Subject: from cron')
  }, 20_000)

  test('-bs talks SMTP', async () => {
    const { mailer } = await start()
    const run = Bun.spawnSync(['scripts/sendmail', '-bs'], {
      cwd: `${import.meta.dir}/../..`,
      env: { ...process.env, EMON_DATA: mailer.data, EMON_SMTP_PORT: String(mailer.smtpPort) },
      stdin: Buffer.from('EHLO x\r\nQUIT\r\n'),
    })
    expect(run.stdout.toString()).toMatch(/^220 .*\r\n250-.*221 2\.0\.0 bye\r\n$/s)
  })

  test('leaves mail in queue/drop while the mailer is away, once', async () => {
    const { mailer, smarthost } = await start()
    await mailer.kill('SIGKILL')
    expect(sendmail(mailer, ['-t'])).toBe(0)
    expect(mailer.queued('drop')).toHaveLength(1)
    expect(statSync(`${mailer.data}/queue/drop`).mode & 0o7777).toBe(0o1733)
    await mailer.restart()
    await until(() => smarthost.received.length === 1)
    await until(() => mailer.queued('drop').length === 0)
    expect(smarthost.received[0]!.text).toContain(`with local (uid ${process.getuid!()})`)
  }, 20_000)

  test('what is not a message, or not a plain file, is not followed', async () => {
    const { mailer, smarthost } = await start()
    const drop = `${mailer.data}/queue/drop`
    const secret = mkdtempSync(join(tmpdir(), 'emon-secret-'))
    writeFileSync(`${secret}/file`, 'secret')
    symlinkSync(`${secret}/file`, `${drop}/link`)
    writeFileSync(`${drop}/garbage`, 'garbage')
    chmodSync(`${drop}/garbage`, 0o744)
    writeFileSync(`${drop}/unfinished`, 'half', { mode: 0o600 })
    Bun.spawnSync(['mkfifo', `${drop}/fifo`])
    await until(() => readdirSync(drop).join() === 'unfinished')
    expect(mailer.queued('corrupt')).toEqual(['drop-garbage'])
    expect(existsSync(`${secret}/file`)).toBe(true)
    expect(smarthost.received).toEqual([])
    rmSync(secret, { recursive: true })
  }, 20_000)

  /** Running as another user takes root, and a project folder (and a Bun) that others may read. */
  const canBeNobody =
    asNobodyCan(process.execPath, '--version') &&
    asNobodyCan('ls', `${import.meta.dir}/../../package.json`)
  if (!canBeNobody)
    console.log('sendmail.test.ts: skipped in part: another user cannot run it from here')

  test.skipIf(!canBeNobody)(
    'another user reaches mail.sock, and queue/drop',
    async () => {
      const { mailer, smarthost } = await start()
      chmodSync(mailer.data, 0o751)
      const asNobody = (): number =>
        Bun.spawnSync(
          [
            'setpriv',
            '--reuid=65534',
            '--clear-groups',
            process.execPath,
            'scripts/sendmail.ts',
            '-t',
          ],
          {
            cwd: `${import.meta.dir}/../..`,
            env: { PATH: process.env['PATH'], EMON_DATA: mailer.data, EMON_SMTP_PORT: '1' },
            stdin: Buffer.from(MESSAGE),
            stdout: 'ignore',
            stderr: 'ignore',
          },
        ).exitCode
      expect(asNobody()).toBe(0)
      await until(() => smarthost.received.length === 1)
      await mailer.kill('SIGTERM')
      expect(asNobody()).toBe(0)
      await mailer.restart()
      await until(() => smarthost.received.length === 2)
      for (const { text } of smarthost.received) expect(text).toContain('with local (uid 65534)')
    },
    20_000,
  )
})

function asNobodyCan(...words: string[]): boolean {
  const command = ['setpriv', '--reuid=65534', '--clear-groups', ...words]
  return process.getuid?.() === 0 && Bun.spawnSync(command).exitCode === 0
}
