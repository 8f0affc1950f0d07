/**
 * The original's topology: a local instance that keeps its points and sends them on, prefixed, to a central one.
 * While the central one is away, the points wait in the local relay's spool; when it is back they
 * arrive, all of them, in order.
 */
import { afterEach, expect, test } from 'bun:test'
import { describeMissing, LineClient, SteadyLoad } from './load.ts'
import { freePorts, nowSeconds, Stack } from './stack.ts'

const open: Stack[] = []
afterEach(async () => {
  for (const stack of open.splice(0)) await stack.close()
})

async function topology(): Promise<{ local: Stack; central: Stack }> {
  const central = await Stack.start({ HOSTING: 'hub' })
  open.push(central)
  const local = await Stack.start({
    HOSTING: 'acme',
    SERVICE: 'web',
    CENTRAL_METRICS_SERVER: `127.0.0.1:${central.config.relay.port}`,
  })
  open.push(local)
  return { local, central }
}

test('a point is kept under its own name, and centrally under HOSTING.SERVICE', async () => {
  const { local, central } = await topology()
  const time = nowSeconds() - 2
  const client = await LineClient.connect(local.config.relay.port)
  await client.write(`topology.one 1.25 ${time}\n`)
  await client.end()
  const range = { from: time - 1, until: time }
  expect([...(await local.pointsWhen('topology.one', range, 1))]).toEqual([
    [`topology.one ${time}`, 1.25],
  ])
  expect([...(await central.pointsWhen('acme.web.topology.one', range, 1))]).toEqual([
    [`acme.web.topology.one ${time}`, 1.25],
  ])
  expect((await central.points('topology.one', range)).size).toBe(0)
}, 40_000)

test('a central instance that is away, and then killed, costs no point', async () => {
  const { local, central } = await topology()
  const load = new SteadyLoad({ port: local.config.relay.port, rate: 2_000, prefix: 'away' })
  await Bun.sleep(1_500)
  for (const name of ['relay', 'store', 'api', 'mailer'] as const) await central.stop(name)
  await Bun.sleep(4_000)
  for (const name of ['relay', 'store', 'api', 'mailer'] as const) central.spawn(name)
  await central.ready()
  await Bun.sleep(1_000)
  for (const name of ['relay', 'store'] as const) {
    await central.kill(name)
    await Bun.sleep(300)
    central.spawn(name)
    await central.ready(name)
    await Bun.sleep(700)
  }
  await load.stop()
  const limits = { timeoutMs: 30_000 }
  const here = await load.check(local, limits)
  expect(describeMissing(here)).toBe('')
  const there = await load.check(central, { ...limits, prefix: 'acme.web.' })
  expect(describeMissing(there)).toBe('')
  expect(there.found).toBe(there.sent)
}, 120_000)

test('points of the time away arrive in order: the last value for a slot wins', async () => {
  const { local, central } = await topology()
  const time = nowSeconds() - 1
  const client = await LineClient.connect(local.config.relay.port)
  const sendValues = async (from: number, to: number): Promise<void> => {
    for (let value = from; value < to; value++) {
      let lines = ''
      for (let series = 0; series < 100; series++) lines += `order.s${series} ${value} ${time}\n`
      await client.write(lines)
      await Bun.sleep(5)
    }
  }
  await sendValues(0, 100)
  await central.stop('relay')
  await sendValues(100, 300)
  // What is read is written somewhere within 200 ms.
  await Bun.sleep(300)
  await local.kill('relay')
  local.spawn('relay')
  await local.answers('relay')
  const again = await LineClient.connect(local.config.relay.port)
  await again.write(`order.s0 1000 ${time}\n`)
  central.spawn('relay')
  await central.ready('relay')
  const range = { from: time - 1, until: time }
  const untilMs = performance.now() + 10_000
  const read = () => central.points('acme.web.order.*', range)
  let points = await read()
  while (points.get(`acme.web.order.s0 ${time}`) !== 1000 && performance.now() < untilMs) {
    await Bun.sleep(100)
    points = await read()
  }
  expect(points.get(`acme.web.order.s0 ${time}`)).toBe(1000)
  for (let series = 1; series < 100; series++) {
    expect(points.get(`acme.web.order.s${series} ${time}`)!).toBe(299)
  }
}, 120_000)

test('a plain carbon as the central server gets every line in order when it is back', async () => {
  const [port] = await freePorts(1)
  const settings = {
    HOSTING: 'acme',
    SERVICE: 'web',
    CENTRAL_METRICS_SERVER: `127.0.0.1:${port}`,
    EMON_CENTRAL_PROTOCOL: 'line',
  }
  const local = await Stack.start(settings, ['store', 'api'])
  open.push(local)
  await local.answers('relay')
  const time = nowSeconds() - 100
  const client = await LineClient.connect(local.config.relay.port)
  for (let i = 0; i < 50; i++) {
    await client.write(`plain.x ${i} ${time + i}\n`)
    await Bun.sleep(20)
  }
  let received = ''
  const listener = Bun.listen({
    hostname: '127.0.0.1',
    port: port!,
    socket: { data: (_socket, bytes) => void (received += bytes.toString()) },
  })
  try {
    const wanted = Array.from({ length: 50 }, (_, i) => `acme.web.plain.x ${i} ${time + i}`)
    const untilMs = performance.now() + 15_000
    const lines = () => received.split('\n').filter((line) => line.startsWith('acme.web.plain.'))
    while (lines().length < 50 && performance.now() < untilMs) await Bun.sleep(50)
    expect(lines()).toEqual(wanted)
  } finally {
    listener.stop(true)
  }
}, 120_000)
