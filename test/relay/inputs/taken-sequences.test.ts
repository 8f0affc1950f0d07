/** What was taken, against a set of all. */
import { expect, test } from 'bun:test'
import fc from 'fast-check'
import { TakenSequences } from '../../../src/relay/inputs/taken-sequences.ts'

test('knows exactly what it took lately, and takes what is older for taken', () => {
  const steps = fc.array(fc.integer({ min: -40, max: 50 }), { maxLength: 2_000, size: 'max' })
  fc.assert(
    fc.property(steps, (jumps) => {
      const taken = new TakenSequences()
      const all = new Set<number>()
      let sequence = 1_000
      for (const jump of jumps) {
        sequence = Math.max(1, sequence + jump)
        const lowest = [...all].sort((a, b) => b - a)[255] ?? 0
        if (all.has(sequence)) expect(taken.has(sequence)).toBe(true)
        else if (sequence > lowest) expect(taken.has(sequence)).toBe(false)
        if (taken.has(sequence)) continue
        taken.add(sequence)
        all.add(sequence)
      }
    }),
    { numRuns: 20 },
  )
})
