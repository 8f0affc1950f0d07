import { describe, expect, test } from 'bun:test'
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

  test('says nothing while live points come', async () => {
    const bed = new EngineBed()
    await bed.open()
    const id = bed.define('live')
    expect(bed.write([[id, START, 1]])).toBeTrue()
    expect(bed.engine.whenRoom()).toBeUndefined()
  })
})
