import { expect, test } from 'bun:test'
import { Backoff } from '../../src/lib/backoff.ts'
import { SimClock } from '../sim/clock.ts'

test('Backoff doubles up to its maximum, with jitter, and starts over after reset()', () => {
  const backoff = new Backoff(new SimClock(), { minMs: 100, maxMs: 1_000 })
  for (const base of [100, 200, 400, 800, 1_000, 1_000]) {
    const delay = backoff.delayMs()
    expect(delay).toBeGreaterThanOrEqual(base * 0.8)
    expect(delay).toBeLessThanOrEqual(base * 1.2)
  }
  backoff.reset()
  expect(backoff.delayMs()).toBeLessThanOrEqual(120)
})
