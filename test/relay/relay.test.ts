/** The relay process as a whole: inputs, bad input, the two generated routings, stops and kills. */
import { afterEach, describe, expect, test } from 'bun:test'
import {
  freePort,
  LineClient,
  LinePeer,
  PointsPeer,
  type RelayProcess,
  startRelay,
  stopRelay,
  temporaryDir,
  until,
} from './peers.ts'

const cleanups: (() => void | Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

const NOW = Math.floor(Date.now() / 1000)

function dataDir(): string {
  const dir = temporaryDir()
  cleanups.push(() => dir.remove())
  return dir.path
}

async function store(dir: string): Promise<PointsPeer> {
  const peer = new PointsPeer()
  await Bun.$`mkdir -p ${dir}/run`.quiet()
  peer.listen({ unix: `${dir}/run/points.sock` })
  cleanups.push(() => peer.stop())
  return peer
}

async function relay(...args: Parameters<typeof startRelay>): Promise<RelayProcess> {
  const process = await startRelay(...args)
  cleanups.push(() => {
    process.signal('SIGKILL')
    return process.exited
  })
  return process
}

describe('listeners', () => {
  test('TCP, UDP without the last newline, and the Unix socket reach the store', async () => {
    const dir = dataDir()
    const peer = await store(dir)
    const process = await relay(dir)
    const tcp = await LineClient.connect({ port: process.port })
    await tcp.send(`over.tcp 1.5 ${NOW}\nhalf.of 1`)
    await tcp.send(`7 ${NOW}\n`)
    const unix = await LineClient.connect({ unix: `${dir}/run/relay.sock` })
    await unix.send(`over.unix 2 ${NOW}\n`)
    const udp = await Bun.udpSocket({ connect: { hostname: '127.0.0.1', port: process.port } })
    udp.send(`over.udp 3 ${NOW}\nover.udp.last 4 ${NOW}`)
    await until('five points', () => peer.points === 5)
    expect(peer.value('over.tcp', NOW)).toBe(1.5)
    expect(peer.value('half.of', NOW)).toBe(17)
    expect(peer.value('over.unix', NOW)).toBe(2)
    expect(peer.value('over.udp', NOW)).toBe(3)
    expect(peer.value('over.udp.last', NOW)).toBe(4)
    udp.close()
    expect(await stopRelay(process)).toBe(0)
  })

  test('a port in use is a clear error and exit code 78', async () => {
    const dir = dataDir()
    const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    cleanups.push(() => taken.stop(true))
    const process = await relay(dir, { env: { EMON_RELAY_PORT: String(taken.port) } })
    expect(await process.exited).toBe(78)
    expect(process.log()).toContain(`cannot listen on tcp 127.0.0.1:${taken.port}`)
  })

  test('connections over the limit are closed and counted', async () => {
    const dir = dataDir()
    await store(dir)
    await Bun.write(`${dir}/emon.toml`, '[relay]\nconnections_max = 2\n')
    const process = await relay(dir)
    const clients: LineClient[] = []
    for (let i = 0; i < 3; i++) clients.push(await LineClient.connect({ port: process.port }))
    await until('the third is closed', () => clients[2]!.closed)
    expect((await process.metrics()).get('connectionsRefused')).toBe(1)
    expect(clients[0]!.closed).toBe(false)
  })
})

describe('bad input', () => {
  test('costs nothing but itself, and is counted', async () => {
    const dir = dataDir()
    const peer = await store(dir)
    const process = await relay(dir)
    const client = await LineClient.connect({ port: process.port })
    const good = (i: number): string => `good.n${i} ${i} ${NOW}\n`
    await client.send(good(0))
    await client.send(Uint8Array.from({ length: 5_000 }, (_, i) => ((i * 7919) % 255) + 1))
    await client.send('\n' + good(1))
    await client.send(`ctl\x01name 1 ${NOW}\n` + good(2))
    await client.send(`v.nan nan ${NOW}\nv.hex 0x10 ${NOW}\nv.text abc ${NOW}\n`)
    await client.send(`v.inf inf ${NOW}\nv.ninf -inf ${NOW}\n`)
    await client.send(`t.zero 1 0\nt.minus 1 -1\nt.far 1 ${NOW + 90_000}\nt.frac 1 ${NOW}.9\n`)
    await client.send('noblank\n\r\n   \n. 1 1\n' + good(3))
    const long = new Uint8Array(10 * 1024 * 1024).fill(0x61)
    await client.send(long)
    await client.send('\n' + good(4))
    const hanging = await LineClient.connect({ port: process.port })
    await hanging.send('half.a.li')
    await until('the good points', () => peer.value('good.n4', NOW) === 4)
    for (let i = 0; i < 5; i++) expect(peer.value(`good.n${i}`, NOW)).toBe(i)
    expect(peer.value('ctl_name', NOW)).toBe(1)
    expect(peer.value('v.inf', NOW)).toBe(Infinity)
    expect(peer.value('v.ninf', NOW)).toBe(-Infinity)
    expect(peer.series.has('v.nan')).toBe(false)
    expect(peer.series.has('v.hex')).toBe(false)
    expect(peer.series.has('t.zero')).toBe(false)
    expect(peer.series.has('t.far')).toBe(false)
    expect(peer.series.get('t.minus')?.size).toBe(1)
    expect(peer.value('t.frac', NOW)).toBe(1)
    const metrics = await process.metrics()
    expect(metrics.get('dropped_value')).toBeGreaterThanOrEqual(3)
    expect(metrics.get('dropped_time')).toBe(2)
    expect(metrics.get('metricsDiscarded')).toBeGreaterThanOrEqual(3)
    expect(client.closed).toBe(false)
    expect(await stopRelay(process)).toBe(0)
  })
})

describe('generated routing', () => {
  test('local with central: raw names here, prefixed ones there', async () => {
    const dir = dataDir()
    const peer = await store(dir)
    const central = new PointsPeer()
    const port = await freePort()
    central.listen({ hostname: '127.0.0.1', port })
    cleanups.push(() => central.stop())
    const process = await relay(dir, {
      env: { CENTRAL_METRICS_SERVER: `127.0.0.1:${port}`, HOSTING: 'aws', SERVICE: 'web' },
    })
    const client = await LineClient.connect({ port: process.port })
    await client.send(`a.b 1 ${NOW}\n`)
    await until('both have it', () => peer.points === 1 && central.points === 1)
    expect([...peer.series.keys()]).toEqual(['a.b'])
    expect([...central.series.keys()]).toEqual(['aws.web.a.b'])
  })

  test('a central that is a plain carbon gets lines after a second', async () => {
    const dir = dataDir()
    await store(dir)
    const central = new LinePeer()
    central.listen(0)
    cleanups.push(() => central.stop())
    const process = await relay(dir, {
      env: { CENTRAL_METRICS_SERVER: `127.0.0.1:${central.port}`, HOSTING: 'aws', SERVICE: 'web' },
    })
    const client = await LineClient.connect({ port: process.port })
    await client.send(`a.b 1.50 ${NOW}\n`)
    await until('the line', () => central.lines.includes(`aws.web.a.b 1.5 ${NOW}`))
    await client.send(`a.b 2.50 ${NOW}\n`)
    await until('the next as it came', () => central.lines.includes(`aws.web.a.b 2.50 ${NOW}`))
  })

  test('relay to relay: acknowledged through to the far store', async () => {
    const far = dataDir()
    const near = dataDir()
    const farStore = await store(far)
    await store(near)
    const central = await relay(far)
    const local = await relay(near, {
      env: { CENTRAL_METRICS_SERVER: `127.0.0.1:${central.port}`, HOSTING: 'h', SERVICE: 's' },
    })
    const client = await LineClient.connect({ port: local.port })
    for (let i = 0; i < 200; i++) await client.send(`n.${i % 20} ${i} ${NOW - i}\n`)
    await until('all there', () => farStore.points === 200)
    expect(farStore.value('h.s.n.3', NOW - 3)).toBe(3)
    await until('nothing waits', async () => (await local.metrics()).get('metricsQueued') === 0)
  })
})

describe('nothing is lost', () => {
  test('store down: spooled, delivered in order when it comes', async () => {
    const dir = dataDir()
    const process = await relay(dir)
    const client = await LineClient.connect({ port: process.port })
    for (let i = 0; i < 2_000; i++) await client.send(`a.n${i % 50} ${i} ${NOW - 2_000 + i}\n`)
    await until('spooled', async () =>
      [...(await process.metrics())].some(([name, v]) => name.endsWith('_spooled') && v === 2_000),
    )
    const peer = await store(dir)
    await until('delivered', () => peer.points === 2_000)
    expect(peer.distinct).toBe(2_000)
    await until('the spool is gone', async () =>
      [...(await process.metrics())].some(([name, v]) => name.endsWith('_spoolBytes') && v === 0),
    )
  })

  test('TERM with a queue, then kill -9 with a spool: everything comes after the restart', async () => {
    const dir = dataDir()
    const first = await relay(dir)
    const client = await LineClient.connect({ port: first.port })
    let text = ''
    for (let i = 0; i < 20_000; i++) text += `term.n${i % 100} ${i} ${NOW - 20_000 + i}\n`
    await client.send(text)
    await until('read', async () => (await first.metrics()).get('metricsReceived') === 20_000)
    expect(await stopRelay(first)).toBe(0)
    const second = await relay(dir)
    const again = await LineClient.connect({ port: second.port })
    await again.send(text.replaceAll('term.', 'kill.'))
    await until('read', async () => (await second.metrics()).get('metricsReceived') === 20_000)
    await Bun.sleep(250)
    second.signal('SIGKILL')
    await second.exited
    const peer = await store(dir)
    await relay(dir)
    await until('both halves', () => peer.distinct === 40_000)
    expect(peer.points).toBe(40_000)
  }, 30_000)

  test('frames that are written but not synced come again after the store lost them', async () => {
    const dir = dataDir()
    const peer = await store(dir)
    peer.syncing = false
    const process = await relay(dir)
    const client = await LineClient.connect({ port: process.port })
    for (let i = 0; i < 100; i++) await client.send(`p.n${i} ${i} ${NOW}\n`)
    await until('written', () => peer.points === 100)
    peer.stop()
    const after = await store(dir)
    await until('all again', () => after.distinct === 100)
  })

  test('a plain carbon that resets connections misses no line', async () => {
    const dir = dataDir()
    const carbon = new LinePeer()
    carbon.listen(0)
    cleanups.push(() => carbon.stop())
    const conf = `cluster c forward 127.0.0.1:${carbon.port};\nmatch * send to c;\n`
    const process = await relay(dir, { conf })
    const client = await LineClient.connect({ port: process.port })
    const COUNT = 20_000
    for (let i = 0; i < COUNT; i += 100) {
      let text = ''
      for (let j = i; j < i + 100; j++) text += `r.n${j} ${j} ${NOW}\n`
      await client.send(text)
      if (i % 4_000 === 0) carbon.reset()
      await Bun.sleep(5)
    }
    await until('all lines', () => new Set(carbon.lines).size === COUNT)
    expect(carbon.connections).toBeGreaterThan(3)
  }, 20_000)
})

describe('aggregation', () => {
  test('frames that come twice count once, and a bucket outlives kill -9', async () => {
    const far = dataDir()
    const near = dataDir()
    await store(near)
    const farStore = await store(far)
    const conf = `cluster s forward "${far}/run/points.sock" proto unix type emon;
      aggregate ^h\\.s\\.a\\..*$ every 2 seconds expire after 4 seconds compute sum write to total send to s stop;
      match * send to s;`
    const port = await freePort()
    const env = { EMON_RELAY_PORT: String(port) }
    const first = await relay(far, { conf, env })
    const local = await relay(near, {
      env: { CENTRAL_METRICS_SERVER: `127.0.0.1:${port}`, HOSTING: 'h', SERVICE: 's' },
    })
    const start = Math.ceil(Date.now() / 2000) * 2
    const client = await LineClient.connect({ port: local.port })
    for (let i = 0; i < 50; i++) await client.send(`a.n${i} 1 ${start}\n`)
    await until(
      'counted',
      async () => (await first.metrics()).get('aggregators_metricsReceived') === 50,
    )
    await Bun.sleep(250)
    first.signal('SIGKILL')
    await first.exited
    for (let i = 50; i < 60; i++) await client.send(`a.n${i} 1 ${start}\n`)
    await relay(far, { env })
    await until('the sum', () => farStore.series.has('total'), 12_000)
    expect([...farStore.series.get('total')!.values()]).toEqual([60])
  }, 20_000)
})

describe('other inputs', () => {
  test('HTTP answers when it is synced, pickle and statsd arrive', async () => {
    const dir = dataDir()
    const peer = await store(dir)
    const [http, pickle, statsd] = [await freePort(), await freePort(), await freePort()]
    await Bun.write(`${dir}/emon.toml`, '[relay]\nstatsd_flush_interval = "1s"\n')
    await relay(dir, {
      env: {
        EMON_RELAY_HTTP_PORT: String(http),
        EMON_PICKLE_PORT: String(pickle),
        EMON_STATSD_PORT: String(statsd),
      },
    })
    const url = `http://127.0.0.1:${http}/lines`
    const answer = await fetch(url, { method: 'POST', body: `h.a 1 ${NOW}\nh.b 2 ${NOW}` })
    expect([answer.status, await answer.text()]).toEqual([200, '2 lines\n'])
    expect(peer.value('h.b', NOW)).toBe(2)
    peer.syncing = false
    const body = Bun.gzipSync(Buffer.from(`h.c 3 ${NOW}\n`))
    const headers = { 'content-encoding': 'gzip' }
    const early = fetch(url, { method: 'POST', body, headers })
    expect(await Promise.race([early, Bun.sleep(400).then(() => 'waits')])).toBe('waits')
    peer.syncing = true
    const client = await LineClient.connect({ port: pickle })
    const points = Buffer.from(`(lp0\n(S'p.a'\n(I${NOW}\nF1.5\ntp1\ntp2\na.`)
    const frame = Buffer.alloc(4)
    frame.writeUInt32BE(points.length)
    await client.send(Buffer.concat([frame, points]))
    await until('the pickled point', () => peer.value('p.a', NOW) === 1.5)
    expect((await early).status).toBe(200)
    const udp = await Bun.udpSocket({ connect: { hostname: '127.0.0.1', port: statsd } })
    udp.send('hits:1|c\nhits:2|c')
    await until(
      'the flush',
      () => [...(peer.series.get('stats_counts.hits')?.values() ?? [])][0] === 3,
    )
    udp.close()
  })

  test('HTTP on loopback takes no lines from a page of another site', async () => {
    const dir = dataDir()
    const peer = await store(dir)
    const http = await freePort()
    const env = { EMON_RELAY_HTTP_PORT: String(http), EMON_RELAY_BIND: '127.0.0.1' }
    await relay(dir, { env })
    const url = `http://127.0.0.1:${http}/lines`
    const send = async (name: string, headers: Record<string, string>): Promise<number> => {
      const body = `${name} 1 ${NOW}\n`
      return (await fetch(url, { method: 'POST', body, headers })).status
    }
    expect(await send('h.foreign', { origin: 'http://evil.example' })).toBe(403)
    const rebound = { host: 'evil.example', origin: 'http://evil.example' }
    expect(await send('h.rebound', rebound)).toBe(403)
    expect(await send('h.own', {})).toBe(200)
    expect([...peer.series.keys()].filter((name) => name.startsWith('h.'))).toEqual(['h.own'])
  })
})
