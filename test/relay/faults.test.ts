/** Lines counted end to end through every fault, a few seconds each; `./scripts/soak relay-faults` runs longer. */
import { describe, expect, test } from 'bun:test'
import * as faults from './fault-runs.ts'
import type { FaultRun } from './fault-scene.ts'
import * as real from './real-peer-runs.ts'

const SHORT = { seconds: 2, perSecond: 20_000 }

/** `twice`: a plain peer may get lines again. */
function ok(
  name: string,
  run: FaultRun,
  { twice, options = SHORT }: { twice: boolean; options?: typeof SHORT },
): void {
  test(
    name,
    async () => {
      const tally = await run(options)
      if (typeof tally === 'string') return console.log(`${name}: skipped: ${tally}`)
      const { sent, distinct, arrived } = tally
      expect(sent).toBeGreaterThan(options.seconds * options.perSecond * 0.5)
      expect(distinct).toBe(sent)
      if (!twice) expect(arrived).toBe(sent)
    },
    60_000,
  )
}

describe('no line is lost', () => {
  ok('store down', faults.storeDown, { twice: false })
  ok('plain carbon down', faults.carbonDown, { twice: false })
  ok('connections reset', faults.carbonResets, { twice: true })
  ok('HUP ten times a second', faults.reloads, { twice: false })
  ok('TERM with a full queue', faults.stopWithQueue, { twice: false })
  ok('kill -9 with a full queue', faults.killWithQueue, { twice: false })
  ok('power cuts at the far end', faults.centralPowerCuts, { twice: true })
  ok('a slow destination beside a healthy one', faults.slowBesideHealthy, { twice: false })
  ok('a full disk', faults.diskFull, { twice: false })
  ok('an aggregation that is killed', faults.aggregationOverKills, { twice: false })
})

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
  ok('our relay without power', real.relayPowerCuts, { twice: true, options: series })
})
