/**
 * The engine against two models of the same stream: a naive one in memory, and python-whisper where Debian's
 * python3-whisper is installed. Writes, overwrites, late points, holes, duplicates, kills, restarts, flushes;
 * every archive is compared, slot by slot. Exact roll-ups are compared with the naive model alone.
 *
 * Left out of the stream, because we differ there on purpose (README, "Differences from Whisper"): two
 * points for one slot in one batch; a point as old as an archive's retention, or so old that only a part
 * of its coarser slot is still in the finer archive; NaN; an xFilesFactor that float32 rounds.
 */
import { describe, expect, test } from 'bun:test'
import type { AggregationMethod } from '../../src/metric/consolidation.ts'
import { type Archive, archiveSeconds } from '../../src/metric/retention.ts'
import { EngineBed, START } from './engine-bed.ts'
import { NaiveSeries, randomOf, type Rollup } from './naive-store.ts'

const ARCHIVES: Archive[] = [
  { step: 1, count: 600 },
  { step: 10, count: 360 },
  { step: 60, count: 240 },
]
const METHODS: AggregationMethod[] = ['average', 'sum', 'last', 'max', 'min']
const STEPS = 260
const python = Bun.which('python3', { PATH: '/usr/bin:/bin' })
const hasWhisper = python !== null && Bun.spawnSync([python, '-c', 'import whisper']).exitCode === 0

type Operation = readonly [now: number, points: readonly (readonly [number, number])[]]

/** An age that is well inside one archive: see the header. */
function pickAge(random: (below: number) => number): number {
  const kind = random(20)
  if (kind < 14) return random(4)
  if (kind < 17) return random(500)
  if (kind < 19) return 700 + random(2_700)
  return 3_700 + random(10_000)
}

function makePoints(now: number, random: (below: number) => number): (readonly [number, number])[] {
  const points = new Map<number, number>()
  const count = 1 + random(12)
  for (let i = 0; i < count; i++) {
    const time = now - pickAge(random)
    const isTaken = [...points.keys()].some((t) => Math.floor(t / 60) === Math.floor(time / 60))
    if (time >= now - 600 ? !points.has(time) : !isTaken)
      points.set(time, (random(20_000) - 10_000) / 4)
  }
  // Whisper takes a batch from the newest point on.
  return [...points].sort((a, b) => b[0] - a[0])
}

async function runStream(
  seed: number,
  method: AggregationMethod,
  rollup: Rollup = 'whisper',
): Promise<{ bed: EngineBed; naive: NaiveSeries; operations: Operation[] }> {
  const random = randomOf(seed)
  const bed = new EngineBed(START + 17)
  await bed.open({ rollup })
  bed.define('model.series', { archives: ARCHIVES, method, xFilesFactor: 0.5 })
  const naive = new NaiveSeries(ARCHIVES, method, rollup)
  const operations: Operation[] = []
  let newest = 0
  for (let i = 0; i < STEPS; i++) {
    const points = makePoints(bed.now, random)
    // The store's now is never ahead of its points (design, clock rules).
    newest = Math.max(newest, ...points.map(([time]) => time))
    const now = Math.min(bed.now, newest + 1)
    operations.push([now, points])
    bed.write(
      points.map(([time, value]) => [0, time, value] as const),
      i + 1,
    )
    // The same frame again, as after a lost acknowledgement.
    if (random(10) === 0)
      bed.write(
        points.map(([time]) => [0, time, 0] as const),
        i + 1,
      )
    for (const [time, value] of points) naive.write(now, time, value)
    const chance = random(60)
    if (chance === 0) await bed.open({ rollup })
    else if (chance === 1) {
      await bed.engine.close()
      await bed.open({ rollup })
    } else if (chance === 2) await bed.engine.flush()
    await bed.clock.advance(1000 * (random(12) === 0 ? 1 + random(300) : 1 + random(8)))
    // What is late shows in coarser archives with the next checkpoint.
  }
  await bed.clock.advance(65_000)
  return { bed, naive, operations }
}

async function readArchive(bed: EngineBed, depth: number): Promise<Map<number, number>> {
  const { now } = bed
  const slots = await bed.read(0, { from: now - archiveSeconds(ARCHIVES[depth]!), until: now })
  expect(slots?.step).toBe(ARCHIVES[depth]!.step)
  const found = new Map<number, number>()
  for (const [i, value] of slots!.values.entries()) {
    if (!Number.isNaN(value)) found.set(slots!.start + i * slots!.step, value)
  }
  return found
}

function expectSame(label: string, found: Map<number, number>, wanted: Map<number, number>): void {
  const problems: string[] = []
  for (const time of new Set([...found.keys(), ...wanted.keys()])) {
    const [ours, theirs] = [found.get(time), wanted.get(time)]
    if (!Object.is(ours, theirs))
      problems.push(`${label} at ${time - START}: ${ours}, not ${theirs}`)
  }
  expect(problems.slice(0, 5)).toEqual([])
}

function runWhisper(operations: readonly Operation[], method: string, now: number) {
  const job = {
    archives: ARCHIVES.map(({ step, count }) => [step, count]),
    method,
    xFilesFactor: 0.5,
    operations,
    now,
  }
  const run = Bun.spawnSync([python!, `${import.meta.dir}/whisper-twin.py`], {
    stdin: Buffer.from(JSON.stringify(job)),
  })
  expect(run.stderr.toString()).toBe('')
  return JSON.parse(run.stdout.toString()) as {
    start: number
    step: number
    values: (number | null)[]
  }[]
}

describe('model', () => {
  const seeds = Array.from({ length: 40 }, (_, i) => i + 1)
  /** In these a point waited ahead of the head, and a newer one for its slot met the head that had moved on. */
  const aheadOfTheHead = [138, 158]

  test.each([...seeds, ...aheadOfTheHead])(
    'stream %d is kept as the naive model and Whisper keep it',
    async (seed) => {
      const method = METHODS[seed % METHODS.length]!
      const { bed, naive, operations } = await runStream(seed, method)
      const { now } = bed
      for (const depth of ARCHIVES.keys()) {
        const label = `seed ${seed}, ${method}, ${ARCHIVES[depth]!.step} s`
        expectSame(`naive: ${label}`, await readArchive(bed, depth), naive.read(depth, now))
      }
      if (!hasWhisper || seed > 8) return
      for (const [depth, { start, step, values }] of runWhisper(
        operations,
        method,
        now,
      ).entries()) {
        const wanted = new Map<number, number>()
        for (const [i, value] of values.entries())
          if (value !== null) wanted.set(start + i * step, value)
        expectSame(`whisper: seed ${seed}, ${step} s`, await readArchive(bed, depth), wanted)
      }
    },
  )

  test.each([...seeds.slice(0, 20), ...aheadOfTheHead])(
    'stream %d is rolled up from the finest archive',
    async (seed) => {
      const method = METHODS[seed % METHODS.length]!
      const { bed, naive } = await runStream(seed, method, 'exact')
      const { now } = bed
      for (const depth of ARCHIVES.keys()) {
        const label = `exact: seed ${seed}, ${method}, ${ARCHIVES[depth]!.step} s`
        expectSame(label, await readArchive(bed, depth), naive.read(depth, now))
      }
    },
  )

  if (!hasWhisper) console.log('skipped: python3-whisper is not installed, naive model only')
})
