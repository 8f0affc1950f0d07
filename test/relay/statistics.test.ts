/** The relay's own numbers: under carbon-c-relay's names, as live ones send them, and what they mean. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync, readFileSync } from 'node:fs'
import { Stats } from '../../src/lib/stats.ts'
import { Reporter } from '../../src/relay/statistics.ts'
import { WallTimes } from '../../src/relay/wall-times.ts'
import { SimClock } from '../sim/clock.ts'
import { CarbonRelay, missing } from './carbon-c-relay.ts'
import { freePort, LineClient, startRelay, temporaryDir, until } from './peers.ts'

/** Other programs start in them, on a machine that may have other work. */
setDefaultTimeout(30_000)

const cleanups: (() => void | Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

describe('WallTimes', () => {
  test('what dispatching sets off at once counts as sending, the rest is sleep', () => {
    let nowMs = 0
    const times = new WallTimes(Object.assign(new SimClock(), { monotonicMs: () => nowMs }))
    const spend = (ms: number): void => void (nowMs += ms)
    spend(100)
    const { beginning } = times
    spend(5)
    expect(times.send(() => spend(3))).toBe(3)
    spend(2)
    times.dispatched(beginning)
    expect(times.dispatchingMs).toBe(7)
    expect(times.sendingMs).toBe(3)
    expect(times.sleepingMs).toBe(100)
  })
})

describe('Reporter', () => {
  test('with reset counters, counters are differences, gauges what they are', () => {
    const clock = new SimClock()
    const stats = new Stats()
    const sent: [string, number][] = []
    let elsewhere = 5
    stats.counter('metricsReceived').value = 10
    stats.total('metricsSent', () => elsewhere)
    stats.gauge('metricsQueued', () => 3)
    const reporter = new Reporter({
      clock,
      stats,
      results: { send: (_, name, value) => void sent.push([name, value]) },
      sendTo: undefined,
      prefix: 'p',
      resetCounters: true,
    })
    reporter.report()
    elsewhere = 6
    reporter.report()
    expect(sent).toEqual([
      ['p.metricsQueued', 3],
      ['p.metricsReceived', 10],
      ['p.metricsSent', 5],
      ['p.metricsQueued', 3],
      ['p.metricsReceived', 0],
      ['p.metricsSent', 1],
    ])
  })
})

describe.skipIf(missing)('beside carbon-c-relay', () => {
  /** There is one loop here, and nothing between it and what it makes itself. */
  const NOT_HERE = /\.(?:dispatcher(?:[2-9]|\d\d+)|destinations\.internal)\./

  function conf(out: string, refusing: number): string {
    return `cluster out file ${out};
      cluster away forward 127.0.0.1:${refusing} 127.0.0.2:${refusing} proto udp;
      statistics submit every 1 seconds;
      aggregate ^stat.peer every 1 seconds expire after 2 seconds compute sum write to a.sum;
      match ^stat.hole send to blackhole stop;
      match ^stat.bad validate ^nan else drop;
      match ^stat.half validate ^2 else log send to out;
      match ^stat.half send to blackhole;
      match * send to out away;`
  }

  function lines(): string {
    const now = Math.floor(Date.now() / 1000)
    const of = (name: string, count: number): string => `stat.${name} 1 ${now}\n`.repeat(count)
    const blackholed = of('hole', 8) + of('bad', 8) + of('half', 4)
    return of('peer', 300) + blackholed + 'nothing\n\n   \n...\n'.repeat(3)
  }

  function values(text: string): Map<string, number> {
    const found = new Map<string, number>()
    for (const [, name, value] of text.matchAll(/^(carbon\.relays\.\S+) (\S+) \d+$/gm)) {
      found.set(name!, Number(value))
    }
    return found
  }

  test('every name that it sends is sent here, and counts the same', async () => {
    const refusing = await freePort()
    const dir = temporaryDir()
    cleanups.push(() => dir.remove())
    const ours = `${dir.path}/out`
    const theirs = await CarbonRelay.start((_, dir) => conf(`${dir}/out`, refusing), ['-H', 'h.x'])
    cleanups.push(() => theirs.stop())
    const process = await startRelay(dir.path, {
      conf: conf(ours, refusing),
      args: ['-H', 'h.x'],
    })
    cleanups.push(async () => {
      process.signal('SIGKILL')
      await process.exited
    })
    await theirs.send(lines())
    const client = await LineClient.connect({ port: process.port })
    await client.send(lines())
    const dispatched = (found: Map<string, number>): boolean =>
      found.get('carbon.relays.h_x.dispatcher1.metricsBlackholed') === 20 &&
      (found.get('carbon.relays.h_x.dispatcher1.wallTime_us') ?? 0) > 0
    const read = (): [Map<string, number>, Map<string, number>] => [
      values(theirs.output()),
      values(existsSync(ours) ? readFileSync(ours, 'latin1') : ''),
    ]
    await until('both have reported', () => read().every(dispatched), 20_000)
    const [want, got] = read()
    const common = (name: string): string =>
      [theirs.outputPath, ours].reduce(
        (text, path) => text.replace(path.replaceAll(/[^A-Za-z0-9-]/g, '_'), 'OUT'),
        name,
      )
    const names = new Set([...got.keys()].map(common))
    const absent = [...want.keys()].filter((n) => !NOT_HERE.test(n) && !names.has(common(n)))
    expect(absent).toEqual([])
    for (const same of ['dispatcher1.metricsDiscarded', 'metricsDiscarded', 'metricsBlackholed']) {
      const name = `carbon.relays.h_x.${same}`
      expect([name, got.get(name)]).toEqual([name, want.get(name)])
    }
    expect(got.get('carbon.relays.h_x.metricsReceived')).toBe(320)
    for (const busy of ['dispatch_wallTime_us', 'dispatch_sleepTime_us', 'server_wallTime_us']) {
      expect(got.get(`carbon.relays.h_x.${busy}`)).toBeGreaterThan(0)
    }
    const prometheus = await process.metrics()
    for (const name of got.keys()) {
      const short = name.replace('carbon.relays.h_x.', '').replaceAll(/[^A-Za-z0-9_]/g, '_')
      expect([short, prometheus.has(short)]).toEqual([short, true])
    }
  }, 30_000)
})
