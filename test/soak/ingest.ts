/**
 * What a point costs, from the line socket to durable in the store: ./scripts/soak ingest [SECONDS] [--peers].
 *
 * Fleets of 10,000 and then of 110,000 series send at one-second steps, SECONDS (150) in all, so that checkpoints
 * and roll-ups are in it. CPU is that of relay and store; memory is the PSS of all four processes, and its
 * slope between the two fleets is what a series takes. With --peers VictoriaMetrics gets the same lines beside it.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { cpuSeconds, pssBytes } from '../../scripts/proc.ts'
import { SteadyLoad } from '../e2e/load.ts'
import { freePorts, type ProcessName, Stack } from '../e2e/stack.ts'

const SMALL = 10_000
const LARGE = 110_000
const PROCESSES: readonly ProcessName[] = ['relay', 'store', 'api', 'mailer']

const words = Bun.argv.slice(2)
const seconds = Number(words.find((word) => !word.startsWith('--')) ?? 150)
const victoria = words.includes('--peers') ? await startVictoria() : undefined
const stack = await Stack.start()
let good = true
try {
  const smallBytes = await fleet(SMALL, Math.round(seconds / 5))
  const largeBytes = await fleet(LARGE, Math.round((seconds * 4) / 5))
  report('memory a series, bytes', (largeBytes - smallBytes) / (LARGE - SMALL))
} finally {
  await stack.close()
  await victoria?.stop()
}
process.exit(good ? 0 : 1)

/** Sends for so long, and answers the memory that all processes take in the end. */
async function fleet(series: number, duration: number): Promise<number> {
  const load = new SteadyLoad({
    port: stack.config.relay.port,
    rate: series,
    prefix: `fleet${series}`,
  })
  const same = victoria && new SteadyLoad({ port: victoria.port, rate: series, prefix: 'fleet' })
  // The first seconds make the series.
  await Bun.sleep(5_000)
  const before = {
    sent: load.sent,
    relay: cpuOf('relay'),
    store: cpuOf('store'),
    peer: victoria?.cpu(),
  }
  const peerSent = same?.sent ?? 0
  await Bun.sleep(duration * 1000)
  const sent = load.sent - before.sent
  const relay = (cpuOf('relay') - before.relay) / sent
  const store = (cpuOf('store') - before.store) / sent
  const memory = PROCESSES.map((name) => pssBytes(stack.pid(name)))
  const bytes = sum(memory)
  console.log(`${series} series, ${Math.round(sent / duration)} points/s for ${duration} s`)
  report('  relay, µs CPU a point', relay * 1e6)
  report('  store, µs CPU a point', store * 1e6)
  report('  both', (relay + store) * 1e6)
  if (victoria && same) {
    const peer = (victoria.cpu() - before.peer!) / (same.sent - peerSent)
    report('  VictoriaMetrics, µs CPU a point', peer * 1e6)
    report('  of that, both take', (relay + store) / peer)
    report('  VictoriaMetrics, MiB', pssBytes(victoria.pid) / 1024 ** 2)
  }
  PROCESSES.forEach((name, i) => report(`  ${name}, MiB`, memory[i]! / 1024 ** 2))
  report('  all processes, MiB', bytes / 1024 ** 2)
  await load.stop()
  await same?.stop()
  const { missing } = await load.check(stack, { timeoutMs: 10_000 })
  report('  points missing', missing.length)
  good &&= missing.length === 0
  return bytes
}

interface Peer {
  readonly port: number
  readonly pid: number
  cpu(): number
  stop(): Promise<void>
}

async function startVictoria(): Promise<Peer | undefined> {
  const program = Bun.which('victoria-metrics')
  if (program === null) {
    console.log('there is no victoria-metrics: no comparison')
    return undefined
  }
  const dir = mkdtempSync(`${tmpdir()}/emon-victoria-`)
  const [port, http] = await freePorts(2)
  const child = Bun.spawn(
    [
      program,
      `-storageDataPath=${dir}`,
      `-graphiteListenAddr=127.0.0.1:${port}`,
      `-httpListenAddr=127.0.0.1:${http}`,
    ],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  )
  while (!(await fetch(`http://127.0.0.1:${http}/health`).catch(() => undefined))?.ok)
    await Bun.sleep(50)
  return {
    port: port!,
    pid: child.pid,
    cpu: () => cpuSeconds(child.pid),
    async stop() {
      child.kill('SIGKILL')
      await child.exited
      rmSync(dir, { recursive: true, force: true })
    },
  }
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
