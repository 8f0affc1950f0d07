/**
 * `-S`, and `-s` with `-d`: a line a second on standard output with what came, went and was dropped, as
 * Solaris' iostat prints it (carbon-c-relay collector.c). Every 24 lines begin with two lines of heading.
 */

import type { Clock } from '../lib/clock.ts'
import type { Stats } from '../lib/stats.ts'

const HEADING_EVERY = 24
const HEADING =
  ' metrics in     metrics out    metrics drop  queue    conns     disconn   workr\n' +
  '  mps     tot    mps     tot    dps     tot    cur  cps   tot  dps   tot  act\n'

const TOTALS = [
  'metricsReceived',
  'metricsSent',
  'metricsDropped',
  'metricsQueued',
  'connections',
  'disconnects',
  'process.cpuMicroseconds',
] as const

export function printRates(clock: Clock, stats: Stats, print: (text: string) => void): void {
  let before: readonly number[] = TOTALS.map(() => 0)
  let beforeMs = clock.monotonicMs()
  let lines = 0
  clock.every(1000, () => {
    const now = readTotals(stats)
    const nowMs = clock.monotonicMs()
    if (lines++ % HEADING_EVERY === 0) print(HEADING)
    print(rateLine(before, now, nowMs - beforeMs))
    before = now
    beforeMs = nowMs
  })
}

function readTotals(stats: Stats): number[] {
  const values = new Map(stats.entries().map(({ name, value }) => [name, value]))
  return TOTALS.map((name) => values.get(name) ?? 0)
}

function rateLine(before: readonly number[], now: readonly number[], elapsedMs: number): string {
  const pair = (index: number, width: number, totalWidth: number): string => {
    const rate = Math.round(((now[index]! - before[index]!) * 1000) / elapsedMs)
    return `${pad(rate, width)} ${pad(now[index]!, totalWidth)}`
  }
  const busy = Math.round((now[6]! - before[6]!) / (elapsedMs * 10))
  const columns = [pair(0, 5, 7), pair(1, 5, 7), pair(2, 5, 7), pad(now[3]!, 5)]
  return `${[...columns, pair(4, 3, 5), pair(5, 3, 5), `${pad(busy, 2)}%`].join('  ')}\n`
}

function pad(value: number, width: number): string {
  return String(value).padStart(width)
}
