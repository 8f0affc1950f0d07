/**
 * Every input of a real relay with bytes that nobody would send: at random, and good ones with some bytes changed,
 * cut or sent twice. Nothing may end it, and a good line gets through afterwards. (The parsers by themselves are
 * fuzzed beside their tests: dispatcher, pickle, statsd, transports, relay-conf, and frames in test/ipc.)
 */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { freePorts } from '../e2e/stack.ts'
import { MixedLines } from './mixed-lines.ts'
import {
  LineClient,
  LinePeer,
  type RelayProcess,
  startRelay,
  temporaryDir,
  until,
} from './peers.ts'

const RUNS = 30
const OPENING = Buffer.from('emon/1-1,sender=0123456789abcdef\n')
const COMPRESSIONS = ['gzip', 'lz4', 'snappy'] as const
const RESIDENT_BYTES_MAX = 300 * 2 ** 20

const noise = fc.uint8Array({ maxLength: 3_000 })
/** A frame whose length is right, of any type and flags, with anything in it. */
const frame = fc
  .tuple(fc.nat(10), fc.nat(3), fc.uint8Array({ maxLength: 400 }))
  .map(([type, flags, payload]) => {
    const bytes = Buffer.alloc(6 + payload.length)
    bytes.writeUInt32LE(payload.length)
    bytes[4] = type
    bytes[5] = flags
    bytes.set(payload, 6)
    return bytes
  })
const frames = fc.array(frame, { maxLength: 5 }).map((parts) => Buffer.concat([OPENING, ...parts]))

/** `good` with a few bytes changed, perhaps cut short. */
function damaged(good: Uint8Array): fc.Arbitrary<Uint8Array> {
  const change = fc.tuple(fc.nat(good.length - 1), fc.nat(255))
  return fc
    .tuple(fc.array(change, { maxLength: 6 }), fc.nat(good.length))
    .map(([changes, length]) => {
      const bytes = good.slice()
      for (const [at, value] of changes) bytes[at] = value
      return bytes.subarray(0, length)
    })
}

interface Inputs {
  readonly relay: RelayProcess
  readonly streams: readonly (readonly [{ port: number } | { unix: string }, Uint8Array])[]
  readonly datagrams: readonly (readonly [number, Uint8Array])[]
  readonly httpPort: number
}

async function open(dir: string, sink: number): Promise<Inputs> {
  const [line, pickle, statsd, admin, http, ...packed] = (await freePorts(8)) as [
    number,
    number,
    number,
    number,
    number,
    ...number[],
  ]
  const listeners = COMPRESSIONS.map(
    (name, i) => `listen type linemode transport ${name} 127.0.0.1:${packed[i]} proto tcp;\n`,
  )
  const conf =
    `cluster c forward 127.0.0.1:${sink};\nmatch * send to c;\n` +
    `listen type linemode 127.0.0.1:${line} proto tcp 127.0.0.1:${line} proto udp;\n${listeners.join('')}`
  const env = {
    EMON_RELAY_PORT: String(line),
    EMON_PICKLE_PORT: String(pickle),
    EMON_STATSD_PORT: String(statsd),
    EMON_STATSD_ADMIN_PORT: String(admin),
    EMON_RELAY_HTTP_PORT: String(http),
  }
  const relay = await startRelay(dir, { conf, env })
  const mixed = new MixedLines(20_261_126)
  const packedBlocks = await Promise.all(COMPRESSIONS.map((name) => mixed.packed(name)))
  const lines = mixed.plain(30).bytes
  const samples = mixed.statsd(30).bytes
  return {
    relay,
    streams: [
      [{ port: line }, lines],
      [{ unix: `${dir}/run/relay.sock` }, lines],
      [{ port: pickle }, mixed.pickle(30).bytes],
      [{ port: statsd }, samples],
      [{ port: admin }, Buffer.from('counters a.*\ndelgauges b\nhealth up\n')],
      ...packed.map((port, i) => [{ port }, packedBlocks[i]!.bytes] as const),
    ],
    datagrams: [
      [line, lines],
      [statsd, samples],
    ],
    httpPort: http,
  }
}

async function send(where: { port: number } | { unix: string }, bytes: Uint8Array): Promise<void> {
  const client = await LineClient.connect(where)
  await client.send(bytes)
  client.end()
}

test('nothing that comes in by any input ends the relay', async () => {
  const dir = temporaryDir()
  const peer = new LinePeer()
  peer.listen(0)
  const { relay, streams, datagrams, httpPort } = await open(dir.path, peer.port)
  try {
    const runs = { numRuns: RUNS }
    for (const [where, good] of streams) {
      const bytes = fc.oneof(noise, damaged(good), frames)
      await fc.assert(
        fc.asyncProperty(bytes, (given) => send(where, given)),
        runs,
      )
    }
    const udp = await Bun.udpSocket({})
    for (const [port, good] of datagrams) {
      const bytes = fc.oneof(noise, damaged(good))
      const property = fc.property(bytes, (given) => void udp.send(given, port, '127.0.0.1'))
      fc.assert(property, runs)
    }
    udp.close()
    const url = `http://127.0.0.1:${httpPort}/lines`
    const body = fc.oneof(noise, damaged(new MixedLines(1).plain(30).bytes))
    const post = fc.asyncProperty(body, fc.boolean(), async (given, gzip) => {
      const headers: Record<string, string> = gzip ? { 'content-encoding': 'gzip' } : {}
      const answer = await fetch(url, { method: 'POST', body: Buffer.from(given), headers })
      expect([200, 400, 504]).toContain(answer.status)
    })
    await fc.assert(post, { numRuns: 5 })
    await send({ port: relay.port }, Buffer.from('\nafter.all 1 1\n'))
    await until('a good line', () => peer.lines.includes('after.all 1 1'))
    const metrics = await relay.metrics()
    expect(metrics.get('process_residentBytes')!).toBeLessThan(RESIDENT_BYTES_MAX)
  } finally {
    relay.signal('SIGKILL')
    await relay.exited
    peer.stop()
    dir.remove()
  }
}, 60_000)
