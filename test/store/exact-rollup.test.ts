/** `store.rollup = "exact"`: what differs from Whisper's rule, what does not, and how one becomes the other. */
import { describe, expect, test } from 'bun:test'
import type { EngineSettings } from '../../src/store/engine.ts'
import { EngineBed, SECONDS, START } from './engine-bed.ts'

type Rollup = EngineSettings['rollup']

/** A whole window of the finest archive and what seals it. */
const WINDOW = 3_600
const BEGIN = Math.ceil(START / WINDOW) * WINDOW
const DAY = 86_400

/** Writes `seconds` of points that `valueAt` has, NaN for none, and seals what is over. */
async function fill(
  bed: EngineBed,
  seconds: number,
  valueAt: (offset: number) => number,
): Promise<void> {
  for (let t = 0; t < seconds; t += 20) {
    const points = Array.from({ length: 20 }, (_, i) => [0, bed.now + i, valueAt(t + i)] as const)
    bed.write(points.filter(([, , value]) => !Number.isNaN(value)))
    await bed.clock.advance(20_000)
  }
  await bed.clock.advance(1_000_000)
  await bed.engine.flush()
}

async function filled(rollup: Rollup, valueAt: (offset: number) => number): Promise<EngineBed> {
  const bed = new EngineBed(BEGIN)
  await bed.open({ rollup })
  bed.define('series')
  await fill(bed, WINDOW, valueAt)
  return bed
}

/** The window's slots of the archive with so many seconds a slot. */
async function windowAt(bed: EngineBed, step: 10 | 60): Promise<number[]> {
  const from = BEGIN - step
  const until = BEGIN + WINDOW - step
  // Seen from so far ahead that no finer archive reaches back.
  const now = BEGIN + (step === 10 ? 2 * DAY : 20 * DAY)
  const found = await bed.read(0, { from, until, now })
  expect(found?.step).toBe(step)
  return found!.values
}

/** Of each minute: ten 1s, five 100s, a gap, thirty 7s. */
const gappy = (t: number): number => {
  const second = t % 60
  if (second < 10) return 1
  if (second < 15) return 100
  return second < 30 ? NaN : 7
}

describe('exact roll-ups', () => {
  test('an average weighs every value alike, Whisper averages averages', async () => {
    const exact = await windowAt(await filled('exact', gappy), 60)
    const whisper = await windowAt(await filled('whisper', gappy), 60)
    expect(exact).toEqual(Array<number>(60).fill((10 + 500 + 210) / 45))
    expect(whisper).toEqual(Array<number>(60).fill((1 + 100 + 7 * 3) / 5))
  })

  test('xFilesFactor is held against the finest slots', async () => {
    // Half a minute with 8 of 10: 24 of 60 known, but 3 of 6 ten-second slots.
    const thin = (t: number): number => (t % 60 < 30 && t % 10 < 8 ? 1 : NaN)
    expect((await windowAt(await filled('exact', thin), 60)).every(Number.isNaN)).toBeTrue()
    expect(await windowAt(await filled('whisper', thin), 60)).toEqual(Array<number>(60).fill(1))
    // 4 of 10 fail in two thirds of the ten-second slots; 36 of 60 do not.
    const thick = (t: number): number => (t % 60 < 20 || t % 10 < 4 ? 1 : NaN)
    expect(await windowAt(await filled('exact', thick), 60)).toEqual(Array<number>(60).fill(1))
    expect((await windowAt(await filled('whisper', thick), 60)).every(Number.isNaN)).toBeTrue()
  })

  test('is the same as Whisper when nothing is missing', async () => {
    const wave = (t: number): number => Math.round(1e4 * Math.sin(t / 50)) / 16
    const exact = await filled('exact', wave)
    const whisper = await filled('whisper', wave)
    expect(await windowAt(exact, 10)).toEqual(await windowAt(whisper, 10))
    const theirs = await windowAt(whisper, 60)
    for (const [i, value] of (await windowAt(exact, 60)).entries())
      expect(value).toBeCloseTo(theirs[i]!, 9)
  })

  test('is there before anything is sealed, and after a kill', async () => {
    const bed = new EngineBed(BEGIN)
    await bed.open({ rollup: 'exact' })
    bed.define('series')
    bed.write(
      Array.from({ length: 60 }, (_, t) => [0, BEGIN + t, gappy(t)] as const).filter(
        ([, , value]) => !Number.isNaN(value),
      ),
    )
    expect((await windowAt(bed, 60))[0]).toBe(16)
    await bed.open({ rollup: 'exact' })
    expect((await windowAt(bed, 60))[0]).toBe(16)
  })

  test('a late point of a sealed window weighs as much as the others', async () => {
    const bed = await filled('exact', gappy)
    bed.write([[0, BEGIN + 20, 1_000]])
    await bed.clock.advance(130_000)
    expect((await windowAt(bed, 60))[0]).toBe((720 + 1_000) / 46)
    expect((await windowAt(bed, 60))[1]).toBe(16)
    expect((await bed.engine.check()).problems).toEqual([])
  })

  test('a slot longer than a finest window is made from the level before it', async () => {
    const bed = new EngineBed(BEGIN - (BEGIN % DAY))
    const begin = bed.now
    await bed.open({ rollup: 'exact' })
    const archives = [...SECONDS.archives, { step: 7_200, count: 2_000 }]
    bed.define('series', { ...SECONDS, archives, method: 'sum' })
    await fill(bed, 7_200, () => 5)
    const first = async (): Promise<number | undefined> => bed.valueAt(0, begin, begin + 100 * DAY)
    expect(await first()).toBe(36_000)
    bed.write([[0, begin + 20, 1_000]])
    await bed.clock.advance(130_000)
    expect(await first()).toBe(36_995)
    // The window of the level before ends after sixty hours.
    await bed.clock.advance(2.6 * DAY * 1_000)
    bed.write([[0, bed.now, 5]])
    await bed.clock.advance(400_000)
    await bed.engine.flush()
    await bed.open({ rollup: 'exact' })
    expect(await first()).toBe(36_995)
  }, 30_000)

  test.each([
    ['whisper', 'exact'],
    ['exact', 'whisper'],
  ] as const)(
    '%s may become %s, in the middle of a window, and no slot is lost',
    async (before, after) => {
      const bed = new EngineBed(BEGIN)
      await bed.open({ rollup: before })
      bed.define('series')
      await fill(bed, WINDOW + 1_800, () => 5)
      await bed.open({ rollup: after })
      await fill(bed, WINDOW, () => 5)
      await bed.clock.advance(36_000_000)
      const now = bed.now
      bed.write([[0, now, 5]])
      await bed.clock.advance(400_000)
      await bed.engine.flush()
      expect(await windowAt(bed, 10)).toEqual(Array<number>(360).fill(5))
      expect(await windowAt(bed, 60)).toEqual(Array<number>(60).fill(5))
      const later = await bed.read(0, {
        from: BEGIN + WINDOW - 60,
        until: BEGIN + WINDOW + 1_740,
        now: BEGIN + 20 * DAY,
      })
      expect(later?.values).toEqual(Array<number>(30).fill(5))
    },
  )
})
