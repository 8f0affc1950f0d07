/** Opening with very many series: the event loop gets its turns. */
import { expect, test } from 'bun:test'
import type { Clock } from '../../../src/lib/clock.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Stats } from '../../../src/lib/stats.ts'
import { openEngine } from '../../../src/store/engine/open-engine.ts'
import { settle, SimClock } from '../../sim/clock.ts'
import { EngineBed } from '../engine-bed.ts'

const CHECKPOINTED = 150_000
const LOGGED = 50_000

/** Each look at it takes a millisecond; whoever rests gives everything else a turn. */
class LookedAtClock extends SimClock implements Clock {
  private looks = 0
  turns = 0

  override monotonicMs(): number {
    return super.monotonicMs() + this.looks++
  }

  override after(delayMs: number, run: () => void): { cancel: () => void } {
    if (delayMs > 0) return super.after(delayMs, run)
    this.turns++
    const timer = setImmediate(run)
    return { cancel: () => clearImmediate(timer) }
  }
}

test('opening rests while it reads either log and while it tells the series, and says how far it is', async () => {
  const bed = new EngineBed()
  await bed.open()
  for (let i = 0; i < CHECKPOINTED; i++) bed.define(`servers.web${i % 1000}.requests.path${i}`)
  await bed.engine.flush()
  for (let i = 0; i < LOGGED; i++) bed.define(`servers.db${i % 1000}.queries.table${i}`)
  bed.disk.crashAfter(0)
  await settle()
  bed.disk.revive()

  const clock = new LookedAtClock({ startMs: bed.clock.nowMs() })
  const told: { done: number; turns: number }[] = []
  let series = 0
  let turnsOfSeries = 0
  let inOneTurn = 0
  let mostInOneTurn = 0
  let lastTurn = 0
  const engine = await openEngine({
    dir: bed.dir,
    disk: bed.disk,
    clock,
    log: silentLog,
    stats: new Stats(),
    settings: { fsync: '1s', rollup: 'whisper', maxFuture: 3600, reserveBytes: 0 },
    onSeries(id) {
      if (id !== series++) throw new Error(`series ${id} came as number ${series - 1}`)
      if (clock.turns !== lastTurn) turnsOfSeries++
      inOneTurn = clock.turns === lastTurn ? inOneTurn + 1 : 1
      lastTurn = clock.turns
      mostInOneTurn = Math.max(mostInOneTurn, inOneTurn)
    },
    onProgress: (done) => told.push({ done, turns: clock.turns }),
  })
  expect(engine.nextId).toBe(CHECKPOINTED + LOGGED)
  expect(series).toBe(CHECKPOINTED + LOGGED)
  expect(turnsOfSeries).toBeGreaterThan(50)
  expect(mostInOneTurn).toBeLessThan(5_000)
  const steps = told.map(({ done }) => done)
  expect(steps).toEqual(steps.toSorted((a, b) => a - b))
  expect(told.length).toBeGreaterThan(50)
  expect(told.at(-1)?.done).toBe(1)
  // Both logs: some three quarters of the bytes are in the series log, the rest in the write-ahead log.
  const half = told.find(({ done }) => done >= 0.5)!.turns
  expect(half).toBeGreaterThan(20)
  expect(told.at(-1)!.turns - told.find(({ done }) => done >= 0.85)!.turns).toBeGreaterThan(5)
}, 30_000)

test('opening tells every series that is left under its last name, from either log', async () => {
  const bed = new EngineBed()
  await bed.open()
  for (const path of ['a', 'b', 'c', 'd']) bed.define(path)
  bed.engine.remove(0)
  bed.engine.rename(1, 'b.new')
  await bed.engine.flush()
  bed.define('e')
  bed.define('f')
  bed.engine.rename(2, 'c.new')
  bed.engine.rename(4, 'e.new')
  bed.engine.remove(3)
  bed.engine.remove(5)
  await bed.open()
  expect(bed.known.map(({ id, path }) => [id, path])).toEqual([
    [1, 'b.new'],
    [2, 'c.new'],
    [4, 'e.new'],
  ])
  expect(bed.engine.nextId).toBe(6)
})
