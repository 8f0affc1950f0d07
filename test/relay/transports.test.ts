/** Compressed and encrypted transports: codecs by themselves, and one relay to another over each. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import fc from 'fast-check'
import { gzipSync } from 'node:zlib'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { createDecoder, createEncoder } from '../../src/relay/transports/compression.ts'
import { Lz4Decoder } from '../../src/relay/transports/lz4.ts'
import { SnappyDecoder } from '../../src/relay/transports/snappy.ts'
import { freePort, LineClient, PointsPeer, startRelay, temporaryDir, until } from './peers.ts'

/** Two relays start in most of them, on a machine that may have other work. */
setDefaultTimeout(30_000)

const cleanups: (() => void | Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function unpack(kind: 'lz4' | 'snappy', packed: Uint8Array, cut: number): Uint8Array {
  const out = new ByteWriter()
  const decoder = createDecoder(kind, {
    onPlain: (plain) => out.raw(plain),
    onFailure: (reason) => {
      throw new Error(reason)
    },
    onFull() {},
    onDrain() {},
    onEnd() {},
  })
  for (let at = 0; at < packed.length; at += cut) decoder.feed(packed.subarray(at, at + cut))
  return out.copy()
}

function pack(kind: 'lz4' | 'snappy', bytes: Uint8Array): Uint8Array {
  let packed = new Uint8Array(0)
  createEncoder(kind).encode(bytes, (result) => (packed = result.slice()))
  return packed
}

describe.each(['lz4', 'snappy'] as const)('%s', (kind) => {
  test('round trip of anything, in any pieces', () => {
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 500 }),
      fc
        .tuple(fc.uint8Array({ minLength: 1, maxLength: 20 }), fc.nat(9_000))
        .map(([part, times]) => Buffer.concat(Array.from({ length: times }, () => part))),
    )
    fc.assert(
      fc.property(bytes, fc.integer({ min: 1, max: 5_000 }), (plain, cut) => {
        expect(Buffer.from(unpack(kind, pack(kind, plain), cut))).toEqual(Buffer.from(plain))
      }),
      { numRuns: 50 },
    )
  })

  test('lines become much shorter', () => {
    const text = Array.from(
      { length: 500 },
      (_, i) => `servers.host${i % 9}.cpu.user ${i} 1700000000`,
    )
    const plain = Buffer.from(text.join('\n'))
    expect(pack(kind, plain).length).toBeLessThan(plain.length / 2)
  })
})

test('what is no LZ4 frame or snappy block ends in an error, not in a hang', () => {
  const ignore = (): void => undefined
  expect(() => new Lz4Decoder().feed(Buffer.from('a.b 1 2\na.c 1 2\n'), ignore)).toThrow(RangeError)
  expect(() => new SnappyDecoder().feed(Uint8Array.of(255, 255, 255, 255, 255, 9), ignore)).toThrow(
    RangeError,
  )
})

describe('relay to relay', () => {
  const NOW = Math.floor(Date.now() / 1000)

  async function pair(transport: string, listening: string, args: string[] = []): Promise<void> {
    const [far, near] = [temporaryDir(), temporaryDir()]
    cleanups.push(
      () => far.remove(),
      () => near.remove(),
    )
    const peer = new PointsPeer()
    await Bun.$`mkdir -p ${far.path}/run`.quiet()
    peer.listen({ unix: `${far.path}/run/points.sock` })
    cleanups.push(() => peer.stop())
    const port = await freePort()
    const receiver = await startRelay(far.path, {
      conf: `cluster s forward "${far.path}/run/points.sock" proto unix type emon;
        match * send to s;
        listen type linemode transport ${listening} 127.0.0.1:${port} proto tcp;`,
    })
    const sender = await startRelay(near.path, {
      conf: `cluster c forward localhost:${port} transport ${transport}; match * send to c;`,
      args,
    })
    for (const process of [receiver, sender]) cleanups.push(() => process.signal('SIGKILL'))
    const client = await LineClient.connect({ port: sender.port })
    for (let part = 0; part < 5; part++) {
      let text = ''
      for (let i = 0; i < 4_000; i++) text += `t.p${part}.n${i} ${i} ${NOW}\n`
      await client.send(text)
      await Bun.sleep(30)
    }
    await until(`all over ${transport}; ${sender.log()}`, () => peer.points === 20_000)
    expect(peer.value('t.p4.n3999', NOW)).toBe(3_999)
  }

  async function certificate(): Promise<string> {
    const dir = temporaryDir()
    cleanups.push(() => dir.remove())
    const key = `${dir.path}/key.pem`
    const file = `${dir.path}/cert.pem`
    await Bun.$`openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -keyout ${key} -out ${file} -subj /CN=localhost -addext subjectAltName=DNS:localhost`.quiet()
    await Bun.write(
      `${dir.path}/both.pem`,
      (await Bun.file(file).text()) + (await Bun.file(key).text()),
    )
    return dir.path
  }

  test('gzip', () => pair('gzip', 'gzip'))
  test('lz4', () => pair('lz4', 'lz4'))
  test('snappy', () => pair('snappy', 'snappy'))

  test('ssl', async () => {
    const dir = await certificate()
    await pair('plain ssl', `plain ssl ${dir}/both.pem`, ['-C', `${dir}/cert.pem`])
  })

  test('gzip over mtls', async () => {
    const dir = await certificate()
    await pair(`gzip mtls ${dir}/cert.pem ${dir}/key.pem`, `gzip ssl ${dir}/both.pem`, [
      '-C',
      `${dir}/cert.pem`,
    ])
  })

  test('a certificate that nobody signed is refused', async () => {
    const dir = await certificate()
    const near = temporaryDir()
    cleanups.push(() => near.remove())
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      tls: { cert: Bun.file(`${dir}/cert.pem`), key: Bun.file(`${dir}/key.pem`) },
      socket: { data() {} },
    })
    cleanups.push(() => server.stop(true))
    const process = await startRelay(near.path, {
      conf: `cluster c forward localhost:${server.port} transport plain ssl; match * send to c;`,
    })
    cleanups.push(() => process.signal('SIGKILL'))
    await until('the warning', () => process.log().includes('TLS: '))
  })

  test('a gzip bomb of one line costs nothing', async () => {
    const far = temporaryDir()
    cleanups.push(() => far.remove())
    const port = await freePort()
    const receiver = await startRelay(far.path, {
      conf: `cluster b forward 127.0.0.1:1; match * send to blackhole;
        listen type linemode transport gzip 127.0.0.1:${port} proto tcp;`,
    })
    cleanups.push(() => receiver.signal('SIGKILL'))
    const client = await LineClient.connect({ port })
    await client.send(gzipSync(Buffer.alloc(200_000_000, 'a')))
    await until(
      'discarded',
      async () => ((await receiver.metrics()).get('metricsDiscarded') ?? 0) >= 1,
    )
    const resident = (await receiver.metrics()).get('process_residentBytes')!
    expect(resident).toBeLessThan(200_000_000)
  })
})
