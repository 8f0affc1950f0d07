/** A line that had to be cleaned was taken however long it was; one that had not, was refused beyond `-M`. */
import { expect, test } from 'bun:test'
import { Stats } from '../../src/lib/stats.ts'
import { parseRelayText } from '../../src/relay/config/relay-conf.ts'
import { Cleaner } from '../../src/relay/routing/cleaning.ts'
import { Dispatcher } from '../../src/relay/routing/dispatcher.ts'
import { Network } from '../../src/relay/routing/network.ts'
import { Router } from '../../src/relay/routing/router.ts'
import { dispatcherCounters } from '../../src/relay/statistics.ts'
import { SimClock } from '../sim/clock.ts'
import { SimDisk } from '../sim/disk.ts'

test.each(['a 1', 'a  1', '.a 1'])('%p with a long rest is discarded', (begin) => {
  const [clock, stats] = [new SimClock(), new Stats()]
  const parsed = parseRelayText(new SimDisk(), 'match * send to blackhole;', 'relay.conf')
  if (!parsed.ok) throw new Error(parsed.error)
  const router = new Router(parsed.value, 1)
  const network = new Network(
    clock,
    router,
    () => {
      throw new Error('there is no destination')
    },
    () => undefined,
  )
  const counters = dispatcherCounters(stats)
  const dispatcher = new Dispatcher(router, {
    clock,
    network,
    cleaner: new Cleaner(),
    counters,
    maxFutureSeconds: () => 3_600,
    lineBytesMax: 100,
    aggregate() {},
    logInvalid() {},
    limits: { namesMax: 10, bytesMax: 1_000 },
  })
  const lines = Buffer.from(`${begin}${'0'.repeat(100)} 1\n${begin} 1\n`)
  dispatcher.dispatch(lines, 0, lines.length, 0)
  expect(counters.discarded.value).toBe(1)
  expect(counters.blackholed.value).toBe(1)
})
