/** What a relay's port does beside lines: remote queries, tokens; and destinations of type syslog and file. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { FrameReader, FrameType, POINTS_FRAME_BYTES_MAX } from '../../src/ipc/frame-format.ts'
import { appendAuth, decodeHello, queryOpeningLine } from '../../src/ipc/points-format.ts'
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

const cleanups: (() => void | Promise<unknown>)[] = []
const NOW = Math.floor(Date.now() / 1000)

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function dataDir(): string {
  const dir = temporaryDir()
  cleanups.push(() => dir.remove())
  return dir.path
}

async function relay(...args: Parameters<typeof startRelay>): Promise<RelayProcess> {
  const process = await startRelay(...args)
  cleanups.push(() => {
    process.signal('SIGKILL')
    return process.exited
  })
  return process
}

async function textOf(path: string): Promise<string> {
  const file = Bun.file(path)
  return (await file.exists()) ? file.text() : ''
}

/** A query connection that has sent its opening line and, with a token, its proof. */
async function openQuery(port: number, token: string | undefined) {
  const state = { greeted: false, received: '', closed: false }
  const frames = new FrameReader({
    bytesMax: POINTS_FRAME_BYTES_MAX,
    onFrame(frame) {
      expect(frame.type).toBe(FrameType.hello)
      const out = new ByteWriter()
      if (token !== undefined) appendAuth(out, token, decodeHello(frame.payload).nonce)
      out.raw(Buffer.from('at once '))
      socket.write(out.written())
      state.greeted = true
    },
  })
  const socket = await Bun.connect({
    hostname: '127.0.0.1',
    port,
    socket: {
      data(_, bytes) {
        if (state.greeted) state.received += bytes.toString('latin1')
        else frames.feed(bytes)
      },
      close: () => void (state.closed = true),
    },
  })
  socket.write(queryOpeningLine())
  await until('HELLO', () => state.greeted)
  return { state, socket }
}

describe('remote queries', () => {
  function echoingStore(dir: string): void {
    const server = Bun.listen({
      unix: `${dir}/run/query.sock`,
      socket: { data: (socket, bytes) => void socket.write(bytes) },
    })
    cleanups.push(() => server.stop(true))
  }

  test('go to the store and back, with the token', async () => {
    const dir = dataDir()
    const process = await relay(dir, { env: { EMON_TOKEN: 'secret' } })
    echoingStore(dir)
    const { state, socket } = await openQuery(process.port, 'secret')
    socket.write('and later')
    await until('the echo', () => state.received === 'at once and later')
    socket.end()
  })

  test('with a wrong token end', async () => {
    const dir = dataDir()
    const process = await relay(dir, { env: { EMON_TOKEN: 'secret' } })
    echoingStore(dir)
    const { state, socket } = await openQuery(process.port, 'guess')
    socket.write('any bytes')
    await until('the end', () => state.closed)
    expect(state.received).not.toContain('at once')
  })
})

test('a relay without the token is refused, and keeps its points', async () => {
  const far = dataDir()
  const port = await freePort()
  const peer = new PointsPeer()
  await Bun.$`mkdir -p ${far}/run`.quiet()
  peer.listen({ unix: `${far}/run/points.sock` })
  cleanups.push(() => peer.stop())
  await relay(far, { env: { EMON_TOKEN: 'secret', EMON_RELAY_PORT: String(port) } })
  const conf = `cluster c forward 127.0.0.1:${port} type emon; match * send to c;`
  const dir = dataDir()
  const without = await relay(dir, { conf })
  const client = await LineClient.connect({ port: without.port })
  await client.send(`a.b 1 ${NOW}\n`)
  await until('it says why', () => without.log().includes('EMON_TOKEN'))
  expect(peer.points).toBe(0)
  without.signal('SIGTERM')
  await without.exited
  await relay(dir, { env: { EMON_TOKEN: 'secret' } })
  await until('the point', () => peer.points === 1)
})

describe('destinations', () => {
  test('type syslog and file ip put their words in front', async () => {
    const dir = dataDir()
    const carbon = new LinePeer()
    carbon.listen(0)
    cleanups.push(() => carbon.stop())
    const process = await relay(dir, {
      conf: `cluster s forward 127.0.0.1:${carbon.port} type syslog;
        cluster f file "${dir}/plain.txt"; cluster i file ip "${dir}/ip.txt";
        match * send to s f i;`,
    })
    const client = await LineClient.connect({ port: process.port })
    await client.send('a.b 1 1\na..c  2 2\n')
    await until('both lines', () => carbon.lines.length === 2)
    expect(carbon.lines[0]).toMatch(
      /^<30>1 \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z 127\.0\.0\.1 carbon-c-relay - - - a\.b 1 1$/,
    )
    const holds = (name: string, text: string): Promise<void> =>
      until(`${name} holds it`, async () => (await textOf(`${dir}/${name}`)) === text)
    await holds('plain.txt', 'a.b 1 1\na.c 2 2\n')
    await holds('ip.txt', '127.0.0.1 a.b 1 1\n127.0.0.1 a.c 2 2\n')
  })

  test('UDP: whole lines, many in a datagram', async () => {
    const dir = dataDir()
    const datagrams: string[] = []
    const sink = await Bun.udpSocket({
      hostname: '127.0.0.1',
      socket: { data: (_, bytes) => void datagrams.push(bytes.toString('latin1')) },
    })
    cleanups.push(() => sink.close())
    const process = await relay(dir, {
      conf: `cluster u forward 127.0.0.1:${sink.port} proto udp; match * send to u;`,
    })
    const client = await LineClient.connect({ port: process.port })
    let text = ''
    for (let i = 0; i < 100; i++) text += `udp.number${i} ${i} ${NOW}\n`
    await client.send(text)
    await until('all lines', () => datagrams.join('') === text)
    expect(datagrams.length).toBeLessThan(5)
  })
})

test('a listen without an address takes IPv4 and IPv6, and calls addresses by their own names', async () => {
  const dir = dataDir()
  const port = await freePort()
  const process = await relay(dir, {
    conf: `cluster i file ip "${dir}/out"; match * send to i;
      listen type linemode ${port} proto tcp ${port} proto udp;`,
    args: ['-s'],
  })
  for (const hostname of ['127.0.0.1', '::1']) {
    const socket = await Bun.connect({ hostname, port, socket: { data() {} } })
    socket.end('tcp 1 1\n')
    const own = hostname.includes(':') ? '::' : '0.0.0.0'
    const datagrams = await Bun.udpSocket({ hostname: own, connect: { hostname, port } })
    datagrams.send('udp 1 1')
    datagrams.close()
  }
  const received = async () => (await process.metrics()).get('metricsReceived') === 4
  await until('all four', received)
  const out = async () => (await textOf(`${dir}/out`)).split('\n').sort().join('\n')
  const want = ['', '127.0.0.1 tcp 1 1', '127.0.0.1 udp 1 1', '::1 tcp 1 1', '::1 udp 1 1']
  await until('they are written', async () => (await out()) === want.join('\n'))
})

test('destinations are reached over IPv6 too, TCP and UDP', async () => {
  const dir = dataDir()
  const [far, farPort] = [dataDir(), await freePort()]
  const receiver = await relay(far, {
    conf: `cluster b forward 127.0.0.1:1; match * send to blackhole;
      listen type linemode ${farPort} proto tcp ${farPort} proto udp;`,
    args: ['-s'],
  })
  const process = await relay(dir, {
    conf: `cluster t forward [::1]:${farPort}; cluster u forward "[::1]:${farPort}" proto udp;
      match ^t send to t; match ^u send to u;`,
    args: ['-s'],
  })
  const client = await LineClient.connect({ port: process.port })
  await client.send('t.a 1 1\nu.a 1 1\n')
  const received = async () => (await receiver.metrics()).get('metricsReceived') === 2
  await until('both lines', received)
})

test('HUP opens the listeners of the new relay.conf and closes those of the old one', async () => {
  const dir = dataDir()
  const [before, after] = [await freePort(), await freePort()]
  const conf = (port: number): string =>
    `cluster b forward 127.0.0.1:1; match * send to blackhole; listen type linemode 127.0.0.1:${port} proto tcp;`
  const process = await relay(dir, { conf: conf(before) })
  const received = (count: number) => async () =>
    (await process.metrics()).get('metricsReceived') === count
  const client = await LineClient.connect({ port: before })
  await client.send('a.b 1 1\n')
  await until('the connection is accepted', received(1))
  await Bun.write(`${dir}/relay.conf`, conf(after))
  process.signal('SIGHUP')
  await until('it has reloaded', () => process.log().includes('reloaded'))
  await LineClient.connect({ port: after })
  const refused = await LineClient.connect({ port: before }).then(
    () => false,
    () => true,
  )
  expect(refused).toBe(true)
  await client.send('a.b 1 1\n')
  await until('the old connection still counts', received(2))
})
