/**
 * The engine on real host metrics: its codec, a recorded hour through the whole engine in this process, and,
 * with --peers, a fleet's hour over a socket into our relay and store, VictoriaMetrics, Prometheus and carbon-cache.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { realDisk } from '../../src/lib/disk.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import { columnBytesMax } from '../../src/store/columns/column-codec.ts'
import { ColumnDecoder } from '../../src/store/columns/column-decoder.ts'
import { ColumnEncoder } from '../../src/store/columns/column-encoder.ts'
import type { Engine } from '../../src/store/engine.ts'
import { openEngine } from '../../src/store/engine/open-engine.ts'
import { SimClock } from '../sim/clock.ts'
import type { BenchCase, Measured } from './bench.ts'
import { fleetOf, type HostMetrics, hostMetrics } from './host-metrics.ts'
import { carbonCache, ours, prometheus, victoriaMetrics } from './store-peers.ts'
import { folderBytes, type Load, type PeerRun } from './store-race.ts'

const COLUMN_SLOTS = 60
const START = 1_800_000_000
const HOUR = 3_600

const RULE = {
  archives: [
    { step: 1, count: 86_400 },
    { step: 10, count: 60_480 },
    { step: 60, count: 129_600 },
  ],
  method: 'average',
  xFilesFactor: 0.5,
} as const

function secondsAt(scale: number): number {
  return Math.max(COLUMN_SLOTS * 2, Math.floor((HOUR * scale) / COLUMN_SLOTS) * COLUMN_SLOTS)
}

/** Encodes every 60 slots of every series, one after the other; answers where each column starts. */
function encodeColumns(metrics: HostMetrics, dst: Uint8Array): Uint32Array {
  const encoder = new ColumnEncoder()
  const { values } = metrics
  const starts = new Uint32Array(values.length / COLUMN_SLOTS + 1)
  let at = 0
  for (let i = 0; i < values.length; i += COLUMN_SLOTS) {
    at = encoder.encode(values, i, COLUMN_SLOTS, dst, at, 1)
    starts[i / COLUMN_SLOTS + 1] = at
  }
  return starts
}

function columnsFor(scale: number): { metrics: HostMetrics; dst: Uint8Array } {
  const metrics = hostMetrics(secondsAt(scale))
  return { metrics, dst: new Uint8Array(metrics.values.length * 21 + columnBytesMax(COLUMN_SLOTS)) }
}

const encode: BenchCase = {
  name: 'store/column-codec: encode 60 slots, real host metrics',
  unit: 'points',
  prepare(scale) {
    const { metrics, dst } = columnsFor(scale)
    return { count: metrics.points, run: () => encodeColumns(metrics, dst).at(-1)! }
  },
}

const decode: BenchCase = {
  name: 'store/column-codec: decode 60 slots, real host metrics',
  unit: 'points',
  prepare(scale) {
    const { metrics, dst } = columnsFor(scale)
    const starts = encodeColumns(metrics, dst)
    const bytes = dst.subarray(0, starts.at(-1))
    const decoder = new ColumnDecoder()
    const slots = new Float64Array(COLUMN_SLOTS)
    return {
      count: metrics.points,
      run() {
        let sum = 0
        decoder.open(bytes, starts, starts.length - 1, COLUMN_SLOTS)
        for (let i = 0; i + 1 < starts.length; i++) {
          decoder.decode(i, slots, 0)
          sum += slots[0]! > 0 ? 1 : 0
        }
        return sum
      },
    }
  },
}

const engineHour: BenchCase = {
  name: 'store/engine: a recorded hour, logged, synced, sealed, rolled up',
  unit: 'points',
  prepare(scale) {
    const metrics = hostMetrics(secondsAt(scale))
    return { count: metrics.points, run: () => runHour(metrics) }
  },
}

/** CPU seconds of this process: with other work on the machine the clock says little. */
async function runHour(metrics: HostMetrics): Promise<Measured> {
  const dir = mkdtempSync(`${tmpdir()}/emon-bench-`)
  const clock = new SimClock({ startMs: START * 1000 })
  try {
    const engine = await openEngine({
      dir: `${dir}/store`,
      disk: realDisk,
      clock,
      log: silentLog,
      stats: new Stats(),
      settings: { fsync: '1s', rollup: 'whisper', maxFuture: 3_600, reserveBytes: 0 },
      onSeries: () => {},
      onProgress: () => {},
    })
    for (const [id, path] of metrics.names.entries()) engine.define({ id, path, ...RULE })
    const before = process.cpuUsage()
    await feed(engine, clock, metrics)
    await advance(clock, 400)
    await engine.flush()
    const { user, system } = process.cpuUsage(before)
    const bytes = folderBytes(`${dir}/store/data`)
    await engine.close()
    const figures = { 'bytes/point': bytes / metrics.points }
    return { checksum: metrics.points, seconds: (user + system) / 1e6, figures }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function feed(engine: Engine, clock: SimClock, metrics: HostMetrics): Promise<void> {
  const { names, seconds, values } = metrics
  const ids = new Uint32Array(names.length)
  const times = new Uint32Array(names.length)
  const column = new Float64Array(names.length)
  for (let second = 0; second < seconds; second++) {
    let count = 0
    for (let k = 0; k < names.length; k++) {
      const value = values[k * seconds + second]!
      if (value !== value) continue
      ids[count] = k
      times[count] = START + second
      column[count++] = value
    }
    engine.append({ sender: '00000000000000aa', sequence: second + 1 }, ids, times, column, count)
    await advance(clock, 1)
  }
}

/** Seconds of simulated time, in which the real disk gets its turn. */
async function advance(clock: SimClock, seconds: number): Promise<void> {
  for (let i = 0; i < seconds; i++) {
    await clock.advance(1000)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

/** VictoriaMetrics' figures of this call, which the budgets are about. */
let victoria: PeerRun | undefined

/** The same points into another store or ours; CPU seconds of all its processes. */
function peerCase(
  label: string,
  { seconds, machines }: { seconds: number; machines: number },
  run: (load: Load) => Promise<PeerRun | string>,
): BenchCase {
  return {
    name: `store/peers: line socket to durable, ${label}`,
    unit: 'points',
    peer: true,
    async prepare(scale) {
      const warmUp = hostMetrics(Math.ceil(seconds * scale))
      const fleet = fleetOf(warmUp, machines)
      const few = hostMetrics(2)
      const probe = await run({ warmUp: few, fleet: few })
      if (typeof probe === 'string') return probe
      return {
        count: fleet.points,
        isWarm: true,
        async run() {
          const result = await run({ warmUp, fleet })
          if (typeof result === 'string') throw new Error(result)
          if (run === victoriaMetrics) victoria = result
          const { points, cpuSeconds, bytesAPoint, pssBytes } = result
          const figures = { 'bytes/point': bytesAPoint, 'MiB PSS': pssBytes / 1024 ** 2 }
          return {
            checksum: points,
            seconds: cpuSeconds,
            figures: { ...figures, ...besideVictoria(result) },
          }
        },
      }
    },
  }
}

function besideVictoria(run: PeerRun): Record<string, number> {
  if (!victoria || run === victoria) return {}
  return {
    '× its CPU': run.cpuSeconds / run.points / (victoria.cpuSeconds / victoria.points),
    '× its bytes': run.bytesAPoint / victoria.bytesAPoint,
  }
}

/** One whole window of the finest archive. */
const FLEET = { seconds: HOUR, machines: 10 }

export const cases: readonly BenchCase[] = [
  encode,
  decode,
  engineHour,
  peerCase('VictoriaMetrics (GOMAXPROCS=1)', FLEET, victoriaMetrics),
  peerCase('relay and store', FLEET, ours),
  peerCase('Prometheus (remote write)', FLEET, prometheus),
  peerCase('carbon-cache and Whisper (5 minutes)', { seconds: 300, machines: 2 }, carbonCache),
]
