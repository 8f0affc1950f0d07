/**
 * A result that is aggregated itself was counted twice when the relay was killed within half a second of its
 * emission: the bucket that it came from was emitted again, as it has to be, and the bucket that it had gone into
 * was in the journal already. Killed at every moment, and told to stop, it counts once.
 */
import { expect, test } from 'bun:test'
import { realDisk } from '../../src/lib/disk.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import { Aggregating } from '../../src/relay/aggregation/aggregating.ts'
import type { AggregateStep } from '../../src/relay/routing/plan.ts'
import { parseRelayText } from '../../src/relay/config/relay-conf.ts'
import { Router } from '../../src/relay/routing/router.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

const CONF = `
aggregate ^in\\..*$ every 1 seconds expire after 2 seconds compute sum write to second.sum;
aggregate ^second\\..*$ every 10 seconds expire after 20 seconds compute sum write to ten.sum;`
const POINTS = 30
const PERIOD_MS = 100

function router(): Router {
  const parsed = parseRelayText(realDisk, CONF, 't')
  if (!parsed.ok) throw new Error(parsed.error)
  return new Router(parsed.value, 1)
}

function stepOf(of: Router, name: string): AggregateStep {
  return of.plan(Buffer.from(name)).steps.find((step) => step.kind === 'aggregate')!
}

/** One process over the disk; results of the first rule go into the second, those of the second into `sums`. */
function start(disk: SimDisk, clock: SimClock, sums: Map<number, number>) {
  const of = router()
  const seconds = (): number => Math.floor(clock.nowMs() / 1000)
  const first = stepOf(of, 'in.x')
  const second = stepOf(of, 'second.sum')
  const aggregating: Aggregating = new Aggregating({
    disk,
    clock,
    log: silentLog,
    stats: new Stats(),
    dir: '/spool',
    onProgress() {},
    emitPart: (_, emitAll) => emitAll(),
    emit(_sendTo, name, value, timestamp) {
      if (name === 'ten.sum') sums.set(timestamp, value)
      else aggregating.put(second, value, timestamp, seconds())
    },
  })
  aggregating.configure(of.routing.aggregations)
  return { aggregating, point: () => aggregating.put(first, 1, seconds(), seconds()) }
}

/** What `ten.sum` comes to in the end; the process ends `endMs` after the last point, killed or told to. */
async function sumOf(endMs: number, killed: boolean): Promise<number> {
  const disk = new SimDisk()
  const sums = new Map<number, number>()
  const clock = new SimClock()
  const { aggregating, point } = start(disk, clock, sums)
  for (let i = 0; i < POINTS; i++) {
    point()
    await clock.advance(PERIOD_MS)
  }
  await clock.advance(endMs)
  if (!killed) {
    aggregating.stopEmitting()
    await aggregating.close()
  }
  // The clock of the one that was killed stands still, and with it all that it would have done.
  const next = new SimClock({ startMs: clock.nowMs() })
  start(disk, next, sums)
  await next.advance(60_000)
  let sum = 0
  for (const value of sums.values()) sum += value
  return sum
}

test('killed or stopped at any moment of its life', async () => {
  for (let endMs = 300; endMs < 6_000; endMs += 70) {
    expect([endMs, await sumOf(endMs, true)]).toEqual([endMs, POINTS])
    expect([endMs, await sumOf(endMs, false)]).toEqual([endMs, POINTS])
  }
}, 30_000)
