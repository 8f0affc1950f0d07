/** Names of destinations that come to mean other addresses, against a real name server: no line is lost. */
import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { setServers, getServers } from 'node:dns'
import { type Found, lookUp, remembering } from '../../src/relay/delivery/look-up.ts'
import { SimClock } from '../sim/clock.ts'
import { NameServer } from './name-server.ts'
import {
  freePort,
  LineClient,
  LinePeer,
  type RelayProcess,
  startRelay,
  temporaryDir,
  until,
} from './peers.ts'

/** Other programs start in them, on a machine that may have other work. */
setDefaultTimeout(30_000)

const cleanups: (() => void | Promise<unknown>)[] = []
let server: NameServer

beforeEach(async () => {
  server = await NameServer.start()
  cleanups.push(() => server.stop())
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function carbon(address: string, port: number): LinePeer {
  const peer = new LinePeer()
  peer.listen(port, address)
  cleanups.push(() => peer.stop())
  return peer
}

async function relay(conf: string): Promise<RelayProcess> {
  const dir = temporaryDir()
  const process = await startRelay(dir.path, { conf, env: server.environment, args: ['-s'] })
  cleanups.push(async () => {
    process.signal('SIGKILL')
    await process.exited
    dir.remove()
  })
  return process
}

/** Sends numbered lines until it is told to stop. */
async function stream(process: RelayProcess) {
  const client = await LineClient.connect({ port: process.port })
  const state = { sent: 0, stop: async (): Promise<void> => {} }
  let going = true
  const work = (async () => {
    while (going) {
      let text = ''
      for (let i = 0; i < 10; i++) text += `name.n${state.sent} ${state.sent++} 1\n`
      await client.send(text)
      await Bun.sleep(10)
    }
  })()
  state.stop = async () => {
    going = false
    await work
  }
  cleanups.push(state.stop)
  return state
}

function values(...peers: LinePeer[]): number[] {
  const all = peers.flatMap(({ lines }) => lines.map((line) => Number(line.split(' ')[1])))
  return all.sort((a, b) => a - b)
}

const PATIENT = { timeout: 60_000 }

describe('a long-lived connection', () => {
  test(
    'goes to where the name leads, in order, once each',
    async () => {
      const port = await freePort()
      const [old, young] = [carbon('127.0.0.2', port), carbon('127.0.0.3', port)]
      server.names.set('lb.test', { addresses: ['127.0.0.2'], ttl: 1 })
      const process = await relay(`cluster c forward lb.test:${port}; match * send to c;`)
      const streaming = await stream(process)
      await until('the old one gets lines', () => old.lines.length > 100)
      server.names.set('lb.test', { addresses: ['127.0.0.3'], ttl: 1 })
      await until('the new one gets lines', () => young.lines.length > 100, 30_000)
      await streaming.stop()
      await until('all are there', () => values(old, young).length >= streaming.sent)
      const all = [...old.lines, ...young.lines].map((line) => Number(line.split(' ')[1]))
      expect(all).toEqual(Array.from({ length: streaming.sent }, (_, i) => i))
      expect([old.connections, young.connections]).toEqual([1, 1])
      expect(server.queries).toBeLessThan(10)
    },
    PATIENT,
  )

  test('tries each address of a name', async () => {
    const port = await freePort()
    const peer = carbon('127.0.0.3', port)
    server.names.set('lb.test', { addresses: ['127.0.0.2', '127.0.0.3'], ttl: 60 })
    const process = await relay(`cluster c failover lb.test:${port}; match * send to c;`)
    const streaming = await stream(process)
    await until('lines', () => peer.lines.length > 0)
    await streaming.stop()
    expect(process.log()).not.toContain('destination is gone')
  })
})

describe('useall', () => {
  test(
    'a member that is dead and leaves is followed by another, which gets what the first one missed',
    async () => {
      const port = await freePort()
      const [one, dead] = [carbon('127.0.0.2', port), carbon('127.0.0.3', port)]
      server.names.set('lb.test', { addresses: ['127.0.0.2', '127.0.0.3'], ttl: 1 })
      const process = await relay(`cluster c any_of useall lb.test:${port}; match * send to c;`)
      const streaming = await stream(process)
      await until('both get lines', () => one.lines.length > 50 && dead.lines.length > 50)
      dead.stop()
      await Bun.sleep(500)
      const other = carbon('127.0.0.4', port)
      server.names.set('lb.test', { addresses: ['127.0.0.4', '127.0.0.2'], ttl: 1 })
      await until('the other gets lines', () => other.lines.length > 100, 30_000)
      await Bun.sleep(500)
      await streaming.stop()
      const missing = (): number => streaming.sent - new Set(values(one, dead, other)).size
      await until('no line is missing', () => missing() === 0, 20_000)
      expect(process.log()).toContain('addresses="127.0.0.2 127.0.0.4"')
      const { connections } = one
      expect(connections).toBe(1)
    },
    PATIENT,
  )
})

describe('lookUp()', () => {
  const before = getServers()

  afterEach(() => setServers(before))

  test('keeps to the time to live, within bounds', async () => {
    setServers([server.environment['TEST_NAME_SERVER']!])
    const ok = async (ttl: number, freshMs: number): Promise<void> => {
      server.names.set(`ttl${ttl}.test`, { addresses: ['127.0.0.9'], ttl })
      expect(await lookUp(`ttl${ttl}.test`)).toEqual({ addresses: ['127.0.0.9'], freshMs })
    }
    await ok(0, 5_000)
    await ok(60, 60_000)
    await ok(86_400, 300_000)
    const none = { addresses: [], freshMs: 5_000 }
    expect(await lookUp('unknown.test')).toEqual(none)
  })

  test('knows the hosts file', async () => {
    setServers([server.environment['TEST_NAME_SERVER']!])
    expect((await lookUp('localhost')).addresses).toContain('127.0.0.1')
  })
})

describe('remembering()', () => {
  test('keeps what was known for when nobody knows it, or says so in time', async () => {
    const clock = new SimClock()
    let found = (): Promise<Found> => Promise.resolve({ addresses: ['10.0.0.1'], freshMs: 60_000 })
    const ask = remembering(clock, () => found(), 1_000)
    expect(await ask('a')).toEqual({ addresses: ['10.0.0.1'], freshMs: 60_000 })
    found = () => Promise.resolve({ addresses: [], freshMs: 5_000 })
    expect(await ask('a')).toEqual({ addresses: ['10.0.0.1'], freshMs: 5_000 })
    found = () => new Promise(() => {})
    const late = ask('a')
    await clock.advance(1_000)
    expect(await late).toEqual({ addresses: ['10.0.0.1'], freshMs: 5_000 })
  })
})
