import { describe, expect, test } from 'bun:test'
import { Stats } from '../../src/lib/stats.ts'
import { printRates } from '../../src/relay/rate-lines.ts'
import { SimClock } from '../sim/clock.ts'

describe('printRates()', () => {
  test('prints a line a second, with totals and rates', async () => {
    const clock = new SimClock()
    const stats = new Stats()
    let text = ''
    stats.counter('metricsReceived').value = 10
    stats.gauge('metricsQueued', () => 7)
    stats.gauge('process.cpuMicroseconds', () => clock.monotonicMs() * 500)
    printRates(clock, stats, (more) => (text += more))
    await clock.advance(1000)
    stats.counter('metricsReceived').value = 30
    stats.counter('connections').value = 2
    await clock.advance(1000)
    const lines = text.split('\n')
    expect(lines[0]).toStartWith(' metrics in')
    expect(lines[2]).toBe(
      '   10      10      0       0      0       0      7    0     0    0     0  50%',
    )
    expect(lines[3]).toBe(
      '   20      30      0       0      0       0      7    2     2    0     0  50%',
    )
  })
})
