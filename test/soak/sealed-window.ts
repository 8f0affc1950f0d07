/**
 * What a point costs when all is counted: ./scripts/soak sealed-window [SERIES] [SECONDS] [--peers].
 *
 * SERIES (20,000) are sent once a second until the hour has passed and the store has sealed its window and rolled it
 * up by itself, five minutes later. Points count from a minute after the start, CPU from then to the end: relay and
 * store, and with --peers VictoriaMetrics, which gets the same lines beside them. Started at half past, it takes
 * forty minutes, and half an hour of points is sealed. With SECONDS it is sealed by hand after that time.
 */
import { readdirSync } from 'node:fs'
import { cpuSeconds } from '../../scripts/proc.ts'
import { SteadyLoad } from '../e2e/load.ts'
import { nowSeconds, Stack } from '../e2e/stack.ts'
import { startVictoria } from '../peers/victoria.ts'

const HOUR = 3_600
const WARM_UP_MS = 60_000
/** Sealing comes five minutes after the window's end. */
const SEALED_WITHIN_SECONDS = 600

const words = Bun.argv.slice(2)
const [rate = 20_000, seconds] = words.filter((word) => !word.startsWith('--')).map(Number)
const victoria = words.includes('--peers') ? await startVictoria() : undefined
const stack = await Stack.start()
let good = false
try {
  const load = new SteadyLoad({ port: stack.config.relay.port, rate, prefix: 'sealed' })
  const peerLoad = victoria && new SteadyLoad({ port: victoria.port, rate, prefix: 'sealed' })
  await Bun.sleep(seconds === undefined ? WARM_UP_MS : (seconds * 1000) / 4)
  const began = { sent: load.sent, cpu: ourCpu(), peer: victoria?.cpu() ?? 0 }
  const peerSent = peerLoad?.sent ?? 0
  const windowStart = Math.floor(nowSeconds() / HOUR) * HOUR
  const end = windowStart + HOUR
  console.log(`${rate} points/s; the window ends in ${end - nowSeconds()} s`)
  if (seconds !== undefined) {
    await Bun.sleep(seconds * 1000)
    await stack.seal()
  }
  while (!isSealed(windowStart) && nowSeconds() < end + SEALED_WITHIN_SECONDS) await Bun.sleep(1000)
  good = isSealed(windowStart)
  const both = (ourCpu() - began.cpu) / (load.sent - began.sent)
  console.log(`${good ? 'sealed' : 'NOT SEALED'} ${nowSeconds() - end} s after its end`)
  report('relay and store, µs CPU a point', both * 1e6)
  if (victoria && peerLoad) {
    const peer = (victoria.cpu() - began.peer) / (peerLoad.sent - peerSent)
    report('VictoriaMetrics, µs CPU a point', peer * 1e6)
    report('of that, both take', both / peer)
  }
  await peerLoad?.stop()
  await load.stop()
} finally {
  await stack.close()
  await victoria?.stop()
}
process.exit(good ? 0 : 1)

function isSealed(windowStart: number): boolean {
  const dir = `${stack.dir}/store/data`
  return readdirSync(dir).some((lane) => {
    const blocks = readdirSync(`${dir}/${lane}`).includes('1')
      ? readdirSync(`${dir}/${lane}/1`)
      : []
    return blocks.some((name) => name.startsWith(`${windowStart}.`) && name.endsWith('.blk'))
  })
}

function ourCpu(): number {
  return cpuSeconds(stack.pid('relay')) + cpuSeconds(stack.pid('store'))
}

function report(what: string, value: number): void {
  console.log(`${what.padEnd(44)} ${Number(value.toPrecision(3))}`)
}
