/** Looking at the queue and changing it, through `bun run mailq`. */
import { afterEach, describe, expect, test } from 'bun:test'
import { printQueue } from '../../src/mailer/mailq-command.ts'
import { type MailerProcess, sendToMailSocket, startMailerProcess } from './process.ts'
import { freePort, until } from '../peers/waiting.ts'
import { startSmarthost } from './smarthost.ts'

let mailer: MailerProcess | undefined
afterEach(async () => await mailer?.dispose())

function mailq(data: string, ...words: string[]): { code: number; out: string; err: string } {
  const run = Bun.spawnSync([process.execPath, 'scripts/mailq.ts', ...words], {
    cwd: `${import.meta.dir}/../..`,
    env: { ...process.env, EMON_DATA: data },
  })
  return { code: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() }
}

describe('mailq', () => {
  test('list, show, hold, release, flush, delete', async () => {
    const port = freePort()
    mailer = await startMailerProcess({ EMAIL_SERVER: `127.0.0.1:${port}` })
    const { data, queued } = mailer
    expect(mailq(data).out).toBe('Mail queue is empty\n')
    const ids: string[] = []
    for (const subject of ['one', 'two', 'three']) {
      const envelope = { from: 'a@x.test', recipients: ['b@y.test'] }
      const answer = await sendToMailSocket(data, envelope, `Subject: ${subject}\n\nbody\n`)
      if (answer.ok) ids.push(answer.queueId)
    }
    const [one, two, three] = ids as [string, string, string]
    await until(() => queued('deferred').length === 3)
    expect(mailq(data).out).toMatch(new RegExp(`^${one} +\\d+ .* a@x\\.test$`, 'm'))
    expect(mailq(data).out).toContain('ECONNREFUSED')
    expect(mailq(data, 'show', one).out).toContain('Subject: one\r\n')
    expect(mailq(data, 'hold', two).code).toBe(0)
    expect(queued('hold')).toEqual([two])
    expect(mailq(data, 'delete', three).code).toBe(0)
    await until(() => queued('deferred').length === 1)
    expect(mailq(data, 'show', three)).toMatchObject({
      code: 69,
      err: `there is no message ${three}\n`,
    })
    const rows = mailq(data, 'json').out.trim().split('\n')
    expect(rows.map((row) => (JSON.parse(row) as { queue_id: string }).queue_id)).toEqual([
      one,
      two,
    ])

    const smarthost = await startSmarthost({ port })
    expect(mailq(data, 'flush').code).toBe(0)
    await until(() => smarthost.received.length === 1)
    // What is held stays, over a restart too, until it is released.
    await mailer.kill('SIGKILL')
    await mailer.restart()
    expect(mailer.queued('hold')).toEqual([two])
    expect(mailq(data, 'release', 'ALL').code).toBe(0)
    await until(() => smarthost.received.length === 2)
    expect(smarthost.received[1]!.text).toContain('Subject: two')
    await smarthost.stop()
  }, 30_000)

  test('says what it cannot do', () => {
    expect(mailq('/nonexistent')).toMatchObject({ code: 69 })
    expect(mailq('/nonexistent', 'frobnicate')).toMatchObject({ code: 64 })
    expect(mailq('/nonexistent', 'show')).toMatchObject({ code: 64 })
  })

  test('prints what Postfix prints', () => {
    const row = {
      queue_name: 'deferred',
      queue_id: 'MWPSO4MF000',
      arrival_time: 1_795_228_454,
      message_size: 2_440,
      sender: '',
      origin: 'mail.sock uid 0',
      attempts: 1,
      next_attempt: 0,
      recipients: [{ address: 'b@y.test', delay_reason: '4.4.1 refused' }, { address: 'c@y.test' }],
    }
    expect(printQueue([row, { ...row, queue_name: 'active', sender: 'a@x.test' }])).toBe(
      `-Queue ID-      --Size-- ----Arrival Time---- -Sender/Recipient-------
MWPSO4MF000         2440 21 Nov 2026 02:34:14 MAILER-DAEMON
    (4.4.1 refused)
                                              b@y.test
                                              c@y.test

MWPSO4MF000*        2440 21 Nov 2026 02:34:14 a@x.test
    (4.4.1 refused)
                                              b@y.test
                                              c@y.test

-- 5 Kbytes in 2 Requests.
`,
    )
  })
})
