/**
 * When the series with the highest id is removed and the series log is written anew, the id must not be given
 * to another series: slots of the removed one may still be in a window.
 */
import { expect, test } from 'bun:test'
import { EngineBed } from '../store/engine-bed.ts'

test('the id of a removed series is not given again, though it was the highest', async () => {
  const bed = new EngineBed()
  await bed.open()
  // As many as make the series log worth rewriting.
  const count = 10_100
  for (let i = 0; i < count; i++) bed.define(`a.b${i}`)
  for (let id = 1; id < count; id++) bed.engine.remove(id)
  await bed.engine.flush()
  await bed.open()
  expect(bed.known).toEqual([{ id: 0, path: 'a.b0' }])
  expect(bed.engine.nextId).toBe(count)
  expect(bed.define('another')).toBe(count)
})
