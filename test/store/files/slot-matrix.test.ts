import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { SlotMatrix } from '../../../src/store/files/slot-matrix.ts'

const FROM = 100
const WIDTH = 12
const IDS = Uint32Array.of(3, 7)

/** One thing that is put to a matrix: a slot, layers of some, or what is claimed. */
const step = fc.record({
  kind: fc.constantFrom('set', 'overlay', 'claim'),
  k: fc.nat({ max: 1 }),
  slot: fc.integer({ min: FROM - 4, max: FROM + WIDTH + 2 }),
  values: fc.array(fc.constantFrom(NaN, 1, 2, 3), { minLength: 1, maxLength: WIDTH }),
})

describe('SlotMatrix', () => {
  test('knows the same in memory that held something, once it is complete', () => {
    fc.assert(
      fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
        const fresh = new SlotMatrix(IDS, FROM, FROM + WIDTH)
        const used = SlotMatrix.within(new Float64Array(40).fill(9), IDS, FROM, FROM + WIDTH)
        for (const { kind, k, slot, values } of steps) {
          const source = Float64Array.from(values)
          for (const matrix of [fresh, used]) {
            if (kind === 'set') {
              if (slot >= FROM && slot < FROM + WIDTH) matrix.set(k, slot, values[0]!)
              continue
            }
            const at = kind === 'claim' ? matrix.claim(k, slot, source.length) : -1
            if (at >= 0) matrix.values.set(source, at)
            else matrix.overlay(k, source, 0, slot, source.length)
          }
          expect(used.isKnown(k, FROM + 5)).toBe(fresh.isKnown(k, FROM + 5))
        }
        used.complete()
        expect(Array.from(used.values)).toEqual(Array.from(fresh.values))
      }),
      { numRuns: 1_000 },
    )
  })
})
