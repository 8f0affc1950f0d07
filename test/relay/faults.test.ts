/** Lines counted end to end through every fault, a few seconds each; `./scripts/soak relay-faults` runs longer. */
import { describe } from 'bun:test'
import * as chains from './chain-runs.ts'
import * as faults from './fault-runs.ts'
import { ok, SHORT } from './fault-test.ts'

describe('no line is lost', () => {
  ok('store down', faults.storeDown, { twice: false })
  ok('plain carbon down', faults.carbonDown, { twice: false })
  ok('connections reset', faults.carbonResets, { twice: true })
  ok('HUP ten times a second', faults.reloads, { twice: false })
  ok('TERM with a full queue', faults.stopWithQueue, { twice: false })
  ok('TERM beside a plain peer that does not read', faults.stopWithUnread, { twice: true })
  ok('kill -9 with a full queue', faults.killWithQueue, { twice: false })
  ok('power cuts at the far end', faults.centralPowerCuts, { twice: true })
  ok('a slow destination beside a healthy one', faults.slowBesideHealthy, { twice: false })
  ok('a full disk', faults.diskFull, { twice: false })
  ok('members of clusters away', faults.membersAway, {
    twice: true,
    options: { ...SHORT, seconds: 6 },
  })
  ok('an aggregation that is killed', chains.lastOfThreeKilled, { twice: false })
  ok('a relay killed in front of an aggregation', chains.middleOfThreeKilled, { twice: false })
  ok('both killed at once', chains.middleAndLastKilled, { twice: false })
  ok('two that forward killed at once', chains.forwardersKilled, { twice: false })
  ok('a relay that makes much of each line killed', chains.multiplyingMiddleKilled, {
    twice: false,
    options: { ...SHORT, perSecond: 5_000 },
  })
  ok('an aggregation killed in front of another', chains.aggregatingMiddleKilled, { twice: false })
  ok('statsd killed in front of an aggregation', chains.flushingMiddleKilled, {
    twice: false,
    options: { seconds: 8, perSecond: 1_000 },
  })
})
