/**
 * Memory over 100 million lines through every input: ./scripts/soak relay-memory [MILLIONS] [SEED] [INPUT…].
 *
 * Good lines, bad ones and random bytes (test/relay/mixed-lines.ts) go to a relay over TCP, UDP, a Unix socket, gzip,
 * lz4, snappy, pickle, statsd, HTTP, and as frames of another relay; connections are closed and made all the time. It
 * sends them on to a plain carbon, a ring of two, an aggregation and another relay. Prints its resident size over every
 * tenth part, the mean and the most; ends with 1 when the last mean is more than a tenth over the third.
 */
import { readFileSync } from 'node:fs'
import { LineClient } from '../e2e/load.ts'
import { freePorts } from '../e2e/stack.ts'
import { type Block, MixedLines } from '../relay/mixed-lines.ts'
import { type RelayProcess, startRelay, temporaryDir } from '../relay/peers.ts'

const MILLION = 1_000_000
/** What is sent again and again; each pool is made anew a little all the time. */
const POOL_BLOCKS = 40
const BLOCKS_A_CONNECTION = 200
/** Between blocks, but on plain TCP: most lines are plain ones, and a relay takes a million of them a second. */
const REST_MS = 20
/** A line counts in one of them. */
const TAKEN = [
  'metricsReceived',
  'metricsDiscarded',
  'statsd_samples',
  'statsd_badLines',
  'dropped_pickle',
]
const COUNTS = [
  'metricsReceived',
  'metricsDiscarded',
  'statsd_samples',
  'names_interned',
  'datagrams',
]
const COMPRESSIONS = ['gzip', 'lz4', 'snappy'] as const

const [count = '100', given = String(Math.floor(Math.random() * 2 ** 31)), ...names] =
  process.argv.slice(2)
const millions = Number(count)
const seed = Number(given)
const mixed = new MixedLines(seed)
console.log(`seed ${seed}`)

const dirs = [temporaryDir(), temporaryDir(), temporaryDir()]
const ports = await freePorts(9)
const [port, farPort, frontPort, picklePort, statsdPort, httpPort] = ports as [
  number,
  ...number[],
] as number[]
const packedPorts = ports.slice(6)
const sinks = [0, 1, 2].map(() =>
  Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {}, error() {} } }),
)
const [one, two, three] = sinks.map((sink) => `127.0.0.1:${sink.port}`)

const relays: RelayProcess[] = []
const far = await start(0, farPort!, 'match * send to blackhole;\n')
const conf = `
cluster carbon forward ${one};
cluster ring carbon_ch ${two} ${three};
cluster far forward 127.0.0.1:${farPort} type emon;
match ^summed\\. validate ^[0-9.]+\\ [0-9]+$ else drop send to carbon;
aggregate ^summed\\.(h[0-9]+)\\..*$ every 1 seconds expire after 6 seconds
  compute sum write to sums.\\1 compute percentile90 write to high.\\1 send to far stop;
match * send to ring;
match ^fresh ^tagged send to far;
rewrite ^servers\\.(.*)$ into hosts.\\1;
match ^hosts send to carbon;
listen type linemode 127.0.0.1:${port} proto tcp 127.0.0.1:${port} proto udp;
${COMPRESSIONS.map((name, i) => `listen type linemode transport ${name} 127.0.0.1:${packedPorts[i]} proto tcp;\n`).join('')}`
const relay = await start(1, port!, conf, {
  EMON_PICKLE_PORT: String(picklePort),
  EMON_STATSD_PORT: String(statsdPort),
  EMON_RELAY_HTTP_PORT: String(httpPort),
})
const front = await start(
  2,
  frontPort!,
  `cluster main forward 127.0.0.1:${port} type emon;\nmatch * send to main;\n`,
)

/** Lines that the relay has taken. */
let taken = 0
const goal = millions * MILLION
let failures = 0
/** Resident MiB of the relay, over each tenth part. */
const means: number[] = []
try {
  const udp = await Bun.udpSocket({})
  const inputs: Record<string, () => Promise<unknown>> = {
    tcp: () => Promise.all(Array.from({ length: 6 }, () => stream(port!, () => mixed.plain(), 0))),
    unix: () => stream(`${dirs[1]!.path}/run/relay.sock`, () => mixed.plain()),
    frames: () => stream(frontPort!, () => mixed.plain()),
    pickle: () => stream(picklePort!, () => mixed.pickle()),
    'statsd-tcp': () => stream(statsdPort!, () => mixed.statsd()),
    udp: () =>
      datagrams(
        () => mixed.datagram(),
        (bytes) => udp.send(bytes, port!, '127.0.0.1'),
      ),
    'statsd-udp': () =>
      datagrams(
        () => mixed.statsd(30),
        (bytes) => udp.send(bytes, statsdPort!, '127.0.0.1'),
      ),
    http: posts,
  }
  for (const [i, name] of COMPRESSIONS.entries()) {
    inputs[name] = () => stream(packedPorts[i]!, () => mixed.packed(name))
  }
  const wanted = Object.keys(inputs).filter((name) => names.length === 0 || names.includes(name))
  await Promise.all([...wanted.map((name) => inputs[name]!()), watch()])
  const metrics = await relay.metrics()
  for (const name of COUNTS) console.log(`${name} ${metrics.get(name)}`)
  console.log(`connections that the relay ended ${failures}`)
} finally {
  for (const process of relays) process.signal('SIGKILL')
  for (const sink of sinks) sink.stop(true)
  await Promise.all(relays.map((process) => process.exited))
  for (const dir of dirs) dir.remove()
}
const flat = means.at(-1)! <= means[2]! * 1.1
console.log(flat ? 'flat' : 'NOT FLAT')
process.exit(flat ? 0 : 1)

async function start(
  dir: number,
  own: number,
  text: string,
  env: Record<string, string> = {},
): Promise<RelayProcess> {
  const settings = { EMON_RELAY_PORT: String(own), ...env }
  const process = await startRelay(dirs[dir]!.path, { conf: text, env: settings })
  relays.push(process)
  if (process.log().includes(' error ')) throw new Error(process.log())
  return process
}

async function pool(make: () => Block | Promise<Block>): Promise<Block[]> {
  const blocks: Block[] = []
  while (blocks.length < POOL_BLOCKS) blocks.push(await make())
  return blocks
}

/** One connection after the other, until enough has been taken; each ends in the middle of something. */
async function stream(
  where: number | string,
  make: () => Block | Promise<Block>,
  restMs = REST_MS,
): Promise<void> {
  const blocks = await pool(make)
  while (taken < goal) {
    const client = await LineClient.connect(where)
    for (let i = 0; i < BLOCKS_A_CONNECTION && client.isOpen; i++) {
      const at = mixed.random(POOL_BLOCKS)
      if (i % 20 === 0) blocks[at] = await make()
      await client.write(blocks[at]!.bytes)
      if (restMs > 0) await Bun.sleep(restMs)
      if (taken >= goal) break
    }
    if (!client.isOpen) failures++
    else await client.write(blocks[0]!.bytes.subarray(0, mixed.random(300)))
    await client.end()
  }
}

async function datagrams(make: () => Block, send: (bytes: Uint8Array) => unknown): Promise<void> {
  const blocks = await pool(make)
  while (taken < goal) {
    for (let i = 0; i < 4; i++) {
      send(blocks[mixed.random(POOL_BLOCKS)]!.bytes)
    }
    await Bun.sleep(2)
  }
}

async function posts(): Promise<void> {
  const blocks = await pool(() => mixed.plain())
  while (taken < goal) {
    const parts = Array.from({ length: 20 }, () => blocks[mixed.random(POOL_BLOCKS)]!)
    const body = Buffer.concat(parts.map(({ bytes }) => bytes))
    const answer = await fetch(`http://127.0.0.1:${httpPort}/lines`, { method: 'POST', body })
    await answer.text()
  }
}

async function watch(): Promise<void> {
  for (let part = 1; part <= 10; part++) {
    const sizes: number[] = []
    while (taken < (part / 10) * goal) {
      await Bun.sleep(100)
      taken = await linesTaken()
      sizes.push(residentMiB(relay.pid))
    }
    const mean = sizes.reduce((sum, size) => sum + size, 0) / sizes.length
    means.push(mean)
    const names = (await relay.metrics()).get('names_interned')
    console.log(
      `${String(Math.round(part * millions) / 10).padStart(5)} M lines  relay ${Math.round(mean)} MiB, ` +
        `at most ${Math.max(...sizes)}, ${names} names  sending relay ${residentMiB(front.pid)}  ` +
        `receiving relay ${residentMiB(far.pid)}`,
    )
  }
}

async function linesTaken(): Promise<number> {
  const metrics = await relay.metrics()
  let sum = 0
  for (const name of TAKEN) sum += metrics.get(name) ?? 0
  return sum
}

function residentMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8')
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)![1]) / 1024)
}
