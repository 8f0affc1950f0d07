/** Lines counted end to end through every fault, a few seconds each; `./scripts/soak relay-faults` runs longer. */
import { describe, expect, test } from 'bun:test'
import * as faults from './fault-runs.ts'

const SHORT = { seconds: 2, perSecond: 20_000 }

describe('no line is lost', () => {
  const ok = (name: string, run: faults.FaultRun, options: { twice: boolean }): void =>
    test(
      name,
      async () => {
        const { sent, distinct, arrived } = await run(SHORT)
        expect(sent).toBeGreaterThan(30_000)
        expect(distinct).toBe(sent)
        if (!options.twice) expect(arrived).toBe(sent)
      },
      30_000,
    )

  ok('store down', faults.storeDown, { twice: false })
  ok('plain carbon down', faults.carbonDown, { twice: false })
  ok('connections reset', faults.carbonResets, { twice: true })
  ok('HUP ten times a second', faults.reloads, { twice: false })
  ok('TERM with a full queue', faults.stopWithQueue, { twice: false })
  ok('kill -9 with a full queue', faults.killWithQueue, { twice: false })
  ok('power cuts at the far end', faults.centralPowerCuts, { twice: true })
  ok('a slow destination beside a healthy one', faults.slowBesideHealthy, { twice: false })
})
