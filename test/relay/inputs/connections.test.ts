/** Connections of a listener, over real sockets in time that the test turns. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import type { Log } from '../../../src/lib/log.ts'
import { Connections, type ConnectionHandler } from '../../../src/relay/inputs/connections.ts'
import { WallTimes } from '../../../src/relay/wall-times.ts'
import { SimClock } from '../../sim/clock.ts'
import { Authority } from '../certificates.ts'
import { until } from '../peers.ts'

/** Other programs start in them, on a machine that may have other work. */
setDefaultTimeout(30_000)

const cleanups: (() => void)[] = []

afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup()
})

function setUp(options: { connectionsMax?: number; tls?: Bun.TLSOptions; frames?: string } = {}) {
  const clock = new SimClock()
  const warnings: string[] = []
  const warn: Log['warn'] = (text, fields) => void warnings.push(`${text} ${fields?.['why']}`)
  const counter = () => ({ value: 0 })
  const counters = {
    connections: counter(),
    disconnects: counter(),
    refused: counter(),
    handshakes: counter(),
  }
  const log = { debug() {}, info() {}, warn, error() {} }
  const wallTimes = new WallTimes(clock)
  const connections = new Connections(
    { clock, log, wallTimes, disconnectIdle: true, counters },
    options.connectionsMax ?? 10,
  )
  let received = ''
  let closed = 0
  const accept = (): ConnectionHandler => ({
    get isAcknowledged() {
      return options.frames !== undefined && received.includes(options.frames)
    },
    receive: (bytes) => void (received += Buffer.from(bytes).toString()),
    drain() {},
    closed: () => void closed++,
  })
  const listening = { accept, tls: options.tls }
  const socket = connections.handlers(() => listening)
  const server = Bun.listen({ hostname: '127.0.0.1', port: 0, socket })
  cleanups.push(() => server.stop(true))
  return {
    clock,
    connections,
    counters,
    warnings,
    port: server.port,
    received: () => received,
    closed: () => closed,
  }
}

async function connect(port: number, onEnd: (socket: Bun.Socket) => void = () => {}) {
  const state = { closed: false }
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    allowHalfOpen: true,
    socket: { data() {}, end: onEnd, close: () => void (state.closed = true), error() {} },
  })
  cleanups.push(() => socket.terminate())
  return Object.assign(state, { socket })
}

const LAST_READ = { silentMs: 100, mostMs: 1_500 }

/** Turns time until it is done. */
async function turnUntil(clock: SimClock, work: Promise<void>): Promise<void> {
  let done = false
  const ending = work.then(() => (done = true))
  await until('time has been turned', async () => {
    await clock.advance(5)
    return done
  })
  await ending
}

describe('finish()', () => {
  test('says at once that it is over, and reads what clients answer', async () => {
    const { clock, connections, port, received, closed } = setUp()
    const client = await connect(port, (socket) => void socket.end('last'))
    client.socket.write('first ')
    await until('the first bytes', () => received() === 'first ')
    const leaving = connections.finish(LAST_READ)
    await until('the last bytes', () => received() === 'first last' && closed() === 1)
    await turnUntil(clock, leaving)
  })

  test('closes who is silent, and who is not when time is up', async () => {
    const { clock, connections, port, received, closed } = setUp()
    const silent = await connect(port)
    const talking = await connect(port)
    const talk = setInterval(() => talking.socket.write('x'), 1)
    cleanups.push(() => clearInterval(talk))
    await until('something', () => received() !== '')
    await turnUntil(clock, connections.finish(LAST_READ))
    expect(closed()).toBe(2)
    expect(clock.monotonicMs()).toBeLessThanOrEqual(2_100)
    await until('both notice', () => {
      silent.socket.write('y')
      return silent.closed && talking.closed
    })
    expect(received()).not.toContain('y')
  })

  test('a client whose window is shut is told at once, and all that was received is read', async () => {
    const { clock, connections, counters, port, received, closed } = setUp()
    const client = await connect(port)
    await until('it is accepted', () => counters.connections.value === 1)
    const chunk = Buffer.alloc(1 << 20, 'x')
    let written = 0
    for (let taken = 1; taken > 0;) written += taken = Math.max(0, client.socket.write(chunk))
    expect(written).toBeGreaterThan(0)
    await turnUntil(clock, connections.finish({ silentMs: 0, mostMs: 0 }))
    expect(closed()).toBe(1)
    await until('it notices', () => client.closed)
    expect(received().length).toBeGreaterThan(0)
  })

  test('reads no further what is acknowledged, and leaves it open for its answer', async () => {
    const { clock, connections, port, received, closed } = setUp({ frames: 'frame' })
    const sender = await connect(port)
    sender.socket.write('frame')
    await until('the frame', () => received() === 'frame')
    const leaving = connections.finish(LAST_READ)
    sender.socket.write('another')
    await turnUntil(clock, leaving)
    await Bun.sleep(20)
    expect([received(), closed(), sender.closed]).toEqual(['frame', 0, false])
    connections.closeAll()
    await until('it is closed', () => closed() === 1)
  })
})

describe('limits', () => {
  test('connections beyond connections_max are closed and counted', async () => {
    const { port, counters } = setUp({ connectionsMax: 2 })
    for (let i = 0; i < 2; i++) await connect(port)
    const third = await connect(port)
    await until('the third is out', () => third.closed)
    expect([counters.connections.value, counters.refused.value]).toEqual([2, 1])
  })

  test('a client that does not finish its TLS handshake within ten seconds is closed', async () => {
    const authority = await Authority.create()
    cleanups.push(() => authority.remove())
    const both = Bun.file((await authority.issue('localhost')).both)
    const { clock, port, counters, warnings } = setUp({ tls: { cert: both, key: both } })
    const client = await connect(port)
    await until('it is in', () => counters.connections.value === 1)
    await clock.advance(9_900)
    expect(counters.handshakes.value).toBe(0)
    await clock.advance(200)
    expect(counters.handshakes.value).toBe(1)
    expect(warnings).toEqual(['TLS connection refused no handshake within 10000 ms'])
    await until('it is out', () => client.closed)
  })

  test('a client that speaks no TLS where it is wanted is closed; of many a line a second is logged', async () => {
    const authority = await Authority.create()
    cleanups.push(() => authority.remove())
    const both = Bun.file((await authority.issue('localhost')).both)
    const { port, counters, warnings, received } = setUp({ tls: { cert: both, key: both } })
    for (let i = 0; i < 5; i++) (await connect(port)).socket.write('a.b 1 1\n')
    await until('all are refused', () => counters.handshakes.value === 5)
    expect(warnings.length).toBe(1)
    expect(received()).toBe('')
  })

  test('a client that is silent for ten minutes is closed', async () => {
    const { clock, port, counters, closed } = setUp()
    await connect(port)
    await until('it is in', () => counters.connections.value === 1)
    await clock.advance(601_000)
    expect(closed()).toBe(0)
    await clock.advance(30_000)
    await until('it is out', () => closed() === 1)
  })
})
