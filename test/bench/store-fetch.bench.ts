/**
 * Fetches from sealed blocks, in this process: the recorded hour of two machines, twice, kept at 1 s. Figures are
 * CPU milliseconds of one fetch, warm; `ms most in a turn` is the most CPU time that the thread had between two
 * turns of its event loop while the largest was fetched.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type Clock, systemClock } from '../../src/lib/clock.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import type { Engine } from '../../src/store/engine.ts'
import { openEngine } from '../../src/store/engine/open-engine.ts'
import { SimClock } from '../sim/clock.ts'
import type { BenchCase } from './bench.ts'
import { fleetOf, type HostMetrics, hostMetrics } from './host-metrics.ts'

const HOUR = 3_600
/** A window starts here. */
const START = 1_800_000_000
const MACHINES = 2

const RULE = {
  archives: [{ step: 1, count: 86_400 }],
  method: 'average',
  xFilesFactor: 0.5,
} as const

const QUESTIONS = [
  { what: 'any 1 × 3,600', series: 1, slots: HOUR, times: 300, isSame: false },
  { what: 'the same 1 × 3,600', series: 1, slots: HOUR, times: 300, isSame: true },
  { what: 'any 1 × 7,200', series: 1, slots: 2 * HOUR, times: 300, isSame: false },
  { what: '100 × 3,600', series: 100, slots: HOUR, times: 20, isSame: false },
  { what: '1,000 × 7,200', series: 1_000, slots: 2 * HOUR, times: 5, isSame: true },
] as const

const sealed: BenchCase = {
  name: 'store/fetch: from sealed blocks, real host metrics',
  unit: 'points',
  async prepare(scale) {
    const dir = mkdtempSync(`${tmpdir()}/emon-bench-`)
    const metrics = fleetOf(hostMetrics(Math.max(60, Math.ceil(HOUR * scale))), MACHINES)
    await fill(dir, metrics)
    const engine = await open(dir, systemClock)
    const total = metrics.names.length
    const until = START + 2 * metrics.seconds - 1
    const ask = async (ids: Uint32Array, slots: number): Promise<number> => {
      let sum = 0
      await engine.fetch(ids, { from: until - slots, until, now: until }, (_, found) => {
        sum += found!.values.length
      })
      return sum
    }
    return {
      count: Math.min(1_000, total) * 2 * metrics.seconds,
      isWarm: true,
      async run() {
        const figures: Record<string, number> = {}
        let seconds = 0
        let checksum = 0
        for (const { what, series, slots, times, isSame } of QUESTIONS) {
          const some = Math.ceil(times * scale)
          const span = Math.ceil(slots * scale)
          for (let i = 0; i < some; i++) await ask(idsOf(series, isSame ? 0 : i, total), span)
          const watch = watchTurns()
          const before = process.cpuUsage()
          for (let i = 0; i < some; i++)
            checksum += await ask(idsOf(series, isSame ? 0 : some + i, total), span)
          const { user, system } = process.cpuUsage(before)
          figures[`ms CPU ${what}`] = (user + system) / 1e3 / some
          figures['ms most in a turn'] = watch.stop()
          seconds = (user + system) / 1e6 / some
        }
        return { checksum, seconds, figures }
      },
      async close() {
        await engine.close()
        rmSync(dir, { recursive: true, force: true })
      },
    }
  },
}

/** Neighbours, as those that a panel shows; other ones for another `turn`. */
function idsOf(series: number, turn: number, total: number): Uint32Array {
  const count = Math.min(series, total)
  const first = (turn * 373) % (total - count + 1)
  return Uint32Array.from({ length: count }, (_, k) => first + k)
}

/** CPU time of this thread, so that what else runs on the machine does not count. */
function watchTurns(): { stop(): number } {
  const spent = (): number => {
    const { user, system } = process.threadCpuUsage()
    return (user + system) / 1e3
  }
  let before = spent()
  let most = 0
  const look = (): void => {
    const now = spent()
    most = Math.max(most, now - before)
    before = now
  }
  const timer = systemClock.every(1, look)
  return {
    stop() {
      timer.cancel()
      return most
    },
  }
}

function open(dir: string, clock: Clock): Promise<Engine> {
  return openEngine({
    dir: `${dir}/store`,
    disk: realDisk,
    clock,
    log: silentLog,
    stats: new Stats(),
    settings: { fsync: 'off', rollup: 'whisper', maxFuture: HOUR, reserveBytes: 0 },
    onSeries: () => {},
    onProgress: () => {},
  })
}

/** The same seconds twice, one after the other, sealed. */
async function fill(dir: string, { names, seconds, values }: HostMetrics): Promise<void> {
  const clock = new SimClock({ startMs: START * 1_000 })
  const engine = await open(dir, clock)
  for (const [id, path] of names.entries()) engine.define({ id, path, ...RULE })
  const ids = new Uint32Array(names.length)
  const times = new Uint32Array(names.length)
  const column = new Float64Array(names.length)
  for (let second = 0; second < 2 * seconds; second++) {
    let count = 0
    for (let k = 0; k < names.length; k++) {
      const value = values[k * seconds + (second % seconds)]!
      if (value !== value) continue
      ids[count] = k
      times[count] = START + second
      column[count++] = value
    }
    engine.append(undefined, ids, times, column, count)
    await clock.advance(1_000)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await engine.flush()
  await engine.close()
}

export const cases: readonly BenchCase[] = [sealed]
