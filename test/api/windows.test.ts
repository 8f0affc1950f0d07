import { expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import { findAggregation } from '../../src/api/functions/aggregation.ts'
import { slide } from '../../src/api/functions/windows.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const VALUES = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: fc.integer({ min: -50, max: 50 }) },
    { weight: 1, arbitrary: fc.constant(NaN) },
  ),
  { maxLength: 40 },
)

/** Every window by itself: what slide() must come to. */
function slideNaively(
  values: Float64Array,
  name: string,
  window: number,
  xFilesFactor: number,
): number[] {
  const aggregation = findAggregation(name)!
  const result: number[] = []
  for (let k = 0; k + window < values.length; k++) {
    const known = values.subarray(k + 1, k + 1 + window).filter((value) => !Number.isNaN(value))
    const enough = known.length > 0 && known.length / window >= xFilesFactor
    result.push(enough ? aggregation.of(known, 0, known.length) : NaN)
  }
  return result
}

test.each([
  'average',
  'avg_zero',
  'sum',
  'min',
  'max',
  'range',
  'median',
  'count',
  'last',
  'multiply',
  'stddev',
  'diff',
  'first',
  'p90',
])('slide() by %s is what each window by itself comes to', (name) => {
  fc.assert(
    fc.property(
      VALUES,
      fc.integer({ min: 1, max: 12 }),
      fc.constantFrom(0, 0.5, 1),
      (list, window, xFilesFactor) => {
        const values = Float64Array.from(list)
        const fast = [...slide(values, findAggregation(name)!, { window, xFilesFactor })]
        const naive = slideNaively(values, name, window, xFilesFactor)
        expect(fast.length).toBe(naive.length)
        for (let i = 0; i < naive.length; i++) {
          if (Number.isNaN(naive[i])) expect(fast[i]).toBeNaN()
          else
            expect(Math.abs(fast[i]! - naive[i]!)).toBeLessThanOrEqual(
              1e-9 * Math.max(1, Math.abs(naive[i]!)),
            )
        }
      },
    ),
  )
})

test('an infinity leaves the window again', () => {
  const values = Float64Array.of(1, Infinity, 2, 3, 4, 5)
  const slid = slide(values, findAggregation('sum')!, { window: 2, xFilesFactor: 0 })
  expect([...slid]).toEqual([Infinity, 5, 7, 9])
})
