/**
 * An hour that comes late: ./scripts/soak late-hour [SERIES] [SECONDS] [LIVE SECONDS].
 *
 * 10,000 series send at one-second steps; then the 3,600 seconds that ended two hours before come as well, for all of
 * them, as fast as they are taken. It prints what each process took at most and what a late point cost in relay and
 * store beside a live one, and in the end asks for every one.
 */
import { cpuSeconds, pssBytes } from '../../scripts/proc.ts'
import { LineClient, SteadyLoad } from '../e2e/load.ts'
import { nowSeconds, type ProcessName, Stack } from '../e2e/stack.ts'

const PROCESSES: readonly ProcessName[] = ['relay', 'store', 'api', 'mailer']
/** Those that a point passes. */
const WORKERS: readonly ProcessName[] = ['relay', 'store']
const MIB = 1024 ** 2
const AGE_SECONDS = 2 * 3_600
/** Series in one question. */
const GROUP = 1_000
/** Seconds in one. */
const STRETCH = 120
/** What all processes may take together: a machine that runs 10,000 series has no more. */
const MIB_MAX = 512

const series = Number(Bun.argv[2] ?? 10_000)
const seconds = Number(Bun.argv[3] ?? 3_600)
/** Before and after: longer than from one checkpoint to the next. */
const liveSeconds = Number(Bun.argv[4] ?? 70)

const stack = await Stack.start()
let good = true
try {
  await run()
} finally {
  await stack.close()
}
process.exit(good ? 0 : 1)

async function run(): Promise<void> {
  const { port } = stack.config.relay
  const live = new SteadyLoad({ port, rate: series, prefix: 'late' })
  await Bun.sleep(Math.min(5, liveSeconds) * 1000)
  const atRest = look()
  const liveBefore = live.sent
  await Bun.sleep(liveSeconds * 1000)
  const beforeReplay = look()
  const liveCost = cost(atRest, beforeReplay, live.sent - liveBefore)
  console.log(`live: ${liveCost.toFixed(3)} µs CPU a point, ${mib(beforeReplay.bytes)} MiB`)

  const watch = new Watch()
  const liveAtStart = live.sent
  const from = nowSeconds() - AGE_SECONDS - seconds
  const startedMs = performance.now()
  const sent = await replay(port, from)
  const tookMs = performance.now() - startedMs
  // Points that came late are in memory until the next checkpoint.
  await Bun.sleep(liveSeconds * 1000)
  const peak = await watch.stop()
  const afterReplay = look()
  const liveMeanwhile = live.sent - liveAtStart
  const cpuOfLate = afterReplay.cpu - beforeReplay.cpu - (liveMeanwhile * liveCost) / 1e6
  const lateCost = (cpuOfLate / sent) * 1e6
  console.log(
    `late: ${sent} points in ${(tookMs / 1000).toFixed(0)} s, ${lateCost.toFixed(3)} µs CPU a point`,
  )
  console.log(`late over live: ${(lateCost / liveCost).toFixed(2)}`)
  PROCESSES.forEach((name, i) => console.log(`${name}: at most ${mib(watch.peaks[i]!)} MiB`))
  console.log(`all of them: at most ${mib(peak)} MiB`)
  await live.stop()
  const liveReport = await live.check(stack, { timeoutMs: 10_000 })
  const missing = await missingLate(from)
  console.log(`${liveReport.missing.length} of ${liveReport.sent} live points missing`)
  console.log(`${missing} of ${sent} late points missing`)
  good = missing === 0 && liveReport.missing.length === 0 && peak <= MIB_MAX * MIB
}

/** Second by second, as a relay that was cut off would; how many points. The relay has read them all then. */
async function replay(port: number, from: number): Promise<number> {
  const client = await LineClient.connect(port)
  for (let second = from; second < from + seconds; second++) {
    let text = ''
    for (let i = 0; i < series; i++) text += `${nameOf(i)} ${valueOf(i, second)} ${second}\n`
    if (!(await client.write(text))) throw new Error('the relay broke the connection off')
  }
  await client.end()
  return series * seconds
}

async function missingLate(from: number): Promise<number> {
  let found = 0
  for (let group = 0; group * GROUP < series; group++) {
    for (let start = from - 1; start < from + seconds - 1; start += STRETCH) {
      const range = { from: start, until: Math.min(from + seconds - 1, start + STRETCH) }
      for (const { target, datapoints } of await stack.render({
        target: `late.g${group}.*`,
        ...range,
      })) {
        const index = group * GROUP + Number(target.slice(target.lastIndexOf('.s') + 2))
        for (const [value, time] of datapoints) if (value === valueOf(index, time)) found++
      }
    }
  }
  return series * seconds - found
}

interface Look {
  readonly cpu: number
  readonly bytes: number
}

function look(): Look {
  return {
    cpu: WORKERS.reduce((sum, name) => sum + cpuSeconds(stack.pid(name)), 0),
    bytes: PROCESSES.reduce((sum, name) => sum + pssBytes(stack.pid(name)), 0),
  }
}

/** Microseconds of CPU a point. */
function cost(before: Look, after: Look, points: number): number {
  return ((after.cpu - before.cpu) / points) * 1e6
}

/** The most that they took, seen ten times a second. */
class Watch {
  private peak = 0
  readonly peaks = PROCESSES.map(() => 0)
  private running = true
  private readonly loop = this.run()

  async stop(): Promise<number> {
    this.running = false
    await this.loop
    return this.peak
  }

  private async run(): Promise<void> {
    while (this.running) {
      const bytes = PROCESSES.map((name) => pssBytes(stack.pid(name)))
      bytes.forEach((one, i) => (this.peaks[i] = Math.max(this.peaks[i]!, one)))
      this.peak = Math.max(
        this.peak,
        bytes.reduce((sum, one) => sum + one, 0),
      )
      await Bun.sleep(100)
    }
  }
}

/** The names of the live load. */
function nameOf(index: number): string {
  return `late.g${Math.floor(index / GROUP)}.s${index % GROUP}`
}

function valueOf(index: number, second: number): number {
  return ((index * 31 + second * 7) % 8_191) / 4
}

function mib(bytes: number): string {
  return (bytes / MIB).toFixed(1)
}
