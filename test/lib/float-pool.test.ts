import { describe, expect, test } from 'bun:test'
import { FloatPool } from '../../src/lib/float-pool.ts'
import { SimClock } from '../sim/clock.ts'

describe('FloatPool', () => {
  test('gives what came back', () => {
    const pool = new FloatPool(new SimClock(), { length: 80, keptMax: 2 })
    const one = pool.take(30)
    expect(one.length).toBe(80)
    pool.giveBack(one)
    expect(pool.take(80)).toBe(one)
    expect(pool.take(80)).not.toBe(one)
  })

  test('gives few numbers an array of their own', () => {
    const pool = new FloatPool(new SimClock(), { length: 80, keptMax: 2 })
    const one = pool.take(9)
    expect(one.length).toBe(9)
    pool.giveBack(one)
    expect(pool.take(9)).not.toBe(one)
  })

  test('keeps no more than it should, and nothing of another length', () => {
    const pool = new FloatPool(new SimClock(), { length: 80, keptMax: 1 })
    const [one, two, long] = [pool.take(10), pool.take(10), pool.take(90)]
    expect(long.length).toBe(90)
    for (const array of [long, one, two]) pool.giveBack(array)
    expect(pool.take(10)).toBe(one)
    expect([two, long]).not.toContain(pool.take(10))
  })

  test('lets go of what nobody needed for a while', async () => {
    const clock = new SimClock()
    const pool = new FloatPool(clock, { length: 80, keptMax: 1 })
    const one = pool.take(10)
    pool.giveBack(one)
    await clock.advance(11_000)
    expect(pool.take(10)).not.toBe(one)
  })
})
