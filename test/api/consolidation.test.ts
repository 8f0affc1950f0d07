import { describe, expect, test } from 'bun:test'
import { consolidateForDisplay } from '../../src/api/consolidation.ts'
import { makeSeries } from '../../src/api/render-series.ts'
import { type Consolidation, consolidateValues } from '../../src/metric/display.ts'

function values(...list: (number | null)[]): Float64Array {
  return Float64Array.from(list, (value) => value ?? NaN)
}

describe('consolidateValues()', () => {
  const row = values(1, null, 3, null, null, 6, 7)
  test.each([
    ['average', [2, 6, 7]],
    ['sum', [4, 6, 7]],
    ['avg_zero', [4 / 3, 2, 7]],
    ['min', [1, 6, 7]],
    ['max', [3, 6, 7]],
    ['first', [1, 6, 7]],
    ['last', [3, 6, 7]],
  ] as [Consolidation, number[]][])('%s', (consolidation, want) => {
    const rule = { consolidation, xFilesFactor: 0, valuesPerPoint: 3 }
    expect([...consolidateValues(row, rule)]).toEqual(want)
  })

  test('leaves a bucket empty below xFilesFactor, also the last one, which is short', () => {
    const rule = { consolidation: 'sum', xFilesFactor: 0.5, valuesPerPoint: 3 } as const
    expect([...consolidateValues(row, rule)]).toEqual([4, NaN, NaN])
  })

  test('may begin with a short bucket', () => {
    const rule = { consolidation: 'sum', xFilesFactor: 0, valuesPerPoint: 3 } as const
    expect([...consolidateValues(values(1, 2, 3, 4, 5, 6), rule, 1)]).toEqual([1, 9, 11])
  })
})

describe('consolidateForDisplay()', () => {
  function shown(start: number, count: number, maxDataPoints: number): [number, number, number[]] {
    const list = Float64Array.from({ length: count }, (_, i) => i)
    const series = makeSeries({ name: 'a', start, step: 10, values: list, xFilesFactor: 0 })
    const [result] = consolidateForDisplay([series], maxDataPoints)
    return [result!.start, result!.step, [...result!.values]]
  }

  test('leaves alone what fits', () => {
    expect(shown(1_000, 4, 4)).toEqual([1_000, 10, [0, 1, 2, 3]])
  })

  test('puts buckets at multiples of their length, and loses the first one', () => {
    expect(shown(1_000, 8, 4)).toEqual([1_020, 20, [1.5, 3.5, 5.5, 7]])
    expect(shown(1_010, 8, 4)).toEqual([1_020, 20, [0.5, 2.5, 4.5, 6.5]])
  })

  test('makes one value of all', () => {
    expect(shown(1_000, 4, 1)).toEqual([1_000, 40, [1.5]])
  })

  test('shows nothing behind the end', () => {
    const series = makeSeries({
      name: 'a',
      start: 0,
      end: 20,
      step: 10,
      values: values(1, 2, 3, 4),
      xFilesFactor: 0,
    })
    const [result] = consolidateForDisplay([series], undefined)
    expect([...result!.values]).toEqual([1, 2, 3])
  })
})
