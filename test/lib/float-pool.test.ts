import { describe, expect, test } from 'bun:test'
import { FloatPool } from '../../src/lib/float-pool.ts'
import { SimClock } from '../sim/clock.ts'

describe('FloatPool', () => {
  test('gives what came back', () => {
    const pool = new FloatPool(new SimClock(), { length: 8, keptMax: 2 })
    const one = pool.take(3)
    expect(one.length).toBe(8)
    pool.giveBack(one)
    expect(pool.take(8)).toBe(one)
    expect(pool.take(8)).not.toBe(one)
  })

  test('keeps no more than it should, and nothing of another length', () => {
    const pool = new FloatPool(new SimClock(), { length: 8, keptMax: 1 })
    const [one, two, long] = [pool.take(1), pool.take(1), pool.take(9)]
    expect(long.length).toBe(9)
    for (const array of [long, one, two]) pool.giveBack(array)
    expect(pool.take(1)).toBe(one)
    expect([two, long]).not.toContain(pool.take(1))
  })

  test('lets go of what nobody needed for a while', async () => {
    const clock = new SimClock()
    const pool = new FloatPool(clock, { length: 8, keptMax: 1 })
    const one = pool.take(1)
    pool.giveBack(one)
    await clock.advance(11_000)
    expect(pool.take(1)).not.toBe(one)
  })
})
