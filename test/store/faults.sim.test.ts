/** What the store makes of damaged files, a full disk, a failing sync and a clock that jumps. */
import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import { sleep } from '../../src/lib/clock.ts'
import { settle } from '../sim/clock.ts'
import { TimeSlice } from '../../src/lib/time-slice.ts'
import { checkStore } from '../../src/store/engine/check.ts'
import { EngineBed, SECONDS, START } from './engine-bed.ts'

// Whole stores are filled and opened again, many times over.
setDefaultTimeout(60_000)

const VALUE = (id: number, t: number): number => ((t * 7 + id * 13) % 1_000) / 4

async function feed(bed: EngineBed, seconds: number, step = 1): Promise<void> {
  for (let t = 0; t < seconds; t += step) {
    const { now } = bed
    bed.write([0, 1].map((id) => [id, now, VALUE(id, now)] as const))
    await bed.clock.advance(step * 1000)
  }
}

async function fed(seconds: number): Promise<EngineBed> {
  const bed = new EngineBed()
  await bed.open()
  bed.define('a')
  bed.define('b')
  await feed(bed, seconds)
  return bed
}

/** Seconds of [from, until) whose value is missing; a wrong one fails the test. */
async function countMissing(bed: EngineBed, from: number, until: number): Promise<number> {
  let missing = 0
  for (const id of [0, 1]) {
    const slots = await bed.read(id, { from: from - 1, until: until - 1 })
    if (!slots) missing += until - from
    for (const [i, value] of slots?.values.entries() ?? []) {
      if (Number.isNaN(value)) missing++
      else expect(value).toBe(VALUE(id, slots!.start + i))
    }
  }
  return missing
}

const filesOf = (bed: EngineBed, ending: string): string[] =>
  [...bed.disk.contents().keys()].filter((path) => path.endsWith(ending))

describe('damage', () => {
  test('a damaged byte anywhere in a file of extents costs no wrong answer, and the file moves away', async () => {
    // The checkpoint of the 300th second is over then.
    const size = (await fed(303)).disk.contents()
    const bytes = [...size].find(([path]) => path.endsWith('.ext'))![1].length
    for (let offset = 0; offset < bytes; offset += 41) {
      const bed = await fed(303)
      const [path] = filesOf(bed, '.ext')
      bed.disk.corrupt(path!, offset)
      await bed.open()
      await countMissing(bed, START, START + 300)
      await bed.clock.advance(5_000)
      await bed.engine.flush()
      expect(bed.counter('damaged')).toBeGreaterThan(0)
      expect(filesOf(bed, '.ext')).toEqual([])
      expect(bed.disk.list('/store/corrupt').length).toBeGreaterThan(0)
      expect((await bed.engine.check()).problems).toEqual([])
    }
  })

  test('a damaged byte anywhere in any file is found by a check, and the store goes on with the rest', async () => {
    const whole = await fed(4_300)
    await whole.clock.advance(601_000)
    whole.define('c', { ...SECONDS, method: 'max' })
    whole.write([[2, whole.now, 1]])
    const kinds = new Set<string>()
    for (const [path, { length }] of whole.disk.contents()) {
      const stride = path.endsWith('.ext') || path.endsWith('.blk') ? 211 : 37
      for (let offset = 0; offset < length; offset += stride) {
        const bed = new EngineBed()
        bed.disk = whole.disk.clone()
        bed.clock.step(whole.clock.nowMs() - bed.clock.nowMs())
        bed.disk.corrupt(path, offset)
        const where = `${path} at ${offset}`
        const { problems } = await checkStore(bed.disk, '/store', {
          slice: new TimeSlice(bed.clock),
        })
        // Of the log's last record nobody can tell whether a crash or the disk spoilt it.
        const isLogEnd = path.endsWith('.wal') && offset >= length - 160
        if (!isLogEnd) expect([where, problems.length]).toEqual([where, 1])
        await bed.open()
        expect([where, bed.known.length >= 1]).toEqual([where, true])
        const missing = await countMissing(bed, START, START + 4_300)
        // What a minute's extent held of two series, not what lies behind it.
        if (path.endsWith('.ext')) expect([where, missing <= 140]).toEqual([where, true])
        await bed.clock.advance(130_000)
        await bed.engine.flush()
        expect([where, (await bed.engine.check()).problems]).toEqual([where, []])
        if (!isLogEnd) expect([where, bed.errors.length > 0]).toEqual([where, true])
        kinds.add(path.replaceAll(/\d+/g, 'N'))
      }
    }
    expect([...kinds].sort()).toEqual([
      '/store/MANIFEST',
      '/store/data/N/N/N.N.blk',
      '/store/data/N/N/N.N.ext',
      '/store/data/N/retentions',
      '/store/series/N.series',
      '/store/series/seen',
      '/store/wal/N.wal',
    ])
  })

  test('a damaged block loses the damaged extent alone', async () => {
    const bed = await fed(4_200)
    const block = filesOf(bed, '.blk').find((path) => path.includes('/0/1/'))!
    bed.disk.corrupt(block, 60)
    await bed.open()
    expect(await countMissing(bed, START + 3_600, START + 4_200)).toBe(0)
    expect(await countMissing(bed, START, START + 3_600)).toBe(7_200)
    await bed.clock.advance(5_000)
    expect(bed.disk.list('/store/corrupt')).toHaveLength(1)
    expect((await bed.engine.check()).problems).toEqual([])
  })

  test('a damaged or missing manifest is made anew from the files', async () => {
    for (const harm of ['damage', 'remove']) {
      const bed = await fed(4_200)
      if (harm === 'damage') bed.disk.corrupt('/store/MANIFEST', 30)
      else bed.disk.remove('/store/MANIFEST')
      await bed.open()
      expect(bed.known.map(({ path }) => path)).toEqual(['a', 'b'])
      expect(await countMissing(bed, START, START + 4_200)).toBe(0)
      await bed.engine.flush()
      expect(await countMissing(bed, START, START + 4_200)).toBe(0)
    }
  })

  test('a damaged log segment loses what lies behind the damage in it', async () => {
    const bed = await fed(100)
    const [segment] = filesOf(bed, '.wal')
    bed.disk.corrupt(segment!, bed.disk.stat(segment!)!.bytes - 20)
    await bed.open()
    expect(await countMissing(bed, START, START + 100)).toBeLessThanOrEqual(2)
  })

  test('a file of a later version is refused, not touched', async () => {
    const bed = await fed(100)
    const manifest = bed.disk.readFile('/store/MANIFEST')
    manifest[4] = 99
    bed.disk.replaceFile('/store/MANIFEST', manifest)
    expect(bed.open()).rejects.toThrow('version 99')
  })
})

describe('opening on a disk that takes nothing', () => {
  const states = ['full', 'read-only'] as const
  const lock = (bed: EngineBed, state: (typeof states)[number]): void => {
    if (state === 'full') bed.disk.capacityBytes = 1
    else bed.disk.readOnly = true
  }

  test.each(states)('%s: it answers, says so, takes nothing, and resumes alone', async (state) => {
    const bed = await fed(4_200)
    lock(bed, state)
    await bed.open()
    expect(bed.known.map(({ path }) => path)).toEqual(['a', 'b'])
    expect(await countMissing(bed, START, START + 4_200)).toBe(0)
    const reason = state === 'full' ? 'disk full, read-only' : 'disk mounted read-only'
    expect(bed.engine.notReady()).toEqual([reason])
    expect(bed.write([[0, bed.now, 1]])).toBe(false)
    expect(bed.engine.acceptsSeries()).toBe(false)
    expect(() => bed.engine.remove(0)).toThrow('the store does not write now')
    expect(bed.engine.flush()).rejects.toThrow(state === 'full' ? 'ENOSPC' : 'EROFS')
    await bed.clock.advance(600_000)
    expect(bed.engine.notReady()).toEqual([reason])
    expect(await countMissing(bed, START, START + 4_200)).toBe(0)
    expect((await bed.engine.check()).problems).toEqual([])
    bed.disk.capacityBytes = Infinity
    bed.disk.readOnly = false
    await bed.clock.advance(15_000)
    expect(bed.engine.notReady()).toEqual([])
    const resumed = bed.now
    await feed(bed, 30)
    await bed.engine.close()
    await bed.open()
    expect(await countMissing(bed, START, START + 4_200)).toBe(0)
    expect(await countMissing(bed, resumed, bed.now)).toBe(0)
    expect((await bed.engine.check()).problems).toEqual([])
  })

  test('a reserve that is there makes room to open with, and to fold what is there', async () => {
    const bed = await fed(100)
    const used = [...bed.disk.contents().values()].reduce((sum, bytes) => sum + bytes.length, 0)
    bed.disk.replaceFile('/store/reserve', new Uint8Array(10_000))
    bed.disk.capacityBytes = used + 10_000
    await bed.open({ reserveBytes: 10_000 })
    expect(bed.disk.stat('/store/reserve')).toBeUndefined()
    expect(bed.engine.notReady()).toEqual(['disk full, read-only'])
    await bed.engine.flush()
    expect(filesOf(bed, '.blk')).toHaveLength(1)
    expect(await countMissing(bed, START, START + 100)).toBe(0)
  })

  test.each(states)('%s: it stops without harm', async (state) => {
    const bed = await fed(100)
    lock(bed, state)
    await bed.clock.advance(70_000)
    await bed.engine.close()
    await bed.open()
    await bed.engine.close()
    bed.disk.capacityBytes = Infinity
    bed.disk.readOnly = false
    await bed.open()
    expect(await countMissing(bed, START, START + 100)).toBe(0)
  })
})

describe('full disk', () => {
  test('stops writing, keeps answering, says so, resumes alone and loses nothing that it took', async () => {
    const bed = await fed(100)
    bed.disk.capacityBytes = 1
    expect(bed.write([[0, bed.now, 1]])).toBe(false)
    expect(bed.engine.notReady()).toContain('disk full, read-only')
    expect(bed.engine.acceptsSeries()).toBe(false)
    const stopped = bed.now
    await bed.clock.advance(180_000)
    expect(await countMissing(bed, START, START + 100)).toBe(0)
    expect(bed.write([[0, bed.now, 1]])).toBe(false)
    bed.disk.capacityBytes = Infinity
    await bed.clock.advance(15_000)
    expect(bed.engine.notReady()).toEqual([])
    await feed(bed, 100)
    expect(await countMissing(bed, bed.now - 100, bed.now)).toBe(0)
    await bed.open()
    expect(await countMissing(bed, START, stopped)).toBe(0)
    expect(await countMissing(bed, bed.now - 100, bed.now)).toBe(0)
  })

  test('fills up at any moment without damage', async () => {
    for (let room = 0; room < 6_000; room += 97) {
      const bed = await fed(50)
      const used = [...bed.disk.contents().values()].reduce((sum, bytes) => sum + bytes.length, 0)
      bed.disk.capacityBytes = used + room
      let taken = 0
      for (let t = 0; t < 100; t++) {
        const { now } = bed
        if (bed.write([0, 1].map((id) => [id, now, VALUE(id, now)] as const))) taken += 2
        await bed.clock.advance(1_000)
      }
      bed.disk.capacityBytes = Infinity
      await bed.open()
      expect(await countMissing(bed, START, START + 150)).toBe(300 - 100 - taken)
      await bed.engine.flush()
      expect((await bed.engine.check()).problems).toEqual([])
    }
  })
})

test('what a failed sync may have lost is written again to a new segment', async () => {
  const bed = await fed(10)
  const before = filesOf(bed, '.wal').at(-1)
  bed.disk.failSyncs(1)
  await feed(bed, 3)
  expect(filesOf(bed, '.wal').at(-1)).not.toBe(before)
  bed.disk.powerCut()
  await bed.open()
  expect(await countMissing(bed, START, START + 12)).toBeLessThanOrEqual(2)
})

describe('slow disk', () => {
  test('syncs that take seconds are said so, cost nothing, and it recovers alone', async () => {
    const bed = await fed(10)
    bed.disk.beforeSync = () => sleep(bed.clock, 8_000)
    await feed(bed, 7)
    expect(bed.engine.notReady().join()).toMatch(/^last sync \d+ s ago$/)
    await feed(bed, 120)
    expect(await countMissing(bed, START, START + 137)).toBe(0)
    bed.disk.beforeSync = () => Promise.resolve()
    await feed(bed, 15)
    expect(bed.engine.notReady()).toEqual([])
    bed.disk.crashAfter(0)
    await settle()
    bed.disk.powerCut()
    await bed.open()
    expect(await countMissing(bed, START, bed.now - 2)).toBe(0)
  })

  test('a sync that does not end stops the points before they fill the memory', async () => {
    const bed = await fed(10)
    let release = (): void => {}
    const stuck = new Promise<void>((resolve) => (release = resolve))
    bed.disk.beforeSync = () => stuck
    const ids = new Uint32Array(65_536)
    const values = new Float64Array(65_536).fill(1)
    const send = (): boolean =>
      bed.engine.append(undefined, ids, new Uint32Array(65_536).fill(bed.now), values, 65_536)
    let frames = 0
    while (send()) if (++frames > 100) break
    expect(frames).toBeLessThan(40)
    expect(bed.engine.acceptsPoints()).toBe(false)
    await bed.clock.advance(6_000)
    expect(bed.engine.notReady()).toContain('disk too slow, points wait')
    release()
    await bed.clock.advance(3_000)
    expect(bed.engine.notReady()).toEqual([])
    expect(send()).toBe(true)
  })
})

test('a read-only disk stops the points, answers, and it resumes alone when it can be written', async () => {
  const bed = await fed(100)
  bed.disk.readOnly = true
  expect(bed.write([[0, bed.now, 1]])).toBe(false)
  expect(bed.engine.notReady()).toEqual(['disk mounted read-only'])
  await bed.clock.advance(130_000)
  expect(await countMissing(bed, START, START + 100)).toBe(0)
  bed.disk.readOnly = false
  await bed.clock.advance(15_000)
  const resumed = bed.now
  await feed(bed, 30)
  expect(bed.engine.notReady()).toEqual([])
  await bed.open()
  expect(await countMissing(bed, START, START + 100)).toBe(0)
  expect(await countMissing(bed, resumed, bed.now)).toBe(0)
})

describe('clock', () => {
  test.each([86_400, -86_400])('a step of %d s deletes nothing and loses nothing', async (step) => {
    const rule = { ...SECONDS, archives: [{ step: 1, count: 7_200 }] }
    const bed = new EngineBed()
    await bed.open()
    bed.define('a', rule)
    bed.define('b', rule)
    await feed(bed, 4_000, 2)
    const files = filesOf(bed, '.blk')
    expect(files).toHaveLength(1)
    bed.clock.step(step * 1000)
    await bed.clock.advance(120_000)
    // Points go on with the old time: nobody but this clock jumped.
    for (let t = 4_120; t < 4_300; t++) {
      expect(bed.write([0, 1].map((id) => [id, START + t, VALUE(id, START + t)] as const))).toBe(
        true,
      )
      await bed.clock.advance(1000)
    }
    bed.clock.step(-step * 1000)
    await bed.clock.advance(120_000)
    expect(bed.counter('dropped.time') + bed.counter('dropped.old')).toBe(0)
    expect(filesOf(bed, '.blk')).toEqual(files)
    expect(await countMissing(bed, START + 4_120, START + 4_300)).toBe(0)
  })

  describe.each([86_400, -86_400])('a step of %d s over a restart', (step) => {
    /** A store of two hours with a sealed one behind it, opened again by a clock that went wrong meanwhile. */
    async function restarted(): Promise<EngineBed> {
      const bed = new EngineBed()
      await bed.open()
      const rule = { ...SECONDS, archives: [{ step: 1, count: 7_200 }] }
      bed.define('a', rule)
      bed.define('b', rule)
      await feed(bed, 4_000, 2)
      expect(filesOf(bed, '.blk')).toHaveLength(1)
      bed.clock.step(step * 1000)
      await bed.open()
      return bed
    }

    /** So many seconds of points; ours go by the clock, those of everybody else by the time that it is. */
    async function go(bed: EngineBed, seconds: number, whose: 'ours' | 'theirs'): Promise<void> {
      for (let i = 0; i < seconds; i++) {
        const time = whose === 'ours' ? bed.now : bed.now - step
        expect(bed.write([0, 1].map((id) => [id, time, VALUE(id, time)] as const))).toBe(true)
        await bed.clock.advance(1000)
      }
    }

    test('deletes nothing and loses no point of either time', async () => {
      const bed = await restarted()
      const files = filesOf(bed, '.blk')
      const from = bed.now
      await go(bed, 100, 'theirs')
      await go(bed, 100, 'ours')
      await bed.open()
      await go(bed, 100, 'theirs')
      await go(bed, 100, 'ours')
      expect(bed.counter('dropped.time') + bed.counter('dropped.old')).toBe(0)
      expect(filesOf(bed, '.blk')).toEqual(expect.arrayContaining(files))
      expect(bed.engine.deletionNow()).toBeUndefined()
      // It is set right, and what was written is there, by the right time.
      const past = bed.now
      bed.clock.step(-step * 1000)
      await bed.open()
      expect(await countMissing(bed, START + 3_600, START + 4_000)).toBe(400)
      expect(await countMissing(bed, from - step, from - step + 100)).toBe(0)
      expect(await countMissing(bed, past - step - 200, past - step - 100)).toBe(0)
      expect(filesOf(bed, '.blk')).toEqual(expect.arrayContaining(files))
    })

    test('counts as the time when ten minutes of points say so, however often it is restarted', async () => {
      const bed = await restarted()
      await go(bed, 400, 'ours')
      await bed.open()
      await go(bed, 400, 'ours')
      expect(bed.engine.deletionNow()).toBeUndefined()
      await go(bed, 300, 'ours')
      expect(bed.engine.deletionNow()).toBeCloseTo(bed.now, -1)
      // Nor is it doubted again.
      await bed.clock.advance(61_000)
      await bed.open()
      expect(bed.engine.deletionNow()).toBeDefined()
    })
  })
})
