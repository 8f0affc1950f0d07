/** Points that came while a full head was written kept all later ones out of the head until the next checkpoint. */
import { expect, test } from 'bun:test'
import { settle } from '../sim/clock.ts'
import { EngineBed, START } from '../store/engine-bed.ts'

const HISTORY = 2_000

test('points that come faster than the clock go through the head, but for those of a moment', async () => {
  const bed = new EngineBed()
  await bed.open()
  const id = bed.define('a.b')
  const first = START - HISTORY
  for (let second = 0; second < HISTORY; second += 10) {
    bed.write(Array.from({ length: 10 }, (_, i) => [id, first + second + i, second + i]))
    // The head is written while the next points come: one turn of the event loop for each batch.
    await Promise.resolve()
    if (second % 50 === 0) await settle()
  }
  await bed.engine.flush()
  expect(bed.counter('late')).toBeLessThan(HISTORY / 4)
  const read = await bed.read(id, { from: first - 1, until: first + HISTORY - 1 })
  expect(read?.values).toEqual(Array.from({ length: HISTORY }, (_, i) => i))
})
