/** TERM: what a kernel has acknowledged to clients is delivered, and clients notice that the relay goes. */
import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { gzipSync } from 'node:zlib'
import { Authority } from './certificates.ts'
import {
  freePort,
  LineClient,
  type RelayProcess,
  startRelay,
  temporaryDir,
  until,
} from './peers.ts'

/** Other programs start in them, on a machine that may have other work. */
setDefaultTimeout(30_000)

const PYTHON = Bun.which('python3')
/** How a client notices. */
const ENDS = ['BrokenPipeError', 'ConnectionResetError', 'SSLEOFError']
const cleanups: (() => void | Promise<unknown>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup()
})

/** A relay that writes every line to a file. */
async function relay(extra = '', env: Record<string, string> = {}): Promise<RelayProcess> {
  const dir = temporaryDir()
  const process = await startRelay(dir.path, {
    conf: `cluster f file "${dir.path}/out"; match * send to f; ${extra}`,
    args: ['-s'],
    env,
  })
  cleanups.push(async () => {
    process.signal('SIGKILL')
    await process.exited
    dir.remove()
  })
  return process
}

/** The values of the lines that were written, after its end; it has to end in time. */
async function written(process: RelayProcess): Promise<number[]> {
  const begun = performance.now()
  process.signal('SIGTERM')
  expect(await process.exited).toBe(0)
  expect(performance.now() - begun).toBeLessThan(8_000)
  const lines = readFileSync(`${process.dir}/out`, 'latin1').split('\n')
  expect(lines.pop()).toBe('')
  return lines.map((line) => Number(line.split(' ')[1]))
}

function numbers(count: number): number[] {
  return Array.from({ length: count }, (_, i) => i)
}

function lines(from: number, count: number): string {
  return numbers(count)
    .map((i) => `last.words ${from + i} 1\n`)
    .join('')
}

describe.skipIf(PYTHON === null)('a client that never pauses', () => {
  async function run(where: (process: RelayProcess) => string[], extra = ''): Promise<void> {
    const process = await relay(extra)
    const script = `${import.meta.dir}/never-pauses.py`
    const client = Bun.spawn([PYTHON!, script, ...where(process)], { stdout: 'pipe' })
    cleanups.push(() => client.kill())
    let said = ''
    const listening = (async () => {
      for await (const chunk of client.stdout) said += Buffer.from(chunk).toString()
    })()
    await until('it is connected', () => said.includes('connected'))
    await Bun.sleep(200)
    const values = await written(process)
    await listening
    const [acknowledged, error] = said.trim().split('\n').at(-1)!.split(' ')
    expect(ENDS).toContain(error!)
    expect(values.findIndex((value, i) => value !== i)).toBe(-1)
    const whole = wholeLines(Number(acknowledged))
    expect(values.length).toBeGreaterThanOrEqual(whole)
    expect(values.length).toBeGreaterThan(1_000)
  }

  /** How many of the numbered lines fit so many bytes. */
  function wholeLines(bytes: number): number {
    let count = 0
    let end = 0
    const name = `never.${'pauses'.repeat(170)}`
    while ((end += `${name} ${count} 1\n`.length) <= bytes) count++
    return count
  }

  test('over TCP: all that its kernel was told is there', () =>
    run(({ port }) => ['127.0.0.1', String(port)]))

  test('over TLS', async () => {
    const authority = await Authority.create()
    cleanups.push(() => authority.remove())
    const [{ both }, port] = [await authority.issue('localhost'), await freePort()]
    const listen = `listen type linemode transport plain ssl ${both} 127.0.0.1:${port} proto tcp;`
    await run(() => ['127.0.0.1', String(port), 'tls'], listen)
  })

  test('over a Unix socket', () => run(({ dir }) => [`${dir}/run/relay.sock`]))
})

test('clients that had just come, and datagrams that had just been sent', async () => {
  const process = await relay()
  const sender = await Bun.udpSocket({ connect: { hostname: '127.0.0.1', port: process.port } })
  cleanups.push(() => sender.close())
  let sent = 0
  for (let i = 0; i < 40; i++) {
    const client = await LineClient.connect({ port: process.port })
    await client.send(lines(sent, 50))
    sent += 50
    for (let k = 0; k < 5; k++) sender.send(lines(sent++, 1))
  }
  const values = await written(process)
  expect(values.sort((a, b) => a - b)).toEqual(numbers(sent))
})

describe('gzip', () => {
  async function zipped(): Promise<{ process: RelayProcess; port: number }> {
    const port = await freePort()
    const process = await relay(`listen type linemode transport gzip 127.0.0.1:${port} proto tcp;`)
    return { process, port }
  }

  test('what a client sent before it closed is unpacked', async () => {
    const { process, port } = await zipped()
    for (let i = 0; i < 10; i++) {
      const client = await LineClient.connect({ port })
      await client.send(gzipSync(lines(i * 20_000, 20_000)))
      client.end()
    }
    const received = async () => (await process.metrics()).get('metricsReceived') === 200_000
    await until('all of it', received)
  })

  test('also at TERM, also when its stream has no end', async () => {
    const { process, port } = await zipped()
    const clients = await Promise.all(numbers(4).map(() => LineClient.connect({ port })))
    for (const [i, client] of clients.entries()) {
      const packed = gzipSync(lines(i * 50_000, 50_000), { level: 1 })
      await client.send(packed.subarray(0, packed.length - 8))
    }
    const values = await written(process)
    expect(values.sort((a, b) => a - b)).toEqual(numbers(200_000))
  })
})
