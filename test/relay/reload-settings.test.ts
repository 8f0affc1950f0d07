/** HUP with another emon.toml: what destinations and statsd were opened with changes while they go on. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { forwardTo } from './fault-scene.ts'
import {
  freePort,
  LineClient,
  LinePeer,
  PointsPeer,
  type RelayProcess,
  startRelay,
  temporaryDir,
  until,
} from './peers.ts'

/** Other programs start in them, on a machine that may have other work. */
setDefaultTimeout(30_000)

const NOW = Math.floor(Date.now() / 1000)
const cleanups: (() => unknown)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

interface Running extends RelayProcess {
  /** Goes on with these settings. */
  reload(settings: string): Promise<void>
}

async function relay(
  conf: string,
  settings: string,
  env: Record<string, string> = {},
): Promise<Running> {
  const dir = temporaryDir()
  await Bun.write(`${dir.path}/emon.toml`, settings)
  const process = await startRelay(dir.path, { conf, env, args: ['-s'] })
  cleanups.push(async () => {
    process.signal('SIGKILL')
    await process.exited
    dir.remove()
  })
  return {
    ...process,
    async reload(changed) {
      await Bun.write(`${dir.path}/emon.toml`, changed)
      const count = process.log().split(' reloaded').length
      process.signal('SIGHUP')
      await until('it has reloaded', () => process.log().split(' reloaded').length > count)
    },
  }
}

function carbon(): LinePeer {
  const peer = new LinePeer()
  peer.listen(0)
  cleanups.push(() => peer.stop())
  return peer
}

function points(port: number): PointsPeer {
  const peer = new PointsPeer()
  peer.listen({ hostname: '127.0.0.1', port })
  cleanups.push(() => peer.stop())
  return peer
}

async function clientOf({ port }: { port: number }): Promise<LineClient> {
  const client = await LineClient.connect({ port })
  cleanups.push(() => client.end())
  return client
}

function lines(count: number): string {
  return Array.from({ length: count }, (_, i) => `n.${i} ${i} ${NOW}\n`).join('')
}

describe('destinations', () => {
  test('spool_age_max', async () => {
    const port = await freePort()
    const process = await relay(forwardTo(port), '')
    const client = await clientOf(process)
    await client.send(lines(100))
    const label = `destinations_127_0_0_1_${port}`
    const queued = async () => (await process.metrics()).get(`${label}_queued`)
    await until('they wait', async () => (await queued()) === 100)
    await Bun.sleep(1_200)
    await process.reload('relay.spool_age_max = "1s"')
    await until('they are given up', async () => (await queued()) === 0)
    expect((await process.metrics()).get(`${label}_dropped`)).toBe(100)
    expect(client.closed).toBe(false)
    expect(process.log()).toContain('+ spool_age_max = 1')
  })

  test('spool_max', async () => {
    const port = await freePort()
    const process = await relay(forwardTo(port), '')
    const client = await clientOf(process)
    const label = `destinations_127_0_0_1_${port}`
    const bytes = async () => (await process.metrics()).get(`${label}_spoolBytes`)!
    const line = `${'long.'.repeat(200)}n 1 ${NOW}\n`
    for (let i = 0; i < 20; i++) await client.send(line.repeat(1_000))
    await until('they are on disk', async () => (await bytes()) > 20_000_000)
    await process.reload('relay.spool_max = "9MiB"')
    await until('the oldest are given up', async () => (await bytes()) < 10_000_000)
    expect((await process.metrics()).get(`${label}_dropped`)).toBeGreaterThan(5_000)
  })

  test('resend_window, on the connection that there is', async () => {
    const peer = carbon()
    const process = await relay(forwardTo(peer.port), '')
    const client = await clientOf(process)
    await client.send('first 1 1\n')
    await until('the first', () => peer.lines.length === 1)
    await process.reload('relay.resend_window = 0')
    await client.send('second 1 1\n')
    await until('the second', () => peer.lines.length === 2)
    await Bun.sleep(200)
    expect(peer.connections).toBe(1)
    peer.reset()
    await until('it comes again', () => peer.connections === 2)
    await client.send('third 1 1\n')
    await until('the third', () => peer.lines.includes('third 1 1'))
    expect(peer.lines).toEqual(['first 1 1', 'second 1 1', 'third 1 1'])
  })

  test('replay_rate, in the middle of a replay', async () => {
    const peer = carbon()
    peer.stop()
    const process = await relay(forwardTo(peer.port), 'relay.replay_rate = 10')
    const client = await clientOf(process)
    for (let i = 0; i < 10; i++) {
      await client.send(lines(1_000))
      await Bun.sleep(30)
    }
    await Bun.sleep(300)
    peer.listen()
    await until('the replay begins', () => peer.lines.length > 0)
    await Bun.sleep(500)
    expect(peer.lines.length).toBeLessThan(9_000)
    await process.reload('relay.replay_rate = 1000000')
    await until('all is there', () => peer.lines.length === 10_000)
    expect(peer.connections).toBe(1)
  })

  test('max_future', async () => {
    const port = await freePort()
    const peer = points(port)
    const process = await relay(forwardTo(port, 'emon'), 'store.max_future = "1h"')
    const client = await clientOf(process)
    await client.send(`early 1 ${NOW + 7_200}\nnow 1 ${NOW}\n`)
    await until('what is of now', () => peer.points === 1)
    await process.reload('store.max_future = "3h"')
    await client.send(`early 2 ${NOW + 7_200}\n`)
    await until('what is early', () => peer.value('early', NOW + 7_200) === 2)
    expect(client.closed).toBe(false)
  })

  test('token: what was refused is taken, what was taken is not interrupted', async () => {
    const sink = carbon()
    const central = await relay(forwardTo(sink.port), 'token = "new"')
    const process = await relay(forwardTo(central.port, 'emon'), 'token = "old"')
    const client = await clientOf(process)
    await client.send('first 1 1700000000\n')
    await until('it is refused', () => process.log().includes('token'))
    expect(sink.lines).toEqual([])
    await process.reload('token = "new"')
    await until('it is taken', () => sink.lines.length === 1)
    const disconnects = async () => (await central.metrics()).get('disconnects')
    const before = await disconnects()
    await central.reload('token = "newer"')
    await process.reload('token = "newer"')
    await client.send('second 1 1700000000\n')
    await until('the second', () => sink.lines.length === 2)
    expect(await disconnects()).toBe(before)
  })
})

test('statsd: interval, percentiles, namespaces and idle keys change, and nothing gathered is lost', async () => {
  const peer = carbon()
  const statsdPort = await freePort()
  const before = 'relay.statsd_flush_interval = "2s"'
  const process = await relay(forwardTo(peer.port), before, {
    EMON_STATSD_PORT: String(statsdPort),
  })
  const client = await clientOf({ port: statsdPort })
  const of = (name: string): string[] => peer.lines.filter((line) => line.startsWith(`${name} `))
  await client.send('hits:4|c\nlevel:7|g\ntook:5|ms\n')
  await until('they are gathered', async () => {
    return (await process.metrics()).get('statsd_samples') === 3
  })
  await process.reload(`
[relay]
statsd_flush_interval = "1s"
statsd_percentiles = "75"
statsd_legacy_namespace = false
statsd_delete_idle = true
`)
  await until('the flush that was due', () => of('stats_counts.hits').length === 1)
  expect(of('stats.hits')[0]).toStartWith('stats.hits 2 ')
  expect(of('stats.timers.took.upper_90').length).toBe(1)
  await client.send('hits:4|c\ntook:5|ms\n')
  await until('the next one', () =>
    of('stats.counters.hits.count').some((line) => / 4 /.test(line)),
  )
  expect(of('stats.counters.hits.rate').at(-1)).toStartWith('stats.counters.hits.rate 4 ')
  expect(of('stats.timers.took.upper_75').length).toBeGreaterThan(0)
  expect(of('stats.gauges.level').length).toBeGreaterThan(0)
  const seen = of('stats.counters.hits.count').length
  await Bun.sleep(2_500)
  expect(of('stats.counters.hits.count').length).toBe(seen)
  expect(client.closed).toBe(false)
})
