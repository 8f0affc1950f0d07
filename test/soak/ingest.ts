/**
 * What a point costs, from the line socket to durable in the store: ./scripts/soak ingest [SECONDS] [--peers].
 *
 * 10,000 series and then 110,000, the first among them, send at one-second steps, SECONDS (150) in all, so that
 * checkpoints are in it (sealed-window.ts has sealing and roll-ups too). CPU is that of relay and store; memory is the
 * PSS of all four processes, the mean of the last seconds of each, and its slope between the two is what a series
 * takes. With --peers VictoriaMetrics gets the same lines beside it.
 */
import { cpuSeconds, pssBytes } from '../../scripts/proc.ts'
import { SteadyLoad } from '../e2e/load.ts'
import { type ProcessName, Stack } from '../e2e/stack.ts'
import { startVictoria } from '../peers/victoria.ts'

const SMALL = 10_000
const LARGE = 110_000
const PROCESSES: readonly ProcessName[] = ['relay', 'store', 'api', 'mailer']
/** For the series to be made. */
const START_SECONDS = 5
/** Memory goes up and down with the collector of garbage. */
const MEMORY_SECONDS = 10

const words = Bun.argv.slice(2)
const seconds = Number(words.find((word) => !word.startsWith('--')) ?? 150)
const victoria = words.includes('--peers') ? await startVictoria() : undefined
const stack = await Stack.start()
/** Those that send to us, and to the peer. */
const loads: SteadyLoad[] = []
const peerLoads: SteadyLoad[] = []
let good = true
try {
  send(SMALL, 'small')
  const smallBytes = await watch(SMALL, Math.round(seconds / 5))
  send(LARGE - SMALL, 'more')
  const largeBytes = await watch(LARGE, Math.round((seconds * 4) / 5))
  report('memory a series, bytes', (largeBytes - smallBytes) / (LARGE - SMALL))
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
  await Bun.sleep(START_SECONDS * 1000)
  const before = {
    sent: sentBy(loads),
    peerSent: sentBy(peerLoads),
    relay: cpuOf('relay'),
    store: cpuOf('store'),
    peer: victoria?.cpu(),
  }
  await Bun.sleep((duration - MEMORY_SECONDS) * 1000)
  const memory = await meanMemory()
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
async function meanMemory(): Promise<number[]> {
  const sums = PROCESSES.map(() => 0)
  for (let second = 0; second < MEMORY_SECONDS; second++) {
    await Bun.sleep(1000)
    PROCESSES.forEach((name, i) => (sums[i] = sums[i]! + pssBytes(stack.pid(name))))
  }
  return sums.map((bytes) => bytes / MEMORY_SECONDS)
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
