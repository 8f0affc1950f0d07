import { expect, test } from 'bun:test'
import { oneAtATime } from '../../src/lib/one-at-a-time.ts'

test('what is asked for while it runs, runs once more afterwards', async () => {
  let atWork = 0
  let runs = 0
  const ask = oneAtATime(async () => {
    expect(++atWork).toBe(1)
    await Bun.sleep(1)
    atWork--
    runs++
  })
  const asked = [ask(), ask(), ask()]
  expect(runs).toBe(0)
  await Promise.all(asked)
  expect(runs).toBe(2)
  await ask()
  expect(runs).toBe(3)
})
