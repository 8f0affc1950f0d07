/**
 * What a point costs, from the line socket to durable in the store:
 * ./scripts/soak ingest [SECONDS] [SMALL] [LARGE] [--peers].
 *
 * 10,000 (SMALL) series and then 110,000, the first among them, send at one-second steps, SECONDS (150) in all, so that
 * checkpoints are in it (sealed-window.ts has sealing and roll-ups too). CPU is that of relay and store; memory is the
 * PSS of all four processes, the mean of the last seconds of each, and its slope between the two is what a series
 * takes. With --peers VictoriaMetrics gets the same lines beside it.
 */
import { cpuSeconds, pssBytes } from '../../scripts/proc.ts'
import { SteadyLoad } from '../e2e/load.ts'
import { type ProcessName, Stack } from '../e2e/stack.ts'
import { startVictoria } from '../peers/victoria.ts'

const PROCESSES: readonly ProcessName[] = ['relay', 'store', 'api', 'mailer']
/** For the series to be made. */
const START_SECONDS_MAX = 5
/** Memory goes up and down with the collector of garbage. */
const MEMORY_SECONDS_MAX = 10

const words = Bun.argv.slice(2)
const numbers = words.filter((word) => !word.startsWith('--')).map(Number)
const [seconds = 150, small = 10_000, large = 110_000] = numbers
const victoria = words.includes('--peers') ? await startVictoria() : undefined
const stack = await Stack.start()
/** Those that send to us, and to the peer. */
const loads: SteadyLoad[] = []
const peerLoads: SteadyLoad[] = []
let good = true
try {
  send(small, 'small')
  const smallBytes = await watch(small, Math.ceil(seconds / 5))
  send(large - small, 'more')
  const largeBytes = await watch(large, Math.ceil((seconds * 4) / 5))
  report('memory a series, bytes', (largeBytes - smallBytes) / (large - small))
  for (const load of [...loads, ...peerLoads]) await load.stop()
  for (const load of loads) {
    const { missing } = await load.check(stack, { timeoutMs: 10_000 })
    report('points missing', missing.length)
    good &&= missing.length === 0
  }
} finally {
  await stack.close()
  await victoria?.stop()
}
process.exit(good ? 0 : 1)

function send(rate: number, prefix: string): void {
  loads.push(new SteadyLoad({ port: stack.config.relay.port, rate, prefix }))
  if (victoria) peerLoads.push(new SteadyLoad({ port: victoria.port, rate, prefix }))
}

/** Watches so long, and answers the memory that all processes take in the end. */
async function watch(series: number, duration: number): Promise<number> {
  await Bun.sleep(Math.min(START_SECONDS_MAX, duration) * 1000)
  const before = {
    sent: sentBy(loads),
    peerSent: sentBy(peerLoads),
    relay: cpuOf('relay'),
    store: cpuOf('store'),
    peer: victoria?.cpu(),
  }
  const memorySeconds = Math.min(MEMORY_SECONDS_MAX, duration)
  await Bun.sleep((duration - memorySeconds) * 1000)
  const memory = await meanMemory(memorySeconds)
  const sent = sentBy(loads) - before.sent
  const relay = (cpuOf('relay') - before.relay) / sent
  const store = (cpuOf('store') - before.store) / sent
  const bytes = sum(memory)
  console.log(`${series} series, ${Math.round(sent / duration)} points/s for ${duration} s`)
  report('  relay, µs CPU a point', relay * 1e6)
  report('  store, µs CPU a point', store * 1e6)
  report('  both', (relay + store) * 1e6)
  if (victoria) {
    const peer = (victoria.cpu() - before.peer!) / (sentBy(peerLoads) - before.peerSent)
    report('  VictoriaMetrics, µs CPU a point', peer * 1e6)
    report('  of that, both take', (relay + store) / peer)
    report('  VictoriaMetrics, MiB', pssBytes(victoria.pid) / 1024 ** 2)
  }
  PROCESSES.forEach((name, i) => report(`  ${name}, MiB`, memory[i]! / 1024 ** 2))
  report('  all processes, MiB', bytes / 1024 ** 2)
  return bytes
}

/** By process. */
async function meanMemory(duration: number): Promise<number[]> {
  const sums = PROCESSES.map(() => 0)
  for (let second = 0; second < duration; second++) {
    await Bun.sleep(1000)
    PROCESSES.forEach((name, i) => (sums[i] = sums[i]! + pssBytes(stack.pid(name))))
  }
  return sums.map((bytes) => bytes / duration)
}

function sentBy(some: readonly SteadyLoad[]): number {
  return sum(some.map(({ sent }) => sent))
}

function cpuOf(name: ProcessName): number {
  return cpuSeconds(stack.pid(name))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

function report(what: string, value: number): void {
  console.log(`${what.padEnd(44)} ${Number(value.toPrecision(3))}`)
}
