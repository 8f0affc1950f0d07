/** Carrying mail to the next server: which host, what each answer means, connections, DKIM. */
import { afterEach, describe, expect, test } from 'bun:test'
import { generateKeyPairSync, createVerify, createHash } from 'node:crypto'
import { promises as dns } from 'node:dns'
import type { SMTPServerOptions } from 'smtp-server'
import type { Config } from '../../src/config.ts'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Stats } from '../../src/lib/stats.ts'
import { dnsNames, type MxRecord, type Names, nextHops } from '../../src/mailer/next-hop.ts'
import { accepted, outcomeOf, serverOf } from '../../src/mailer/reply.ts'
import { parseHost } from '../../src/mailer/settings.ts'
import { SmtpClient } from '../../src/mailer/smtp-client.ts'
import type { Transaction, TransactionResult } from '../../src/mailer/transport.ts'
import { SimClock } from '../sim/clock.ts'
import { freePort } from '../peers/waiting.ts'
import { makeSettings } from './rig.ts'
import { type Smarthost, startSmarthost } from './smarthost.ts'

const open: { stop: () => Promise<void> }[] = []
afterEach(async () => {
  for (const thing of open.splice(0)) await thing.stop()
})

async function start(options: SMTPServerOptions = {}): Promise<Smarthost> {
  const smarthost = await startSmarthost(options)
  open.push(smarthost)
  return smarthost
}

function client(
  port: number,
  mailer: Partial<Config['mailer']> = {},
): SmtpClient & { stats: Stats } {
  const settings = makeSettings({ relayhost: `127.0.0.1:${port}`, ...mailer })
  const stats = new Stats()
  const made = new SmtpClient({
    clock: systemClock,
    stats,
    settings: () => settings,
    names: NOBODY,
  })
  open.push({ stop: async () => made.close() })
  return Object.assign(made, { stats })
}

function mail(recipients: readonly string[], more: Partial<Transaction> = {}): Transaction {
  const message = toUtf8('Subject: hello\r\nFrom: a@x.test\r\n\r\nbody\r\n.dot\r\n')
  return {
    destination: 'relay',
    id: 'ID',
    from: 'a@x.test',
    recipients,
    bytes: message.length,
    eightBit: false,
    content: () => [message],
    ...more,
  }
}

const statuses = (result: TransactionResult): string[] =>
  [...result.outcomes].map(([to, { status, code }]) => `${to} ${status} ${code}`)

describe('SmtpClient', () => {
  test('sends over one connection as long as it lasts', async () => {
    const smarthost = await start()
    const carrier = client(smarthost.port)
    for (let i = 0; i < 5; i++) {
      const result = await carrier.send(mail(['b@y.test']))
      expect(result.server).toBe('good')
      expect(result.relay).toBe(`127.0.0.1[127.0.0.1]:${smarthost.port}`)
      expect(statuses(result)).toEqual(['b@y.test sent 2.0.0'])
    }
    expect(smarthost.received).toHaveLength(5)
    expect(smarthost.received[0]!.text).toEndWith('\r\n\r\nbody\r\n.dot\r\n')
    expect(carrier.stats.counter('delivery.connections').value).toBe(1)
  })

  test('sorts answers by recipient, and goes on with the connection', async () => {
    const refuse: Record<string, number> = {
      'no@y.test': 550,
      'full@y.test': 452,
      'many@y.test': 552,
    }
    const smarthost = await start({
      onRcptTo(address, _session, callback) {
        const code = refuse[address.address]
        callback(code ? Object.assign(new Error('no'), { responseCode: code }) : null)
      },
    })
    const carrier = client(smarthost.port)
    const result = await carrier.send(mail(['yes@y.test', ...Object.keys(refuse)]))
    expect(statuses(result)).toEqual([
      'yes@y.test sent 2.0.0',
      'no@y.test bounced 5.0.0',
      'full@y.test deferred 4.0.0',
      'many@y.test deferred 4.0.0',
    ])
    expect(statuses(await carrier.send(mail(Object.keys(refuse))))).toEqual([
      'no@y.test bounced 5.0.0',
      'full@y.test deferred 4.0.0',
      'many@y.test deferred 4.0.0',
    ])
    expect(statuses(await carrier.send(mail(['yes@y.test'])))).toEqual(['yes@y.test sent 2.0.0'])
    expect(carrier.stats.counter('delivery.connections').value).toBe(1)
  })

  test('a server that is not there is the server’s failure, not the message’s', async () => {
    const result = await client(freePort()).send(mail(['b@y.test']))
    expect(result.server).toBe('failed')
    expect(statuses(result)).toEqual(['b@y.test deferred 4.4.1'])
  })

  test('a greeting of 554 makes mail wait', async () => {
    const smarthost = await start({
      onConnect: (_session, callback) =>
        callback(Object.assign(new Error('go away'), { responseCode: 554 })),
    })
    const result = await client(smarthost.port).send(mail(['b@y.test']))
    expect(result.server).toBe('failed')
    expect(statuses(result)).toEqual(['b@y.test deferred 4.4.1'])
  })

  test('a connection that ends mid-transaction makes mail wait', async () => {
    const answers = ['250 hello', '250 ok', '250 ok', '354 go on']
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        open: (socket) => void socket.write('220 short-lived\r\n'),
        data(socket) {
          const answer = answers.shift()
          if (answer === undefined) socket.end()
          else socket.write(`${answer}\r\n`)
        },
      },
    })
    const result = await client(server.port).send(mail(['b@y.test']))
    server.stop(true)
    expect(result.server).toBe('failed')
    expect(statuses(result)).toEqual(['b@y.test deferred 4.4.2'])
  })

  test('encrypt refuses a server without STARTTLS, may goes without', async () => {
    const smarthost = await start()
    const refused = await client(smarthost.port, { tls: 'encrypt' }).send(mail(['b@y.test']))
    expect(refused.server).toBe('failed')
    expect(smarthost.received).toEqual([])
    await client(smarthost.port, { tls: 'may' }).send(mail(['b@y.test']))
    expect(smarthost.received).toHaveLength(1)
  })

  test('a big message goes in pieces, and is never cut short', async () => {
    const smarthost = await start()
    const piece = toUtf8(`${'x'.repeat(98)}\r\n`.repeat(2_000))
    const header = toUtf8('Subject: big\r\n\r\n')
    const parts = [header, piece, piece, piece]
    const bytes = parts.reduce((sum, part) => sum + part.length, 0)
    const carrier = client(smarthost.port)
    await carrier.send(mail(['b@y.test'], { bytes, content: () => parts }))
    expect(smarthost.received[0]!.text).toHaveLength(bytes)
    function* torn(): Generator<Uint8Array> {
      yield header
      yield piece
      throw new Error('the disk has gone bad')
    }
    const result = await carrier.send(mail(['b@y.test'], { bytes, content: torn }))
    expect(statuses(result)[0]).toStartWith('b@y.test deferred')
    expect(smarthost.received).toHaveLength(1)
  })

  test('signs with DKIM', async () => {
    const smarthost = await start()
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
    const settings = {
      ...makeSettings({ relayhost: `127.0.0.1:${smarthost.port}` }),
      dkim: {
        domain: 'x.test',
        selector: 's1',
        key: privateKey.export({ type: 'pkcs8', format: 'pem' }),
      },
    }
    const carrier = new SmtpClient({
      clock: systemClock,
      stats: new Stats(),
      settings: () => settings,
      names: NOBODY,
    })
    await carrier.send(mail(['b@y.test']))
    carrier.close()
    const { text } = smarthost.received[0]!
    const field = /^DKIM-Signature: ((?:.*\r\n[ \t])*.*)\r\n/m.exec(text)![1]!
    expect(field).toContain('d=x.test')
    expect(field).toContain('s=s1')
    const body = text.slice(text.indexOf('\r\n\r\n') + 4)
    const hash = createHash('sha256').update(body).digest('base64')
    expect(field.replaceAll(/\s/g, '')).toContain(`bh=${hash}`)
    expect(verifyDkim(text, field, publicKey.export({ type: 'spki', format: 'pem' }))).toBe(true)
  })
})

/** RFC 6376, relaxed header canonicalisation. */
function verifyDkim(message: string, field: string, key: string): boolean {
  const header = message.slice(0, message.indexOf('\r\n\r\n') + 2)
  const relax = (name: string, value: string): string =>
    `${name.toLowerCase().trim()}:${value.replaceAll(/\s+/g, ' ').trim()}`
  const names = /\bh=([^;]+);/.exec(field)![1]!.replaceAll(/\s/g, '').split(':')
  const fields = [...header.matchAll(/^([!-9;-~]+):((?:.*\r\n[ \t])*.*)\r\n/gm)]
  const signed = names.map((name) => {
    const found = fields.find((candidate) => candidate[1]!.toLowerCase() === name.toLowerCase())
    return found ? `${relax(name, found[2]!)}\r\n` : ''
  })
  const signature = /\bb=([^;]+)$/.exec(field)![1]!.replaceAll(/\s/g, '')
  const own = relax('dkim-signature', field.replace(/(\bb=)[^;]+$/, '$1'))
  return createVerify('sha256')
    .update(signed.join('') + own)
    .verify(key, Buffer.from(signature, 'base64'))
}

describe('nextHops()', () => {
  const settings = makeSettings({ relayhost: undefined })
  const hops = async (destination: string, names: Names): Promise<unknown> => {
    const found = await nextHops(destination, settings, { names, clock: new SimClock() })
    return found.ok ? found.value.map(({ host, port }) => `${host}:${port}`) : found.error.code
  }
  const withMx = (mx: readonly MxRecord[]): Names => ({ ...NOBODY, mx: async () => mx })

  test('goes by preference, at most five', async () => {
    const records = [30, 10, 20].map((priority) => ({ exchange: `mx${priority}.y.test`, priority }))
    expect(await hops('y.test', withMx(records))).toEqual([
      'mx10.y.test:25',
      'mx20.y.test:25',
      'mx30.y.test:25',
    ])
    const many = Array.from({ length: 9 }, (_, i) => ({ exchange: `mx${i}.y.test`, priority: 1 }))
    expect(await hops('y.test', withMx(many))).toHaveLength(5)
  })

  test('an address in brackets is its own host', async () => {
    expect(await hops('[192.0.2.1]', NOBODY)).toEqual(['192.0.2.1:25'])
    expect(await hops('[ipv6:::1]', NOBODY)).toEqual(['::1:25'])
  })

  test('asks the real resolver: MX, else the domain itself; no domain and null MX are final', async () => {
    const server = await startNameServer()
    const resolver = new dns.Resolver()
    resolver.setServers([`127.0.0.1:${server.port}`])
    const names = dnsNames(resolver)
    expect(await hops('mx.test', names)).toEqual(['mail.mx.test:25'])
    expect(await hops('plain.test', names)).toEqual(['plain.test:25'])
    expect(await hops('null.test', names)).toBe('5.1.10')
    expect(await hops('nowhere.test', names)).toBe('5.1.2')
    expect(await hops('trouble.test', names)).toBe('4.4.3')
    server.stop()
  })
})

const NOBODY: Names = { mx: async () => [], hasAddress: async () => false }

/** Knows mx.test (an MX), plain.test (an address), null.test (RFC 7505); trouble.test is SERVFAIL. */
async function startNameServer(): Promise<{ port: number; stop(): void }> {
  const [A, MX] = [1, 15]
  const known: Record<string, readonly [type: number, data: readonly number[]]> = {
    'mx.test': [MX, [0, 10, 4, ...Buffer.from('mail'), 0xc0, 12]],
    'plain.test': [A, [192, 0, 2, 1]],
    'null.test': [MX, [0, 0, 0]],
  }
  const socket = await Bun.udpSocket({
    hostname: '127.0.0.1',
    port: 0,
    socket: {
      data(own, query, port, address) {
        let at = 12
        const labels: string[] = []
        while (query[at]! > 0) {
          labels.push(query.toString('latin1', at + 1, at + 1 + query[at]!))
          at += query[at]! + 1
        }
        const question = query.subarray(12, at + 5)
        const name = labels.join('.')
        const [type, data] = known[name] ?? [0, []]
        const found = type === query.readUInt16BE(at + 1)
        const code = name === 'trouble.test' ? 2 : name in known ? 0 : 3
        const header = [query[0]!, query[1]!, 0x81, 0x80 | code, 0, 1, 0, found ? 1 : 0, 0, 0, 0, 0]
        const answer = found ? [0xc0, 12, 0, type, 0, 1, 0, 0, 0, 60, 0, data.length, ...data] : []
        own.send(
          Buffer.concat([Uint8Array.from(header), question, Uint8Array.from(answer)]),
          port,
          address,
        )
      },
    },
  })
  return { port: socket.port, stop: () => socket.close() }
}

test('what a reply means', () => {
  const ok = (
    response: string,
    status: string,
    code: string,
    server = 'good',
    command = 'DATA',
  ): void => {
    const error = { message: 'x', response, responseCode: Number(response.slice(0, 3)), command }
    expect(outcomeOf(error)).toMatchObject({ status, code })
    expect(serverOf(error)).toBe(server as 'good')
  }
  ok('550 5.7.1 spam', 'bounced', '5.7.1')
  ok('554 no', 'bounced', '5.0.0')
  ok('450 4.2.0 greylisted', 'deferred', '4.2.0')
  ok('454 Throttling failure: Maximum sending rate exceeded.', 'deferred', '4.0.0', 'throttled')
  ok('421 4.3.2 shutting down', 'deferred', '4.3.2', 'failed')
  ok('552 5.5.3 too many', 'deferred', '4.0.0', 'good', 'RCPT TO')
  expect(accepted('250 2.6.0 ok')).toEqual({ status: 'sent', code: '2.6.0', reply: '250 2.6.0 ok' })
})

test('parseHost()', () => {
  expect(parseHost('smtp.x.test')).toEqual({ host: 'smtp.x.test', port: 587 })
  expect(parseHost('[smtp.x.test]:25')).toEqual({ host: 'smtp.x.test', port: 25 })
  expect(parseHost('[::1]:465')).toEqual({ host: '::1', port: 465 })
  for (const bad of ['', 'a b', 'x:0', 'x:70000', '::1']) expect(parseHost(bad)).toBeUndefined()
})
