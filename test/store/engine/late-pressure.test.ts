import { describe, expect, test } from 'bun:test'
import { settle } from '../../sim/clock.ts'
import { EngineBed, START } from '../engine-bed.ts'

const SERIES = 1_000
const AGE = 7_200
/** A second of all series takes 16 KB; from 6 MiB on who can wait does. */
const SECONDS_TAKEN = 500

async function crowdedBed(): Promise<EngineBed> {
  const bed = new EngineBed()
  await bed.open()
  for (let i = 0; i < SERIES; i++) bed.define(`late.s${i}`)
  bed.write([[0, START, 0]])
  for (let second = 0; second < SECONDS_TAKEN; second++) {
    const time = START - AGE + second
    expect(bed.write(Array.from({ length: SERIES }, (_, id) => [id, time, id + second]))).toBeTrue()
  }
  return bed
}

describe('Engine.whenRoom()', () => {
  test('asks to wait while late points wait for the disk, until they are written', async () => {
    const bed = await crowdedBed()
    const wait = bed.engine.whenRoom()
    expect(wait).toBeInstanceOf(Promise)
    expect(bed.engine.whenRoom()).toBe(wait!)
    await wait
    expect(bed.engine.whenRoom()).toBeUndefined()
    const range = { from: START - AGE - 1, until: START - AGE + SECONDS_TAKEN - 1 }
    const read = await bed.read(7, range)
    expect(read?.values).toEqual(Array.from({ length: SECONDS_TAKEN }, (_, second) => 7 + second))
  })

  test('is over, without an error, when the disk is full', async () => {
    const bed = await crowdedBed()
    bed.disk.capacityBytes = 0
    await bed.engine.whenRoom()
    expect(bed.engine.acceptsPoints()).toBeFalse()
    // There is nothing to be waited for until there is room.
    expect(bed.engine.whenRoom()).toBeUndefined()
  })

  test('is a reason not to be ready when it takes long', async () => {
    const bed = await crowdedBed()
    const waiting: (() => void)[] = []
    bed.disk.beforeSync = () => new Promise((resolve) => waiting.push(resolve))
    // A checkpoint that hangs in its sync; what comes late meanwhile is not written.
    const checkpoint = bed.engine.snapshot('/copy')
    await settle()
    for (let second = 0; second < SECONDS_TAKEN; second++)
      bed.write(Array.from({ length: SERIES }, (_, id) => [id, START - AGE + second, id]))
    void bed.engine.whenRoom()
    await bed.clock.advance(6_000)
    expect(bed.engine.notReady()).toContain('disk too slow, points wait')
    bed.disk.beforeSync = () => Promise.resolve()
    for (const goOn of waiting) goOn()
    await checkpoint
    await bed.clock.advance(2_000)
    expect(bed.engine.notReady()).toEqual([])
  })

  test('asks to wait while the head has no row for what comes, until older rows are written', async () => {
    const bed = new EngineBed()
    await bed.open()
    const id = bed.define('replayed')
    const seconds = Array.from({ length: 90 }, (_, second) => second)
    for (const second of seconds) bed.write([[id, START - AGE + second, second]])
    const wait = bed.engine.whenRoom()
    expect(wait).toBeInstanceOf(Promise)
    await wait
    expect(bed.engine.whenRoom()).toBeUndefined()
    const read = await bed.read(id, { from: START - AGE - 1, until: START - AGE + 89 })
    expect(read?.values).toEqual(seconds)
  })

  test('says nothing while live points come', async () => {
    const bed = new EngineBed()
    await bed.open()
    const id = bed.define('live')
    expect(bed.write([[id, START, 1]])).toBeTrue()
    expect(bed.engine.whenRoom()).toBeUndefined()
  })
})
