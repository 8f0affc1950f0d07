/** The engine as its edges see it. */
import { describe, expect, test } from 'bun:test'
import { EngineBed, SECONDS, START } from './engine-bed.ts'

const VALUE = (id: number, t: number): number => Math.round(Math.sin(t / 50 + id) * 1000) / 10

/** `seconds` of `series` series at 1 s. */
async function feed(bed: EngineBed, series: number, seconds: number): Promise<void> {
  for (let t = 0; t < seconds; t++) {
    const time = bed.now
    bed.write(Array.from({ length: series }, (_, id) => [id, time, VALUE(id, time)] as const))
    await bed.clock.advance(1000)
  }
}

async function expectAll(bed: EngineBed, series: number, seconds: number): Promise<void> {
  for (let id = 0; id < series; id++) {
    const slots = await bed.read(id, { from: START - 1, until: START + seconds - 1 })
    expect(slots?.step).toBe(1)
    expect(slots?.start).toBe(START)
    expect(slots?.values).toEqual(Array.from({ length: seconds }, (_, t) => VALUE(id, START + t)))
  }
}

async function fed(series: number, seconds: number): Promise<EngineBed> {
  const bed = new EngineBed()
  await bed.open()
  for (let id = 0; id < series; id++) bed.define(`a.b${id}`)
  await feed(bed, series, seconds)
  return bed
}

describe('engine', () => {
  test('answers points at once, after a kill, after a flush and after a restart', async () => {
    const bed = await fed(5, 200)
    await expectAll(bed, 5, 200)
    await bed.open()
    expect(bed.known.map(({ path }) => path)).toEqual(['a.b0', 'a.b1', 'a.b2', 'a.b3', 'a.b4'])
    await expectAll(bed, 5, 200)
    await bed.engine.flush()
    await expectAll(bed, 5, 200)
    expect((await bed.engine.check()).problems).toEqual([])
    await bed.engine.close()
    await bed.open()
    await expectAll(bed, 5, 200)
  })

  test('seals a window and rolls it up as Whisper would', async () => {
    const bed = await fed(3, 4_200)
    const files = [...bed.disk.contents().keys()]
    expect(files.some((path) => path.startsWith('/store/data/0/1/') && path.endsWith('.blk'))).toBe(
      true,
    )
    await expectAll(bed, 3, 4_200)
    const slots = await bed.read(1, { from: bed.now - 90_000, until: bed.now })
    expect(slots?.step).toBe(10)
    for (let i = 0; i < slots!.values.length; i++) {
      const time = slots!.start + 10 * i
      if (time < START || time + 10 > START + 4_200) continue
      let sum = 0
      for (let k = 0; k < 10; k++) sum += VALUE(1, time + k)
      expect(slots!.values[i]).toBe(sum / 10)
    }
  })

  test('counts a frame that is sent twice once', async () => {
    const bed = await fed(1, 0)
    bed.write([[0, START, 1]], 1)
    bed.write([[0, START, 2]], 2)
    bed.write([[0, START, 1]], 1)
    expect(await bed.valueAt(0, START)).toBe(2)
    expect(bed.engine.lastSequences('00000000000000aa')).toEqual({ written: 2, synced: 0 })
    await bed.engine.sync()
    await bed.open()
    expect(bed.engine.lastSequences('00000000000000aa')).toEqual({ written: 2, synced: 2 })
    bed.write([[0, START, 1]], 2)
    expect(await bed.valueAt(0, START)).toBe(2)
  })

  test('with fsync off, what is written counts as synced', async () => {
    const bed = new EngineBed()
    await bed.open({ fsync: 'off' })
    bed.define('a')
    bed.write([[0, START, 1]], 1)
    await bed.clock.advance(1_100)
    expect(bed.engine.lastSequences('00000000000000aa')).toEqual({ written: 1, synced: 1 })
    expect(bed.engine.notReady()).toEqual([])
  })

  test('keeps imported slots as they are, and when a series was last seen', async () => {
    const bed = await fed(1, 100)
    const start = START - 7_200
    await bed.engine.load(0, { start, step: 1, values: Float64Array.of(1, NaN, 3) })
    await bed.engine.load(0, { start, step: 10, values: Float64Array.of(77) })
    const expectLoaded = async (): Promise<void> => {
      expect((await bed.read(0, { from: start - 1, until: start + 2 }))?.values).toEqual([
        1,
        NaN,
        3,
      ])
      const coarse = await bed.read(0, { from: start - 1, until: start, now: start + 86_405 })
      expect(coarse).toEqual({ start, step: 10, values: [77] })
    }
    await expectLoaded()
    await bed.engine.flush()
    await expectLoaded()
    await bed.engine.close()
    await bed.open()
    await expectLoaded()
    expect(bed.engine.lastSeen(0)).toBe(START + 99)
  })

  test('drops and counts what is unknown, too far ahead or no value', async () => {
    const bed = await fed(1, 0)
    bed.write([
      [7, START, 1],
      [0xffff_ffff, START, 1],
      [0, START + 4_000, 1],
      [0, 0, 1],
      [0, START, NaN],
      [0, START, 5],
    ])
    expect(bed.counter('dropped.unknown')).toBe(2)
    expect(bed.counter('dropped.time')).toBe(2)
    expect(bed.counter('dropped.value')).toBe(1)
    expect(await bed.valueAt(0, START)).toBe(5)
  })

  test('forgets a removed series and never gives its id again', async () => {
    const bed = await fed(2, 100)
    bed.engine.remove(1)
    expect(await bed.read(1, { from: START, until: START + 50 })).toBeUndefined()
    expect(bed.define('a.new')).toBe(2)
    await bed.open()
    expect(bed.known.map(({ id }) => id)).toEqual([0, 2])
    expect(bed.engine.nextId).toBe(3)
    expect(await bed.read(1, { from: START, until: START + 50 })).toBeUndefined()
  })

  test('a late point replaces the slot of a sealed window and its coarser slots', async () => {
    const bed = await fed(1, 4_200)
    bed.write([[0, START + 15, 10_000]])
    expect(await bed.valueAt(0, START + 15)).toBe(10_000)
    await bed.clock.advance(61_000)
    let sum = 10_000
    for (let k = 10; k < 20; k++) if (k !== 15) sum += VALUE(0, START + k)
    const coarse = await bed.read(0, { from: START + 9, until: START + 19, now: START + 86_500 })
    expect(coarse?.step).toBe(10)
    expect(coarse?.values[0]).toBeCloseTo(sum / 10, 9)
    await bed.open()
    expect(await bed.valueAt(0, START + 15)).toBe(10_000)
  })

  test('a snapshot that fails leaves nothing behind, and can be made again', async () => {
    const bed = await fed(2, 150)
    const link = bed.disk.link.bind(bed.disk)
    bed.disk.link = () => {
      throw Object.assign(new Error('cross-device link'), { code: 'EXDEV' })
    }
    const refusal = await bed.engine.snapshot('/copy').catch((error: unknown) => String(error))
    expect(refusal).toContain('/copy is on another file system')
    bed.disk.link = link
    await bed.engine.snapshot('/copy')
  })

  test('a snapshot opens as a store of its own', async () => {
    const bed = await fed(2, 150)
    await bed.engine.snapshot('/copy')
    bed.write([[0, START + 5, 777]])
    bed.define('only.here')
    await feed(bed, 2, 100)
    const copy = new EngineBed()
    copy.disk = bed.disk
    Object.assign(copy, { dir: '/copy' })
    await copy.open()
    expect(await copy.valueAt(0, START + 5, START + 150)).toBe(VALUE(0, START + 5))
    expect(await copy.valueAt(1, START + 149, START + 150)).toBe(VALUE(1, START + 149))
    // Both go on, each on its own.
    copy.define('only.there')
    await copy.engine.flush()
    await copy.open()
    await bed.open()
    expect(bed.known.map(({ path }) => path)).toEqual(['a.b0', 'a.b1', 'only.here'])
    expect(await bed.valueAt(0, START + 5)).toBe(777)
    expect(await bed.valueAt(1, START + 249)).toBe(VALUE(1, START + 249))
    expect((await bed.engine.check()).problems).toEqual([])
    expect((await copy.engine.check()).problems).toEqual([])
  })

  test('a changed rule applies from the next slot of its coarsest step', async () => {
    const bed = await fed(1, 100)
    const rule = { ...SECONDS, archives: [{ step: 10, count: 8_640 }] }
    bed.engine.redefine(0, rule)
    for (let i = 0; i < 300; i++) {
      bed.write([[0, bed.now, 5]])
      await bed.clock.advance(1000)
    }
    expect(bed.engine.ruleOf(0)?.archives).toEqual(rule.archives)
    const slots = await bed.read(0, { from: START - 1, until: bed.now - 10 })
    expect(slots?.step).toBe(10)
    expect(slots?.values.some(Number.isNaN)).toBe(false)
    await bed.open()
    expect(await bed.read(0, { from: START - 1, until: bed.now - 10 })).toEqual(slots)
  })

  test('deletionNow() is the newest point, and nothing from the moment that the clock jumps', async () => {
    const bed = new EngineBed()
    await bed.open()
    expect(bed.engine.deletionNow()).toBeUndefined()
    bed.define('a')
    await feed(bed, 1, 10)
    await bed.clock.advance(60_000)
    expect(bed.engine.deletionNow()).toBe(START + 10)
    bed.clock.step(40 * 86_400_000)
    expect(bed.engine.deletionNow()).toBeUndefined()
    await feed(bed, 1, 100)
    expect(bed.engine.deletionNow()).toBeUndefined()
    await feed(bed, 1, 600)
    expect(bed.engine.deletionNow()).toBe(bed.now)
  })
})
