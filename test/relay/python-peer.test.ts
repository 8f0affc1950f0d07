/** Compressed transports and pickle against Python's own codecs, and gzip against gzip itself. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { existsSync } from 'node:fs'
import { freePort, LineClient, LinePeer, startRelay, temporaryDir, until } from './peers.ts'

/** Other programs start in them, on a machine that may have other work. */
setDefaultTimeout(30_000)

const SCRIPT = `${import.meta.dir}/python-peer.py`
/** Debian's modules are for Debian's own. */
const DEBIAN = '/usr/bin/python3'
const PYTHON = existsSync(DEBIAN) ? DEBIAN : Bun.which('python3')
const MODULES = { gzip: 'zlib', lz4: 'lz4.frame', snappy: 'snappy' } as const
type Kind = keyof typeof MODULES

const cleanups: (() => void | Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

function has(module: string): boolean {
  return PYTHON !== null && Bun.spawnSync([PYTHON, '-c', `import ${module}`]).success
}

function missing(module: string): boolean {
  const isMissing = !has(module)
  if (isMissing) console.log(`python3 with ${module} is not here: comparisons with it are skipped`)
  return isMissing
}

function run(command: string[], input: Uint8Array): Uint8Array {
  const { stdout, stderr, success } = Bun.spawnSync(command, { stdin: input, stderr: 'pipe' })
  if (!success && stdout.length === 0) throw new Error(stderr.toString())
  return stdout
}

function python(mode: string, what: string, input: Uint8Array): Uint8Array {
  return run([PYTHON!, SCRIPT, mode, what], input)
}

const NOW = Math.floor(Date.now() / 1000)
const LINES = Array.from({ length: 5_000 }, (_, i) => `peer.host${i % 17}.n${i} ${i} ${NOW}`)
const TEXT = Buffer.from(`${LINES.join('\n')}\n`)

async function relay(conf: string, env: Record<string, string> = {}) {
  const dir = temporaryDir()
  const process = await startRelay(dir.path, { conf, args: ['-s'], env })
  cleanups.push(async () => {
    process.signal('SIGKILL')
    await process.exited
    dir.remove()
  })
  return process
}

function carbon(): LinePeer {
  const peer = new LinePeer()
  peer.listen(0)
  cleanups.push(() => peer.stop())
  return peer
}

/** What arrives when a client sends `packed` to a `listen` with that transport. */
async function received(transport: string, packed: Uint8Array): Promise<string[]> {
  const port = await freePort()
  const peer = carbon()
  await relay(`cluster c forward 127.0.0.1:${peer.port}; match * send to c;
    listen type linemode transport ${transport} 127.0.0.1:${port} proto tcp;`)
  const client = await LineClient.connect({ port })
  await client.send(packed)
  client.end()
  await until('all lines', () => peer.lines.length >= LINES.length)
  return peer.lines
}

/** All bytes of a destination with that transport. */
async function sent(transport: string, whole: (bytes: Uint8Array) => boolean): Promise<Uint8Array> {
  const parts: Uint8Array[] = []
  const server = Bun.listen({
    hostname: '127.0.0.1',
    port: 0,
    socket: { data: (_, bytes) => void parts.push(bytes.slice()) },
  })
  cleanups.push(() => server.stop(true))
  const process = await relay(
    `cluster c forward 127.0.0.1:${server.port} transport ${transport}; match * send to c;`,
  )
  const client = await LineClient.connect({ port: process.port })
  for (let at = 0; at < TEXT.length; at += 30_000) {
    await client.send(TEXT.subarray(at, at + 30_000))
    await Bun.sleep(20)
  }
  await until('all bytes', () => whole(Buffer.concat(parts)))
  return Buffer.concat(parts)
}

describe.each(Object.keys(MODULES) as Kind[])('%s', (kind) => {
  describe.skipIf(missing(MODULES[kind]))('Python', () => {
    test('what it packs is read', async () => {
      expect(await received(kind, python('compress', kind, TEXT))).toEqual(LINES)
    })

    test('what is sent, it unpacks', async () => {
      let last = 0
      const settled = (bytes: Uint8Array): boolean => {
        const isSame = bytes.length === last && last > 0
        last = bytes.length
        return isSame && python('decompress', kind, bytes).length === TEXT.length
      }
      const bytes = await sent(kind, settled)
      expect(bytes.length).toBeLessThan(TEXT.length / 2)
      expect(Buffer.from(python('decompress', kind, bytes)).equals(TEXT)).toBe(true)
    })
  })
})

describe.skipIf(Bun.which('gzip') === null)('gzip itself', () => {
  test('both ways', async () => {
    expect(await received('gzip', run(['gzip', '-c'], TEXT))).toEqual(LINES)
    const unpack = (bytes: Uint8Array): Uint8Array => run(['gzip', '-dc'], bytes)
    const bytes = await sent('gzip', (all) => all.length > 0 && unpack(all).length === TEXT.length)
    expect(Buffer.from(unpack(bytes)).equals(TEXT)).toBe(true)
  })
})

describe.skipIf(missing('pickle'))('pickle', () => {
  test.each([0, 1, 2, 3, 4, 5])('protocol %d, as Python sends it', async (protocol) => {
    const port = await freePort()
    const peer = carbon()
    const conf = `cluster c forward 127.0.0.1:${peer.port}; match * send to c;`
    await relay(conf, { EMON_PICKLE_PORT: String(port) })
    const client = await LineClient.connect({ port })
    await client.send(python('pickle', String(protocol), TEXT))
    client.end()
    await until('all points', () => peer.lines.length >= LINES.length)
    expect(peer.lines).toEqual(LINES)
  })
})
