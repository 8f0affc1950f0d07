/** A fault run as a test. */
import { expect, test } from 'bun:test'
import type { FaultOptions, FaultRun } from './fault-scene.ts'

export const SHORT: FaultOptions = { seconds: 2, perSecond: 20_000 }

/** `twice`: a plain peer may get lines again. */
export function ok(
  name: string,
  run: FaultRun,
  { twice, options = SHORT }: { twice: boolean; options?: FaultOptions },
): void {
  test(
    name,
    async () => {
      const tally = await run(options)
      if (typeof tally === 'string') return console.log(`${name}: skipped: ${tally}`)
      const { sent, distinct, arrived } = tally
      expect(sent).toBeGreaterThan(options.seconds * options.perSecond * 0.1)
      expect(distinct).toBe(sent)
      if (!twice) expect(arrived).toBe(sent)
    },
    60_000,
  )
}
