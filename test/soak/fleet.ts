/**
 * A fleet at one-second steps for ten minutes: ./scripts/soak fleet [SERIES] [SECONDS] [--limit MIB].
 *
 * 100,000 series and 600 seconds where nothing is said. It prints CPU, memory and disk while it goes, and in the
 * end asks for every point. With --limit (it takes root) all processes, their program and the page cache share
 * so much memory. Renders and finds are asked for all the time.
 */
import { copyFileSync, readdirSync, statSync } from 'node:fs'
import { cpuSeconds, pssBytes } from '../../scripts/proc.ts'
import { SteadyLoad } from '../e2e/load.ts'
import { MemoryLimit } from '../e2e/memory-limit.ts'
import { nowSeconds, type ProcessName, Stack } from '../e2e/stack.ts'

const PROCESSES: readonly ProcessName[] = ['relay', 'store', 'api', 'mailer']
const MIB = 1024 ** 2
const LOOK_SECONDS = 60

const words = Bun.argv.slice(2)
const limitAt = words.indexOf('--limit')
const limitMib = limitAt < 0 ? undefined : Number(words.splice(limitAt, 2)[1])
const series = Number(words[0] ?? 100_000)
const seconds = Number(words[1] ?? 600)

const limit =
  limitMib === undefined ? undefined : new MemoryLimit(`emon-soak-${process.pid}`, limitMib * MIB)
const stack = await Stack.create()
if (limit) {
  // A program of their own: what others run is in memory anyway, and would not be counted.
  const program = `${stack.dir}/bun`
  copyFileSync(process.execPath, program)
  stack.launcher = [...limit.launcher, program]
}
let good = true
try {
  for (const name of PROCESSES) stack.spawn(name)
  await stack.ready()
  await run()
} finally {
  await stack.close()
  limit?.remove()
}
process.exit(good ? 0 : 1)

async function run(): Promise<void> {
  const started = new Map(PROCESSES.map((name) => [name, stack.pid(name)]))
  const load = new SteadyLoad({ port: stack.config.relay.port, rate: series, prefix: 'fleet' })
  const readers = new Readers()
  const peak = new Map<ProcessName, number>()
  let before = look(load)
  for (let second = 1; second <= seconds; second++) {
    await Bun.sleep(1000)
    for (const name of PROCESSES)
      peak.set(name, Math.max(peak.get(name) ?? 0, pssBytes(stack.pid(name))))
    if (second % LOOK_SECONDS === 0) before = print(second, before, look(load))
  }
  await readers.stop()
  await load.stop()
  const checkMs = performance.now()
  const { sent, missing } = await load.check(stack, { timeoutMs: 10_000 })
  console.log(
    `${sent} points sent, ${missing.length} missing (${inSeconds(performance.now() - checkMs)})`,
  )
  for (const [name, bytes] of peak) console.log(`${name}: at most ${mib(bytes)} MiB PSS`)
  readers.print()
  if (limit) console.log(`group: at most ${mib(limit.peakBytes)} MiB, ${limit.kills} killed`)
  const restarted = PROCESSES.filter((name) => stack.pid(name) !== started.get(name))
  good = missing.length === 0 && restarted.length === 0 && (limit?.kills ?? 0) === 0
  for (const example of missing.slice(0, 5)) console.log(`  ${example}`)
}

interface Look {
  readonly points: number
  readonly cpu: readonly number[]
}

function look(load: SteadyLoad): Look {
  return { points: load.sent, cpu: PROCESSES.map((name) => cpuSeconds(stack.pid(name))) }
}

function print(second: number, before: Look, now: Look): Look {
  const points = now.points - before.points
  const parts = PROCESSES.map((name, i) => {
    const cpu = ((now.cpu[i]! - before.cpu[i]!) / points) * 1e6
    return `${name} ${mib(pssBytes(stack.pid(name)))} MiB ${cpu.toFixed(3)} µs`
  })
  const all = PROCESSES.reduce((sum, name) => sum + pssBytes(stack.pid(name)), 0)
  const rate = Math.round(points / LOOK_SECONDS)
  const disk = mib(folderBytes(`${stack.dir}/store`))
  console.log(
    `${second} s: ${rate} points/s; ${parts.join(', ')}; all ${mib(all)} MiB; disk ${disk} MiB`,
  )
  return now
}

/** Somebody who looks at graphs: the last minutes, one question after the other, half a second between them. */
class Readers {
  private readonly times = new Map<string, number[]>()
  private readonly loop: Promise<void>
  private running = true

  constructor() {
    this.loop = this.run()
  }

  async stop(): Promise<void> {
    this.running = false
    await this.loop
  }

  print(): void {
    for (const [target, times] of this.times) {
      const sorted = times.toSorted((a, b) => a - b)
      const [middle, most] = [sorted[sorted.length >> 1]!, sorted.at(-1)!]
      console.log(
        `${target}: ${times.length} times, ${inSeconds(middle)}, at most ${inSeconds(most)}`,
      )
    }
  }

  private async run(): Promise<void> {
    const targets = [
      'sumSeries(fleet.g0.*)',
      'fleet.g1.s10*',
      'highestAverage(fleet.g2.*,5)',
      'movingAverage(fleet.g3.s5,60)',
    ]
    for (let i = 0; this.running; i++) {
      const target = targets[i % targets.length]!
      const started = performance.now()
      const until = nowSeconds()
      await stack.render({ target, from: until - 300, until, maxDataPoints: 500 })
      const times = this.times.get(target) ?? []
      times.push(performance.now() - started)
      this.times.set(target, times)
      await Bun.sleep(500)
    }
  }
}

function folderBytes(dir: string): number {
  let bytes = 0
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    // A file may go between the two looks.
    if (entry.isFile())
      bytes += statSync(`${entry.parentPath}/${entry.name}`, { throwIfNoEntry: false })?.size ?? 0
  }
  return bytes
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}

function inSeconds(ms: number): string {
  return `${(ms / 1000).toFixed(2)} s`
}
