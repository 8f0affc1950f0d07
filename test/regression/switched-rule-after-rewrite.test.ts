/** When the series log was written anew it forgot which changed rules were in force, and they began once more. */
import { expect, test } from 'bun:test'
import { EngineBed, SECONDS } from '../store/engine-bed.ts'

test('a changed rule stays in force when the series log is written anew', async () => {
  const bed = new EngineBed()
  await bed.open()
  bed.define('a')
  const rule = { ...SECONDS, archives: [{ step: 1, count: 7_200 }, ...SECONDS.archives.slice(1)] }
  bed.write([[0, bed.now, 1]])
  bed.engine.redefine(0, rule)
  for (let t = 0; t < 200; t++) {
    bed.write([[0, bed.now, t]])
    await bed.clock.advance(1_000)
  }
  expect(bed.engine.ruleOf(0)?.archives[0]?.count).toBe(7_200)
  // So many records about one series that the next checkpoint rewrites them.
  for (let i = 0; i < 10_001; i++) bed.engine.rename(0, `renamed.${i}`)
  await bed.engine.close()
  await bed.open()
  expect(bed.known).toEqual([{ id: 0, path: 'renamed.10000' }])
  expect(bed.engine.ruleOf(0)?.archives[0]?.count).toBe(7_200)
})
