/** Lines counted end to end through faults on the way to real peers; `./scripts/soak relay-faults` runs longer. */
import { describe } from 'bun:test'
import { ok } from './fault-test.ts'
import * as real from './real-peer-runs.ts'

describe('no line is lost on the way to a real peer', () => {
  ok('carbon-c-relay down', real.carbonCRelayDown, { twice: false })
  ok('carbon-c-relay reset', real.carbonCRelayResets, { twice: true })
  ok('carbon-c-relay, relay told to stop', real.carbonCRelayStopWithQueue, { twice: false })
  ok('carbon-c-relay, relay killed', real.carbonCRelayKillWithQueue, { twice: false })
  const slower = { seconds: 2, perSecond: 2_000 }
  ok('carbon-cache down', real.carbonCacheDown, { twice: true, options: slower })
  ok('carbon-cache reset', real.carbonCacheResets, { twice: true, options: slower })
  const series = { seconds: 4, perSecond: 1_000 }
  ok('our central without power', real.centralPowerCuts, { twice: true, options: series })
  ok('our central, HUP every second', real.centralReloads, { twice: true, options: series })
  ok('our relay without power', real.relayPowerCutsAlone, { twice: true, options: series })
  ok('the same, with a plain peer that hesitates', real.relayPowerCutsPlain, {
    twice: true,
    options: series,
  })
})
