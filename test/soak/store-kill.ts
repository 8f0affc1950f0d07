/**
 * kill -9 of the store again and again under load: ./scripts/soak store-kill [KILLS] [RATE], 100 and 20,000 points/s.
 *
 * Between two kills it runs for 2 to 12 s, now and then for 70, so that it is killed before, in and after checkpoints. It
 * prints how long the store took from its start to /readyz, and asks for every point in the end.
 */
import { notReady } from '../../src/readiness.ts'
import { describeMissing, SteadyLoad } from '../e2e/load.ts'
import { Stack } from '../e2e/stack.ts'

const READY_MS_MAX = 2_000
const LONG_EVERY = 10
const LONG_MS = 70_000
const SHORT_MS = 2_000
const SPREAD_MS = 10_000
/** Runs with fewer kills are there to see that it works. */
const KILLS_OF_A_SOAK = 10

const kills = Number(Bun.argv[2] ?? 100)
const rate = Number(Bun.argv[3] ?? 20_000)
const isSoak = kills >= KILLS_OF_A_SOAK

const stack = await Stack.start()
let good = false
try {
  const load = new SteadyLoad({ port: stack.config.relay.port, rate, prefix: 'kill' })
  const times: number[] = []
  for (let i = 0; i < kills; i++) {
    await Bun.sleep(runMs(i))
    await stack.kill('store')
    times.push(await startMs())
  }
  await Bun.sleep(SHORT_MS)
  await load.stop()
  const report = await load.check(stack, { timeoutMs: 60_000 })
  times.sort((a, b) => a - b)
  const at = (share: number): string =>
    `${times[Math.floor(share * (times.length - 1))]!.toFixed(0)} ms`
  console.log(`${kills} kills at ${rate} points/s`)
  console.log(`start to ready: p50 ${at(0.5)}, p99 ${at(0.99)}, max ${at(1)}`)
  console.log(
    `${report.sent} points sent, ${report.missing.length} lost ${describeMissing(report)}`,
  )
  console.log(`${await stack.metric('store', 'emon_store_damaged_total')} damaged files`)
  good = report.missing.length === 0 && load.breaks === 0
  if (isSoak) good &&= times.at(-1)! < READY_MS_MAX
} finally {
  await stack.close()
}
process.exit(good ? 0 : 1)

function runMs(kill: number): number {
  if (!isSoak) return SHORT_MS / 2
  if (kill % LONG_EVERY === LONG_EVERY - 1) return LONG_MS
  return SHORT_MS + Math.random() * SPREAD_MS
}

async function startMs(): Promise<number> {
  const startedMs = performance.now()
  stack.spawn('store')
  while ((await notReady(stack.config, 'store')).length > 0) await Bun.sleep(5)
  return performance.now() - startedMs
}
