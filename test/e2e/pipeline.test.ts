/** A point goes in by every input that is there from the start and comes out of /render. */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { SMTPServer } from 'smtp-server'
import { LineClient, sendLines } from './load.ts'
import { freePorts, nowSeconds, Stack } from './stack.ts'

let stack: Stack
beforeAll(async () => {
  stack = await Stack.start()
}, 30_000)
afterAll(() => stack?.close())

describe('a point comes out as it went in', () => {
  const lately = () => ({ from: nowSeconds() - 60, until: nowSeconds() + 1 })

  test('by TCP', async () => {
    const time = nowSeconds() - 3
    await sendLines(stack, `e2e.tcp 1.5 ${time}\ne2e.tcp 2.5 ${time + 1}\n`)
    const points = await stack.pointsWhen('e2e.tcp', lately(), 2)
    expect([...points]).toEqual([
      [`e2e.tcp ${time}`, 1.5],
      [`e2e.tcp ${time + 1}`, 2.5],
    ])
  })

  test('by UDP', async () => {
    const time = nowSeconds() - 3
    const socket = await Bun.udpSocket({
      connect: { hostname: '127.0.0.1', port: stack.config.relay.port },
    })
    socket.send(`e2e.udp 7 ${time}\n`)
    const points = await stack.pointsWhen('e2e.udp', lately(), 1)
    socket.close()
    expect([...points]).toEqual([[`e2e.udp ${time}`, 7]])
  })

  test('by Unix socket', async () => {
    const time = nowSeconds() - 3
    const unix = `${stack.config.run}/relay.sock`
    const handlers = {
      data() {},
      open: (socket: Bun.Socket) => void socket.end(`e2e.unix 8 ${time}\n`),
    }
    await Bun.connect({ unix, socket: handlers })
    const points = await stack.pointsWhen('e2e.unix', lately(), 1)
    expect([...points]).toEqual([[`e2e.unix ${time}`, 8]])
  })

  test('straight to the store', async () => {
    const time = nowSeconds() - 3
    const client = await LineClient.connect(stack.config.store.port)
    await client.write(`e2e.store 9 ${time}\n`)
    await client.end()
    const points = await stack.pointsWhen('e2e.store', lately(), 1)
    expect([...points]).toEqual([[`e2e.store ${time}`, 9]])
  })
})

test('/render takes a form, functions, and a limit of points', async () => {
  const time = nowSeconds() - 10
  let lines = ''
  for (let i = 0; i < 8; i++)
    lines += `e2e.sum.a ${i} ${time + i}\ne2e.sum.b ${i * 10} ${time + i}\n`
  await sendLines(stack, lines)
  const range = { from: time - 1, until: time + 7 }
  expect(await stack.pointsWhen('e2e.sum.*', range, 16)).toHaveProperty('size', 16)
  const body = new URLSearchParams({
    target: 'alias(sumSeries(e2e.sum.*),"both")',
    format: 'json',
    from: String(range.from),
    until: String(range.until),
    maxDataPoints: '4',
  })
  const url = `http://127.0.0.1:${stack.config.api.port}/render`
  const answer = (await (await fetch(url, { method: 'POST', body })).json()) as unknown
  expect(answer).toMatchObject([{ target: 'both' }])
  const [{ datapoints }] = answer as [{ datapoints: [number, number][] }]
  expect(datapoints.length).toBeLessThanOrEqual(4)
  const values = datapoints.map(([value]) => value).filter((value) => value !== null)
  expect(values.length).toBeGreaterThanOrEqual(3)
})

test('/metrics/find, expand and index.json know the names', async () => {
  const time = nowSeconds()
  await sendLines(stack, `e2e.tree.left.x 1 ${time}\ne2e.tree.right 1 ${time}\n`)
  await stack.pointsWhen('e2e.tree.*', { from: time - 1, until: time }, 1)
  const get = async (path: string): Promise<unknown> =>
    (await fetch(`http://127.0.0.1:${stack.config.api.port}${path}`)).json()
  expect(await get('/metrics/find?query=e2e.tree.*')).toMatchObject([
    { id: 'e2e.tree.left', leaf: 0 },
    { id: 'e2e.tree.right', leaf: 1 },
  ])
  expect(await get('/metrics/expand?query=e2e.tree.*')).toEqual({
    results: ['e2e.tree.left', 'e2e.tree.right'],
  })
  expect(await get('/metrics/index.json')).toContain('e2e.tree.left.x')
})

test('the stack has points of its own', async () => {
  const range = { from: nowSeconds() - 60, until: nowSeconds() + 30 }
  const target = 'carbon.{agents,api,mailer}.*.process.residentBytes'
  const untilMs = performance.now() + 20_000
  let names = new Set<string>()
  while (names.size < 3 && performance.now() < untilMs) {
    const points = await stack.points(target, range)
    names = new Set([...points.keys()].map((key) => key.split('.')[1]!))
    await Bun.sleep(200)
  }
  expect([...names].sort()).toEqual(['agents', 'api', 'mailer'])
}, 30_000)

test('a mail goes from local SMTP to the smarthost, also when that is away at first', async () => {
  const [port] = await freePorts(1)
  const mailing = await Stack.create({ EMAIL_SERVER: `127.0.0.1:${port}` })
  const received: string[] = []
  const smarthost = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    onData(stream, session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const to = session.envelope.rcptTo.map(({ address }) => address).join(' ')
        received.push(`${to}\n${Buffer.concat(chunks).toString()}`)
        callback()
      })
    },
  })
  try {
    mailing.spawn('mailer')
    await mailing.ready('mailer')
    const said = await talkSmtp(mailing.config.mailer.smtp_port, [
      'HELO monit',
      'MAIL FROM:<monit@box.test>',
      'RCPT TO:<ops@example.com>',
      'DATA',
      'Subject: [emon] box relay: Does not exist\r\n\r\nrestarted\r\n.',
      'QUIT',
    ])
    expect(said.map((line) => line.slice(0, 3))).toEqual([
      '220',
      '250',
      '250',
      '250',
      '354',
      '250',
      '221',
    ])
    await mailing.kill('mailer')
    await new Promise<void>((resolve) => smarthost.listen(port, '127.0.0.1', resolve))
    mailing.spawn('mailer')
    const untilMs = performance.now() + 20_000
    while (received.length === 0 && performance.now() < untilMs) await Bun.sleep(50)
    expect(received).toHaveLength(1)
    expect(received[0]).toStartWith('ops@example.com\n')
    expect(received[0]).toContain('Subject: [emon] box relay: Does not exist')
    expect(received[0]).toContain('restarted')
  } finally {
    await mailing.close()
    await new Promise<void>((resolve) => smarthost.close(() => resolve()))
  }
}, 40_000)

/** Says each line after the answer to the one before; the answers, the greeting first. */
async function talkSmtp(port: number, lines: readonly string[]): Promise<string[]> {
  const answers: string[] = []
  const done = Promise.withResolvers<void>()
  let received = ''
  let next = 0
  await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data(socket, bytes) {
        received += bytes.toString()
        // The last line of an answer has a blank after its code.
        for (let end; (end = /^\d{3} .*\r\n/m.exec(received));) {
          answers.push(end[0].trim())
          received = received.slice(end.index + end[0].length)
          const line = lines[next++]
          if (line !== undefined) socket.write(`${line}\r\n`)
        }
      },
      close: () => done.resolve(),
    },
  })
  await done.promise
  return answers
}
