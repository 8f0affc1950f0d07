import { describe, expect, test } from 'bun:test'
import {
  aggregate,
  AGGREGATION_METHODS,
  meetsXFilesFactor,
} from '../../src/metric/consolidation.ts'

const values = Float64Array.of(99, NaN, 4, -6, NaN, 2, 99)

describe('aggregate()', () => {
  test.each([
    ['average', 0],
    ['sum', 0],
    ['last', 2],
    ['max', 4],
    ['min', -6],
    ['avg_zero', 0],
    ['absmax', -6],
    ['absmin', 2],
  ] as const)('%s', (method, want) => expect(aggregate(method, values, 1, 6)).toBe(want))

  test.each(AGGREGATION_METHODS)('%s of nothing known is NaN', (method) =>
    expect(aggregate(method, Float64Array.of(NaN, NaN), 0, 2)).toBeNaN(),
  )

  test('infinities are values', () => {
    expect(aggregate('max', Float64Array.of(-Infinity, NaN), 0, 2)).toBe(-Infinity)
  })
})

describe('meetsXFilesFactor()', () => {
  test.each([
    [0, 10, 0, false],
    [1, 10, 0, true],
    [5, 10, 0.5, true],
    [4, 10, 0.5, false],
    // python-whisper compares a float32 0.1 with a float64 and says no
    [1, 10, 0.1, true],
    [3, 10, 0.3, true],
    [10, 10, 1, true],
    [9, 10, 1, false],
  ])('%p of %p at %p: %p', (known, total, xff, want) =>
    expect(meetsXFilesFactor(known, total, xff)).toBe(want),
  )
})
