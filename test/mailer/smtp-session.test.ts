/** SMTP conversations without a socket: who may say what, and what bad input comes to. */
import { describe, expect, test } from 'bun:test'
import { fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'
import { SmtpSession } from '../../src/mailer/smtp-session.ts'
import { settle } from '../sim/clock.ts'
import { LATER, makeRig, type Rig, type RigOptions } from './rig.ts'

interface Talk {
  readonly rig: Rig
  readonly session: SmtpSession
  /** Says bytes, waits, and returns what was answered. */
  readonly say: (text: string | Uint8Array) => Promise<string>
  closed: boolean
  tlsStarted: boolean
}

async function talk(
  options: RigOptions & { client?: string; tls?: boolean; credentials?: boolean } = {},
): Promise<Talk> {
  const rig = await makeRig(options)
  rig.transport.answer = () => LATER
  let sent = ''
  const session = new SmtpSession({
    intake: rig.intake,
    hostname: 'box.test',
    clientAddress: options.client ?? '127.0.0.1',
    isLoopback: options.client === undefined,
    sizeMax: 10_000,
    recipientsMax: options.mailer?.recipients_max ?? 1_000,
    tlsAvailable: options.tls ?? false,
    credentials: options.credentials ? { user: 'me', password: 'secret' } : undefined,
    send: (text) => void (sent += text),
    startTls: () => void (conversation.tlsStarted = true),
    hold: () => {},
    close: () => void (conversation.closed = true),
  })
  const conversation: Talk = {
    rig,
    session,
    closed: false,
    tlsStarted: false,
    say: async (text) => {
      sent = ''
      session.feed(typeof text === 'string' ? toUtf8(text) : text)
      await settle()
      return sent
    },
  }
  return conversation
}

function contents(rig: Rig): string[] {
  return [...rig.queue.entries.values()].map((entry) =>
    fromUtf8(Buffer.concat([...rig.queue.load(entry)!.chunks()])),
  )
}

const HELLO = 'EHLO client.test\r\n'
const ENVELOPE = 'MAIL FROM:<a@x.test>\r\nRCPT TO:<b@y.test>\r\n'

describe('SmtpSession', () => {
  test('offers what it can do', async () => {
    const { say } = await talk()
    expect(await say(HELLO)).toBe(
      '250-box.test\r\n250-PIPELINING\r\n250-SIZE 10000\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n' +
        '250 ENHANCEDSTATUSCODES\r\n',
    )
    expect(await say('HELO client.test\r\n')).toBe('250 box.test\r\n')
  })

  test('takes a whole conversation in one piece, and byte by byte', async () => {
    const text = `${HELLO}${ENVELOPE}DATA\r\nSubject: x\r\n\r\n..a\r\n.\r\n${ENVELOPE}DATA\r\nno header\r\n.\r\nQUIT\r\n`
    const whole = await talk()
    await whole.say(text)
    const bytes = await talk()
    for (const byte of toUtf8(text)) await bytes.say(Uint8Array.of(byte))
    for (const { rig, closed } of [whole, bytes]) {
      expect(closed).toBe(true)
      const [first, second] = contents(rig)
      expect(first).toEndWith('Subject: x\r\n\r\n.a\r\n')
      expect(second).toEndWith('\r\n\r\nno header\r\n')
    }
  })

  const refused = (name: string, lines: string, reply: string | RegExp): void =>
    test(`refuses ${name}`, async () => {
      const { say, rig } = await talk({ mailer: { message_size_max: 10_000 } })
      await say(HELLO)
      expect((await say(lines)).split('\r\n').at(-2)).toMatch(reply)
      expect(rig.queue.entries.size).toBe(0)
    })
  refused('an unknown command', 'TURN\r\n', /^500 5\.5\.2/)
  refused('RCPT before MAIL', 'RCPT TO:<b@y.test>\r\n', /^503/)
  refused('DATA before RCPT', 'MAIL FROM:<a@x.test>\r\nDATA\r\n', /^554/)
  refused('MAIL twice', 'MAIL FROM:<a@x.test>\r\nMAIL FROM:<a@x.test>\r\n', /^503/)
  refused(
    'an announced size over the limit',
    'MAIL FROM:<a@x.test> SIZE=100000000\r\n',
    /^552 5\.3\.4/,
  )
  refused('an unknown parameter', 'MAIL FROM:<a@x.test> FOO=1\r\n', /^555/)
  refused('a sender with a blank', 'MAIL FROM:<a b@x.test>\r\n', /^553 5\.1\.7/)
  refused('a recipient without brackets', 'MAIL FROM:<>\r\nRCPT TO:b@y.test\r\n', /^501/)
  refused(
    'a recipient with control bytes',
    'MAIL FROM:<>\r\nRCPT TO:<b\x07@y.test>\r\n',
    /^553 5\.1\.3/,
  )
  refused('a line of 5,000 bytes', `NOOP ${'x'.repeat(5_000)}\r\n`, /^500 5\.5\.2 line too long/)
  refused('STARTTLS without a certificate', 'STARTTLS\r\n', /^502/)
  refused('AUTH without TLS', 'AUTH PLAIN AG1lAHNlY3JldA==\r\n', /^503/)

  test('a message over the limit is read to its end, then refused, and the next is taken', async () => {
    const { say, rig } = await talk({ mailer: { message_size_max: 10_000 } })
    await say(`${HELLO}${ENVELOPE}DATA\r\n`)
    expect(await say(`Subject: x\r\n\r\n${'y'.repeat(99)}\r\n`.repeat(150))).toBe('')
    expect(await say('.\r\n')).toStartWith('552 5.3.4')
    expect(rig.disk.list('/queue/active')).toEqual([])
    await say(`${ENVELOPE}DATA\r\n`)
    expect(await say('Subject: x\r\n\r\ny\r\n.\r\n')).toStartWith('250')
  })

  test('a sender that stops mid-DATA leaves nothing behind', async () => {
    const { say, rig, session } = await talk()
    await say(`${HELLO}${ENVELOPE}DATA\r\nSubject: x\r\n\r\n`)
    await say('half a line'.repeat(60_000))
    expect(rig.disk.list('/queue/active')).toHaveLength(1)
    session.abandon()
    expect(rig.disk.list('/queue/active')).toEqual([])
  })

  test('a second message smuggled behind a bare LF stays part of the first', async () => {
    for (const end of ['\n.\n', '\n.\r\n', '\r\n.\n', '\r.\r', '\r\n.\r']) {
      const { say, rig } = await talk()
      await say(`${HELLO}${ENVELOPE}DATA\r\n`)
      const smuggled = `MAIL FROM:<evil@x.test>\r\nRCPT TO:<c@y.test>\r\nDATA\r\nboo\r\n.\r\n`
      const replies = await say(`Subject: x\r\n\r\nbody${end}${smuggled}`)
      expect(replies).toMatch(/^250 2\.0\.0 queued as \w+\r\n$/)
      expect(rig.queue.entries.size).toBe(1)
      expect(contents(rig)[0]!.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
    }
  })

  test('10,000 recipients: the first 1,000 are taken, the others told to come again', async () => {
    const { say, rig } = await talk()
    await say(`${HELLO}MAIL FROM:<a@x.test>\r\n`)
    const commands = Array.from({ length: 10_000 }, (_, i) => `RCPT TO:<b${i}@y.test>\r\n`)
    const replies = (await say(commands.join(''))).split('\r\n')
    expect(replies.filter((line) => line.startsWith('250 2.1.5'))).toHaveLength(1_000)
    expect(replies.filter((line) => line.startsWith('452 4.5.3'))).toHaveLength(9_000)
    expect(await say('DATA\r\n')).toStartWith('354')
    expect(await say('Subject: x\r\n\r\ny\r\n.\r\n')).toStartWith('250')
    expect(rig.queue.entries.size).toBe(1)
  })

  test('twenty errors end the conversation', async () => {
    const conversation = await talk()
    const replies = await conversation.say('FOO\r\n'.repeat(30))
    expect(replies.split('\r\n').at(-2)).toStartWith('421 4.7.0')
    expect(conversation.closed).toBe(true)
  })

  test('from elsewhere only who has logged in over TLS may relay', async () => {
    const conversation = await talk({ client: '192.0.2.1', tls: true, credentials: true })
    const { say, session } = conversation
    expect(await say(HELLO)).toContain('250 STARTTLS\r\n')
    expect(await say('AUTH PLAIN AG1lAHNlY3JldA==\r\n')).toStartWith('538 5.7.11')
    expect(await say(ENVELOPE)).toContain('550 5.7.1')
    // What follows STARTTLS in clear must not count as said inside.
    await say('STARTTLS\r\nRSET\r\n')
    expect(conversation.tlsStarted).toBe(true)
    session.secured()
    expect(await say(HELLO)).toContain('250 AUTH PLAIN LOGIN\r\n')
    expect(await say('AUTH PLAIN AG1lAHdyb25n\r\n')).toStartWith('535 5.7.8')
    expect(await say('AUTH LOGIN\r\n')).toStartWith('334')
    expect(await say('bWU=\r\n')).toStartWith('334')
    expect(await say('c2VjcmV0\r\n')).toStartWith('235')
    await say(`${ENVELOPE}DATA\r\n`)
    expect(await say('Subject: x\r\n\r\ny\r\n.\r\n')).toStartWith('250')
    expect(contents(conversation.rig)[0]).toContain('with ESMTPSA id')
  })

  test('from elsewhere nobody relays where there is no login', async () => {
    const { say } = await talk({ client: '192.0.2.1' })
    await say(HELLO)
    expect(await say(ENVELOPE)).toContain('550 5.7.1 relaying denied')
  })

  test('a mail that has been through fifty hands goes in circles', async () => {
    const { say } = await talk({ mailer: { message_size_max: 100_000 } })
    await say(`${HELLO}${ENVELOPE}DATA\r\n`)
    expect(await say(`${'Received: from a by b\r\n'.repeat(50)}\r\n.\r\n`)).toStartWith('554 5.4.6')
  })

  test('452 when the disk or the queue is full, and 250 again when it is not', async () => {
    const { say, rig } = await talk({ mailer: { queue_max: 1 } })
    await say(HELLO)
    rig.disk.capacityBytes = 10 * 1024 ** 2
    await rig.clock.advance(2_000)
    expect(await say('MAIL FROM:<a@x.test>\r\n')).toStartWith('452 4.3.1 the disk')
    rig.disk.capacityBytes = 40 * 1024 ** 2
    await rig.clock.advance(2_000)
    expect(await say('MAIL FROM:<a@x.test>\r\n')).toStartWith('452')
    rig.disk.capacityBytes = 60 * 1024 ** 2
    await rig.clock.advance(2_000)
    await say(`${ENVELOPE}DATA\r\n`)
    expect(await say('Subject: x\r\n\r\ny\r\n.\r\n')).toStartWith('250')
    expect(await say('MAIL FROM:<a@x.test>\r\n')).toStartWith('452 4.3.1 the queue')
  })

  test('a failing disk answers 451 or 452, never 250', async () => {
    const { say, rig } = await talk()
    rig.disk.failSyncs(1)
    await say(`${HELLO}${ENVELOPE}DATA\r\n`)
    expect(await say('Subject: x\r\n\r\ny\r\n.\r\n')).toMatch(/^45[12]/)
    expect(rig.disk.list('/queue/active')).toEqual([])
  })

  test('the same mail again within the window is taken once', async () => {
    const { say, rig } = await talk({ mailer: { duplicate_window: 60 } })
    const mail = `${ENVELOPE}DATA\r\nSubject: disk full\r\n\r\nnow\r\n.\r\n`
    await say(HELLO)
    for (let i = 0; i < 3; i++) expect(await say(mail)).toContain('250 2.0.0 queued')
    expect(rig.queue.entries.size).toBe(1)
    await say(mail.replace('disk', 'memory'))
    expect(rig.queue.entries.size).toBe(2)
    await rig.clock.advance(61_000)
    await say(mail)
    expect(rig.queue.entries.size).toBe(3)
  })
})
