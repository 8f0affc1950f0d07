/** After an import the coarse slots of the live points that followed it had no value until their window was sealed. */
import { expect, test } from 'bun:test'
import { silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import type { Engine } from '../../src/store/engine.ts'
import { openEngine } from '../../src/store/engine/open-engine.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

const START = 1_800_000_000

async function coarseTail(engine: Engine, now: number, count: number): Promise<number[]> {
  let tail = new Float64Array(0)
  await engine.fetch(Uint32Array.of(0), { from: now - 86_400, until: now, now }, (_, slots) => {
    tail = slots!.values.slice(-count)
  })
  return Array.from(tail)
}

test.each(['whisper', 'exact'] as const)(
  'live points after an import are rolled up with it: %s',
  async (rollup) => {
    const clock = new SimClock({ startMs: (START + 25) * 1000 })
    const engine = await openEngine({
      dir: '/store',
      disk: new SimDisk(),
      clock,
      log: silentLog,
      stats: new Stats(),
      settings: { fsync: 'off', rollup, maxFuture: 3600 },
      onSeries() {},
      onProgress() {},
    })
    const archives = [
      { step: 10, count: 360 },
      { step: 60, count: 1440 },
    ]
    engine.define({ id: 0, path: 'a', archives, method: 'sum', xFilesFactor: 0, pinned: true })
    const fine = new Float64Array(350).fill(1)
    await engine.load(0, { start: START + 20 - 3490, step: 10, values: fine })
    await engine.load(0, {
      start: START - 59 * 60,
      step: 60,
      values: new Float64Array(60).fill(6, 0, 59).fill(3, 59),
    })
    let now = START + 25
    for (let i = 0; i < 12; i++) {
      await clock.advance(10_000)
      now += 10
      engine.append(undefined, Uint32Array.of(0), Uint32Array.of(now), Float64Array.of(1), 1)
    }
    expect((await coarseTail(engine, now, 5)).slice(0, 2)).toEqual([6, 6])
    expect(await coarseTail(engine, now, 2)).toEqual([6, 3])
    await engine.close()
  },
)
