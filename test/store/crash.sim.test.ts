/**
 * Crashes at every change of the disk, in two kinds. After a kill every point that `append` took is there;
 * after a power cut every point that was synced is, and nothing is there that was never written.
 */
import { describe, expect, test } from 'bun:test'
import { SimulatedCrash } from '../sim/disk.ts'
import { EngineBed, SECONDS, START } from './engine-bed.ts'

const SERIES = 3
/** So that a window ends, and is sealed and rolled up, within a run. */
const BEGIN = START + 3_550
const SECONDS_RUN = 600
const TENS = { ...SECONDS, archives: [{ step: 10, count: 1_000 }] }

/** What was asked of the store, and what it promised. */
class Ledger {
  readonly written = new Map<string, number[]>()
  readonly taken = new Map<string, number>()
  synced = new Map<string, number>()
  removed = false

  note(points: readonly (readonly [number, number, number])[]): void {
    for (const [id, time, value] of points) {
      const key = keyOf(id, time)
      this.written.set(key, [...(this.written.get(key) ?? []), value])
    }
  }

  take(points: readonly (readonly [number, number, number])[]): void {
    for (const [id, time, value] of points) this.taken.set(keyOf(id, time), value)
  }
}

const stepOf = (id: number): number => (id === 2 ? 10 : 1)
const keyOf = (id: number, time: number): string =>
  `${id} ${Math.floor(time / stepOf(id)) * stepOf(id)}`

/** Runs until the disk crashes, or to the end. */
async function run(bed: EngineBed, ledger: Ledger): Promise<void> {
  await bed.open()
  bed.engine.onSynced(() => (ledger.synced = new Map(ledger.taken)))
  for (let id = 0; id < SERIES; id++) bed.define(`series.${id}`, id === 2 ? TENS : SECONDS)
  let sequence = 0
  for (let t = 0; t < SECONDS_RUN; t += 5) {
    const now = bed.now
    const points: [number, number, number][] = []
    for (let id = 0; id < SERIES; id++) {
      points.push([id, now, now % 1000], [id, now - 1, (now % 1000) + 0.25])
      // Late ones, in the window before too.
      if (t % 35 === 0) points.push([id, now - 200, t])
      if (t === 400) points.push([id, BEGIN + 10, 4_444])
    }
    ledger.note(points)
    bed.write(points, ++sequence)
    ledger.take(points)
    await bed.clock.advance(5000)
  }
  await bed.engine.flush()
}

async function runToCrash(bed: EngineBed, ledger: Ledger): Promise<boolean> {
  try {
    await run(bed, ledger)
    return false
  } catch (error) {
    if (!(error instanceof SimulatedCrash)) throw error
    return true
  }
}

/** Every promised point is there (or one written after it), and every answer was written once. */
async function expectKept(
  bed: EngineBed,
  ledger: Ledger,
  promised: Map<string, number>,
): Promise<void> {
  await bed.open()
  for (let id = 0; id < Math.min(SERIES, bed.engine.nextId); id++) {
    const found = await bed.read(id, {
      from: BEGIN - 300,
      until: BEGIN + SECONDS_RUN,
      now: BEGIN + SECONDS_RUN,
    })
    for (let i = 0; i < (found?.values.length ?? 0); i++) {
      const key = keyOf(id, found!.start + i * found!.step)
      const value = found!.values[i]!
      const written = ledger.written.get(key) ?? []
      const since = promised.has(key)
        ? written.slice(written.lastIndexOf(promised.get(key)!))
        : written
      const fits = promised.has(key)
        ? since.includes(value)
        : Number.isNaN(value) || written.includes(value)
      if (!fits)
        throw new Error(`${key}: ${value} of ${written.join()}, promised ${promised.get(key)}`)
    }
  }
}

/** The store goes on working: it takes points, flushes, and all checksums are right. */
async function expectHealthy(bed: EngineBed): Promise<void> {
  if (bed.engine.nextId === 0) bed.define('series.0')
  const now = bed.now
  bed.write([[0, now, 99]])
  await bed.engine.flush()
  expect(await bed.valueAt(0, now)).toBe(99)
  expect((await bed.engine.check()).problems).toEqual([])
  expect(bed.counter('damaged')).toBe(0)
}

const whole = new EngineBed(BEGIN)
await run(whole, new Ledger())
const changes = whole.disk.changes

describe(`crash at each of ${changes} changes`, () => {
  test('kill -9 loses nothing that was taken', async () => {
    for (let at = 0; at < changes; at++) {
      const bed = new EngineBed(BEGIN)
      const ledger = new Ledger()
      bed.disk.crashAfter(at, at % 7)
      await runToCrash(bed, ledger)
      bed.disk.revive()
      await expectKept(bed, ledger, ledger.taken)
      if (at % 4 === 0) await expectHealthy(bed)
    }
  }, 60_000)

  test('a power cut loses nothing that was synced', async () => {
    for (let at = 0; at < changes; at++) {
      const bed = new EngineBed(BEGIN)
      const ledger = new Ledger()
      bed.disk.crashAfter(at, at % 11)
      await runToCrash(bed, ledger)
      bed.disk.powerCut({ tornBytes: at % 3 === 0 ? 0 : (at * 37) % 400 })
      await expectKept(bed, ledger, ledger.synced)
      if (at % 4 === 1) await expectHealthy(bed)
    }
  }, 60_000)
})
