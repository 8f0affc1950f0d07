import { expect, test } from 'bun:test'
import { EngineBed, START } from '../engine-bed.ts'

const SERIES = 500
const SECONDS = 400
const AGE = 7_200

test('points that come much faster than the clock are not late when their sender waits for room', async () => {
  const bed = new EngineBed()
  await bed.open()
  for (let i = 0; i < SERIES; i++) bed.define(`replay.s${i}`)
  for (let second = 0; second < SECONDS; second++) {
    const time = START - AGE + second
    // Half of the series, then the others: a slot is not over because it is the newest.
    for (const first of [0, SERIES / 2]) {
      const ids = Array.from({ length: SERIES / 2 }, (_, i) => first + i)
      expect(bed.write(ids.map((id) => [id, time, id + second]))).toBeTrue()
      await bed.engine.whenRoom()
    }
  }
  expect(bed.counter('late')).toBe(0)
  const range = { from: START - AGE - 1, until: START - AGE + SECONDS - 1 }
  const read = await bed.read(7, range)
  expect(read?.values).toEqual(Array.from({ length: SECONDS }, (_, second) => 7 + second))
})
