/** TLS in both directions against OpenSSL and carbon-c-relay: limits, certificates, and their change at HUP. */
import { afterAll, afterEach, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { ConfigError } from '../../src/daemon.ts'
import { realDisk } from '../../src/lib/disk.ts'
import type { ListenerTransport } from '../../src/relay/config/routing.ts'
import { listenerTls } from '../../src/relay/transports/tls.ts'
import { Authority } from './certificates.ts'
import { CarbonRelay, missing } from './carbon-c-relay.ts'
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

type Issued = Awaited<ReturnType<Authority['issue']>>

const cleanups: (() => void | Promise<unknown>)[] = []
let authority: Authority
let stranger: Authority
let server: Issued

beforeAll(async () => {
  authority = await Authority.create()
  stranger = await Authority.create()
  server = await authority.issue('localhost')
})

afterAll(() => {
  authority.remove()
  stranger.remove()
})

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

async function relay(conf: string, ...args: string[]): Promise<RelayProcess> {
  const dir = temporaryDir()
  const process = await startRelay(dir.path, { conf, args })
  cleanups.push(async () => {
    process.signal('SIGKILL')
    await process.exited
    dir.remove()
  })
  return process
}

/** `openssl s_client`, with what it prints of the handshake. */
class OpenSsl {
  private readonly child: Bun.Subprocess<'pipe', 'pipe', 'pipe'>
  private text = ''

  /** `where`: HOST:PORT, or a path. */
  constructor(where: string, options: readonly string[] = []) {
    const place = where.startsWith('/') ? ['-unix', where] : ['-connect', where]
    const args = [...place, '-CAfile', authority.file, '-brief', ...options]
    this.child = Bun.spawn(['openssl', 's_client', ...args], {
      stdin: 'pipe',
      stdout: 'pipe',
      stderr: 'pipe',
    })
    void this.read()
    cleanups.push(() => this.end())
  }

  /** `TLSv1.2 ECDHE-…`; undefined when there was no handshake. */
  async negotiated(): Promise<string | undefined> {
    const ended = /^Peer certificate: .*\n|error|errno/m
    await until('a handshake or its failure', () => ended.test(this.text))
    const [, version] = /^Protocol version: (\S+)/m.exec(this.text) ?? []
    const [, cipher] = /^Ciphersuite: (\S+)/m.exec(this.text) ?? []
    return version === undefined ? undefined : `${version} ${cipher}`
  }

  get subject(): string | undefined {
    return /^Peer certificate: (.*)$/m.exec(this.text)?.[1]
  }

  send(lines: string): void {
    void this.child.stdin.write(lines)
    void this.child.stdin.flush()
  }

  async end(): Promise<void> {
    await this.child.stdin.end()
    this.child.kill()
    await this.child.exited
  }

  private async read(): Promise<void> {
    for await (const chunk of this.child.stderr) this.text += Buffer.from(chunk).toString()
  }
}

function versions(port: number, options: string[]): Promise<string | undefined>[] {
  return ['-tls1', '-tls1_1', '-tls1_2', '-tls1_3'].map((version) => {
    const old = ['-tls1', '-tls1_1'].includes(version) ? ['-cipher', 'DEFAULT@SECLEVEL=0'] : []
    return new OpenSsl(`localhost:${port}`, [version, ...old, ...options]).negotiated()
  })
}

describe('protomin, protomax, ciphers', () => {
  const NONE = undefined
  const cases: [limits: string, spoken: (RegExp | undefined)[]][] = [
    ['', [NONE, NONE, /^TLSv1\.2/, /^TLSv1\.3/]],
    ['protomin tls1.3', [NONE, NONE, NONE, /^TLSv1\.3/]],
    ['protomax tls1.2', [NONE, NONE, /^TLSv1\.2/, NONE]],
    ['protomin tls1.1 protomax tls1.1', [NONE, /^TLSv1\.1/, NONE, NONE]],
    ['protomin ssl3', [/^TLSv1 /, /^TLSv1\.1/, /^TLSv1\.2/, /^TLSv1\.3/]],
    ['protomax tls1.0', [/^TLSv1 /, NONE, NONE, NONE]],
    [
      'ciphers "ECDHE-ECDSA-CHACHA20-POLY1305"',
      [NONE, NONE, /^TLSv1\.2 ECDHE-ECDSA-CHACHA20-POLY1305$/, /^TLSv1\.3 TLS_AES/],
    ],
    [
      'protomax tls1.2 ciphers "ECDHE-ECDSA-AES128-GCM-SHA256"',
      [NONE, NONE, /^TLSv1\.2 ECDHE-ECDSA-AES128-GCM-SHA256$/, NONE],
    ],
  ]

  test('are kept, as openssl s_client finds', async () => {
    const ports = await Promise.all(cases.map(() => freePort()))
    const listeners = cases.map(
      ([limits], i) =>
        `listen type linemode transport plain ssl ${server.both} ${limits} 127.0.0.1:${ports[i]} proto tcp;`,
    )
    await relay(`cluster c forward 127.0.0.1:1; match * send to blackhole; ${listeners.join('\n')}`)
    for (const [i, [limits, spoken]] of cases.entries()) {
      const found = await Promise.all(versions(ports[i]!, []))
      for (const [k, want] of spoken.entries()) {
        const got = found[k] ?? 'none'
        expect(got, limits).toMatch(want ?? /^none$/)
      }
    }
  })

  test('a cipher that is not on the list is refused', async () => {
    const port = await freePort()
    const process = await relay(`cluster c forward 127.0.0.1:1; match * send to blackhole;
      listen type linemode transport plain ssl ${server.both} ciphers "ECDHE-ECDSA-AES128-GCM-SHA256" 127.0.0.1:${port} proto tcp;`)
    const options = ['-tls1_2', '-cipher', 'ECDHE-ECDSA-AES256-GCM-SHA384']
    expect(await new OpenSsl(`localhost:${port}`, options).negotiated()).toBeUndefined()
    expect((await process.metrics()).get('tlsRefused')).toBe(1)
    expect(process.log()).toContain('TLS connection refused')
  })
})

describe('what cannot be had is refused', () => {
  const ALL = 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256'

  function bad(given: Partial<ListenerTransport>, message: RegExp): void {
    let complaint = ''
    try {
      listenerTls({ disk: realDisk, authorities: undefined }, transport(given))
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      complaint = error.message
    }
    expect(complaint).toMatch(message)
  }

  function transport(given: Partial<ListenerTransport>): ListenerTransport {
    const limits = { protocolMin: undefined, protocolMax: undefined }
    const none = { ciphers: undefined, cipherSuites: undefined }
    const files = { certificate: server.both, key: server.both }
    return { compression: 'plain', tls: 'ssl', ...files, ...limits, ...none, ...given }
  }

  test('versions', () => {
    bad({ protocolMax: 'ssl3' }, /SSL 3 is not spoken here/)
    bad(
      { protocolMin: 'tls1.3', protocolMax: 'tls1.2' },
      /protomin tls1.3 is above protomax tls1.2/,
    )
  })

  test('ciphers', () => {
    bad({ ciphers: 'NO-SUCH-CIPHER' }, /NO_CIPHER_MATCH/)
  })

  test('cipher suites of TLS 1.3, unless all or where it is not spoken', () => {
    bad({ cipherSuites: 'TLS_AES_256_GCM_SHA384' }, /offering TLS_AES_128_GCM_SHA256, TLS_CHACHA20/)
    bad({ cipherSuites: `${ALL}:TLS_NONSENSE` }, /"TLS_NONSENSE" is no cipher suite of TLS 1.3/)
    const source = { disk: realDisk, authorities: undefined }
    expect(listenerTls(source, transport({ cipherSuites: ALL }))).toBeDefined()
    const old = { cipherSuites: 'TLS_AES_256_GCM_SHA384', protocolMax: 'tls1.2' } as const
    expect(listenerTls(source, transport(old))).toBeDefined()
  })

  test('mtls without -C, files that are no certificates, a key of another', async () => {
    bad({ tls: 'mtls' }, /mtls needs -C/)
    bad({ certificate: import.meta.path }, /TLS of listen … ssl .*NO_START_LINE/)
    bad({ certificate: '/nowhere.pem' }, /certificate file \/nowhere.pem cannot be read/)
    const other = await authority.issue('other')
    const mixed = `${authority.dir}/mixed.pem`
    const parts = [server.certificate, other.key].map((path) => Bun.file(path).text())
    await Bun.write(mixed, (await Promise.all(parts)).join(''))
    bad({ certificate: mixed }, /KEY_VALUES_MISMATCH/)
  })

  test('at start with exit code 78, at HUP by keeping what is in force', async () => {
    const dir = temporaryDir()
    cleanups.push(() => dir.remove())
    const port = await freePort()
    const conf = (limits: string): string =>
      `cluster c forward 127.0.0.1:1; match * send to blackhole;
       listen type linemode transport plain ssl ${server.both} ${limits} 127.0.0.1:${port} proto tcp;`
    const refused = await startRelay(dir.path, { conf: conf('protomax ssl3') })
    expect(await refused.exited).toBe(78)
    const process = await relay(conf(''))
    await Bun.write(`${process.dir}/relay.conf`, conf('ciphersuites TLS_AES_128_GCM_SHA256'))
    process.signal('SIGHUP')
    await until('it says so', () => process.log().includes('the configuration in force stays'))
    expect(await new OpenSsl(`localhost:${port}`).negotiated()).toMatch(/^TLSv1\.3/)
  })
})

describe('mtls', () => {
  test('a listener lets in who shows a certificate that -C signed, and nobody else', async () => {
    const port = await freePort()
    const carbon = new LinePeer()
    carbon.listen(0)
    cleanups.push(() => carbon.stop())
    const process = await relay(
      `cluster c forward 127.0.0.1:${carbon.port}; match * send to c;
       listen type linemode transport plain mtls ${server.both} 127.0.0.1:${port} proto tcp;`,
      '-C',
      authority.file,
      '-s',
    )
    const good = await authority.issue('client')
    const wrong = await stranger.issue('client')
    const shown = (one: Issued): string[] => ['-cert', one.certificate, '-key', one.key]
    let refused = 0
    for (const version of ['-tls1_2', '-tls1_3']) {
      for (const options of [[], shown(wrong)]) {
        const client = new OpenSsl(`localhost:${port}`, [version, ...options])
        client.send('bad.client 1 1\n')
        refused++
        const isCounted = async () => (await process.metrics()).get('tlsRefused') === refused
        await until(`${version} ${options.join(' ')} is refused`, isCounted)
      }
      const client = new OpenSsl(`localhost:${port}`, [version, ...shown(good)])
      expect(await client.negotiated()).toBeDefined()
      client.send(`good.client${version} 1 1\n`)
    }
    await until('both good lines', () => carbon.lines.length === 2)
    expect(carbon.lines).toEqual(['good.client-tls1_2 1 1', 'good.client-tls1_3 1 1'])
    expect(process.log()).toMatch(
      /TLS connection refused from=127\.0\.0\.1 why=.*NOT_RETURN_A_CERTIFICATE/,
    )
  })

  test('a destination shows its certificate to who asks, and a new one after its change', async () => {
    const [first, second] = [await authority.issue('first'), await authority.issue('second')]
    const subjects: string[] = []
    const peer = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      tls: {
        cert: Bun.file(server.certificate),
        key: Bun.file(server.key),
        ca: Bun.file(authority.file),
        requestCert: true,
        rejectUnauthorized: true,
      },
      socket: {
        handshake: (socket) => void subjects.push(String(socket.getPeerCertificate().subject?.CN)),
        data: (socket) => socket.terminate(),
        error() {},
      },
    })
    cleanups.push(() => peer.stop(true))
    const [certificate, key] = [`${authority.dir}/own.crt`, `${authority.dir}/own.key`]
    const install = async (one: Issued): Promise<void> => {
      await Bun.write(certificate, Bun.file(one.certificate))
      await Bun.write(key, Bun.file(one.key))
    }
    await install(first)
    const process = await relay(
      `cluster c forward localhost:${peer.port} transport plain mtls ${certificate} ${key}; match * send to c;`,
      '-C',
      authority.file,
    )
    const client = await LineClient.connect({ port: process.port })
    await until('the first certificate', () => subjects.includes('first'))
    await install(second)
    await client.send('a.b 1 1\n')
    await until('the second certificate', () => subjects.includes('second'))
  })
})

test('the name in a destination’s certificate has to be the one that it was called by', async () => {
  const peer = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    tls: { cert: Bun.file(server.certificate), key: Bun.file(server.key) },
    socket: { data() {}, error() {} },
  })
  cleanups.push(() => peer.stop(true))
  const process = await relay(
    `cluster c forward 127.0.0.1:${peer.port} transport plain ssl; match * send to c;`,
    '-C',
    authority.file,
  )
  await until('the warning', () => /why="TLS: .*127\.0\.0\.1/.test(process.log()))
  expect((await process.metrics()).get(`destinations_127_0_0_1_${peer.port}_connected`)).toBe(0)
})

describe('HUP', () => {
  test('a new certificate is for new connections; the others stay, and no line is lost', async () => {
    const port = await freePort()
    const carbon = new LinePeer()
    carbon.listen(0)
    cleanups.push(() => carbon.stop())
    const [first, second] = [await authority.issue('first'), await authority.issue('second')]
    const current = `${authority.dir}/current.pem`
    await Bun.write(current, Bun.file(first.both))
    const process = await relay(
      `cluster c forward 127.0.0.1:${carbon.port}; match * send to c;
       listen type linemode transport plain ssl ${current} 127.0.0.1:${port} proto tcp;`,
      '-s',
    )
    const clients = [0, 1, 2, 3].map(() => new OpenSsl(`localhost:${port}`))
    for (const client of clients) expect(await client.negotiated()).toBeDefined()
    expect(clients[0]!.subject).toContain('first')
    let sent = 0
    const send = async (times: number): Promise<void> => {
      for (let i = 0; i < times; i++) {
        for (const client of clients) client.send(`a.b ${sent++} 1\n`)
        await Bun.sleep(5)
      }
    }
    const reloads = (): number => process.log().split(' reloaded').length - 1
    const hup = async (): Promise<void> => {
      const before = reloads()
      process.signal('SIGHUP')
      await until('it has reloaded', () => reloads() > before)
    }
    await send(20)
    await Bun.write(current, Bun.file(second.both))
    await Promise.all([send(40), hup()])
    const late = new OpenSsl(`localhost:${port}`)
    clients.push(late)
    expect(await late.negotiated()).toBeDefined()
    expect(late.subject).toContain('second')
    await Promise.all([send(40), hup()])
    await until('every line', () => carbon.lines.length >= sent)
    const values = carbon.lines.map((line) => Number(line.split(' ')[1])).sort((a, b) => a - b)
    expect(values).toEqual(Array.from({ length: sent }, (_, i) => i))
    expect((await process.metrics()).get('disconnects') ?? 0).toBe(0)
  })

  test('a listen that becomes ssl, then gzip, then plain again stays open and keeps its clients', async () => {
    const port = await freePort()
    const conf = (transport: string): string =>
      `cluster c forward 127.0.0.1:1; match * send to blackhole;
       listen type linemode ${transport} 127.0.0.1:${port} proto tcp;`
    const process = await relay(conf(''), '-s')
    const received = (count: number) => async () =>
      (await process.metrics()).get('metricsReceived') === count
    const use = async (transport: string): Promise<void> => {
      await Bun.write(`${process.dir}/relay.conf`, conf(transport))
      const before = process.log().length
      process.signal('SIGHUP')
      await until('it has reloaded', () => process.log().slice(before).includes(' reloaded'))
    }
    const plain = await LineClient.connect({ port })
    await plain.send('a.b 1 1\n')
    await until('a plain line', received(1))
    await use(`transport plain ssl ${server.both}`)
    const encrypted = new OpenSsl(`localhost:${port}`)
    encrypted.send('a.b 1 1\n')
    await until('an encrypted line', received(2))
    await use('transport gzip')
    const zipped = await LineClient.connect({ port })
    await zipped.send(Bun.gzipSync('a.b 1 1\n'))
    zipped.end()
    await until('a zipped line', received(3))
    await use('')
    for (const client of [plain, await LineClient.connect({ port })]) await client.send('a.b 1 1\n')
    encrypted.send('a.b 1 1\n')
    await until('all of them', received(6))
  })
})

test('a Unix socket can be encrypted too', async () => {
  const dir = temporaryDir()
  cleanups.push(() => dir.remove())
  const path = `${dir.path}/tls.sock`
  const process = await relay(`cluster c forward 127.0.0.1:1; match * send to blackhole;
    listen type linemode transport plain ssl ${server.both} "${path}" proto unix;`)
  const client = new OpenSsl(path)
  client.send('a.b 1 1\n')
  const isReceived = async () => ((await process.metrics()).get('metricsReceived') ?? 0) >= 1
  await until('the line', isReceived)
})

describe.skipIf(missing)('carbon-c-relay', () => {
  test('sends to a listen with ssl', async () => {
    const port = await freePort()
    const carbon = new LinePeer()
    carbon.listen(0)
    cleanups.push(() => carbon.stop())
    await relay(
      `cluster c forward 127.0.0.1:${carbon.port}; match * send to c;
       listen type linemode transport plain ssl ${server.both} 127.0.0.1:${port} proto tcp;`,
      '-s',
    )
    const theirs = await CarbonRelay.start(
      `cluster c forward localhost:${port} transport plain ssl; match * send to c;`,
      ['-C', authority.file],
    )
    cleanups.push(() => theirs.stop())
    await theirs.send(lines(2_000))
    await until('all lines', () => ours(carbon.lines) === 2_000, 20_000)
  })

  test('takes what a destination with ssl sends', async () => {
    const theirs = await CarbonRelay.start(
      (port, dir) => `cluster f file ${dir}/out; match * send to f;
        listen type linemode transport plain ssl ${server.both} 127.0.0.1:${port} proto tcp;`,
    )
    cleanups.push(() => theirs.stop())
    const process = await relay(
      `cluster c forward localhost:${theirs.port} transport plain ssl; match * send to c;`,
      '-C',
      authority.file,
    )
    const client = await LineClient.connect({ port: process.port })
    await client.send(lines(2_000))
    const written = (): boolean => ours(theirs.output().split('\n')) === 2_000
    await until('all lines', written, 20_000)
  })

  function lines(count: number): string {
    return Array.from({ length: count }, (_, i) => `tls.peer.n${i} ${i} 1\n`).join('')
  }

  function ours(all: readonly string[]): number {
    return new Set(all.filter((line) => line.startsWith('tls.peer.'))).size
  }
})
