/** How one destination is treated: its window, its suspension, its rate. */
import { describe, expect, test } from 'bun:test'
import { Destination } from '../../src/mailer/destination.ts'
import { SimClock } from '../sim/clock.ts'

function make(limits = { concurrencyMax: 20, rate: 0 }): {
  clock: SimClock
  destination: Destination<number>
} {
  const clock = new SimClock()
  return { clock, destination: new Destination<number>('x', clock, () => limits) }
}

/** Starts as many as may run at once. */
function fill(destination: Destination<number>): number {
  let started = 0
  for (; destination.waitMs() === 0 && started < 100; started++) destination.start()
  return started
}

describe('Destination', () => {
  test('starts with five at once and grows to its limit', () => {
    const { destination } = make()
    expect(fill(destination)).toBe(5)
    for (let i = 0; i < 30; i++) {
      destination.succeeded()
      fill(destination)
    }
    expect(destination.running).toBe(20)
  })

  test('failures side by side are one: suspended for 5, 15, 60 and 300 s, then one at a time', async () => {
    const { clock, destination } = make()
    const running = fill(destination)
    for (let i = 0; i < running; i++) destination.failed()
    for (const seconds of [5, 15, 60, 300, 300]) {
      expect(destination.suspendedMs()).toBeCloseTo(seconds * 900, 0)
      await clock.advance(destination.suspendedMs())
      expect(fill(destination)).toBe(1)
      destination.failed()
    }
    await clock.advance(destination.suspendedMs())
    fill(destination)
    destination.succeeded()
    expect(destination.failing).toBe(false)
    expect(destination.suspendedMs()).toBe(0)
  })

  test('throttling pauses 1, 2, 4 s and up to a minute, and is no failure', async () => {
    const { clock, destination } = make()
    for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
      fill(destination)
      while (destination.running > 0) destination.throttled()
      expect(destination.suspendedMs()).toBe(seconds * 1_000)
      expect(destination.failing).toBe(false)
      await clock.advance(seconds * 1_000)
    }
  })

  test('keeps to its rate, and catches up for a tenth of a second at most', async () => {
    const { clock, destination } = make({ concurrencyMax: 1_000, rate: 100 })
    await clock.advance(10_000)
    let started = 0
    for (let ms = 0; ms < 1_000; ms += 5) {
      started += fill(destination)
      while (destination.running > 0) destination.succeeded()
      await clock.advance(5)
    }
    expect(started).toBeGreaterThanOrEqual(100)
    expect(started).toBeLessThanOrEqual(111)
  })
})
