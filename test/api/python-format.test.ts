import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import {
  formatD,
  formatG,
  formatTwoDecimals,
  pythonFloat,
  roundTo,
  roundToMicro,
} from '../../src/api/python-format.ts'

test.each([
  [100, '100.0'],
  [0.1, '0.1'],
  [-0, '-0.0'],
  [1e15, '1000000000000000.0'],
  [1e16, '1e+16'],
  [1.5e22, '1.5e+22'],
  [0.0001, '0.0001'],
  [0.00001, '1e-05'],
  [1e-7, '1e-07'],
  [5e-324, '5e-324'],
  [Infinity, 'inf'],
  [-Infinity, '-inf'],
  [NaN, 'nan'],
])('pythonFloat(%p)', (value, text) => {
  expect(pythonFloat(value)).toBe(text)
})

test.each([
  [100_000, '100000'],
  [1_000_000, '1e+06'],
  [123_456_789, '1.23457e+08'],
  [123_456.5, '123456'],
  [123_457.5, '123458'],
  [999_999.5, '1e+06'],
  [0.0001, '0.0001'],
  [0.00012345678, '0.000123457'],
  [0.00001, '1e-05'],
  [-55_604.25, '-55604.2'],
  [1e22, '1e+22'],
  [0, '0'],
  [2.5, '2.5'],
])('formatG(%p)', (value, text) => {
  expect(formatG(value)).toBe(text)
})

describe('rounding', () => {
  test.each([
    [2.5, 0, 2],
    [3.5, 0, 4],
    [-2.5, 0, -2],
    [2.675, 2, 2.67],
    [0.125, 2, 0.12],
    [0.375, 2, 0.38],
    [0.0078125, 6, 0.007812],
    [1_234.5, -2, 1_200],
    [1_250, -2, 1_200],
    [1_350, -2, 1_400],
    [1e20, 3, 1e20],
  ])('roundTo(%p, %p)', (value, digits, want) => {
    expect(roundTo(value, digits)).toBe(want)
  })

  test('roundToMicro() is the same as the slow way, but for the sign of 0', () => {
    fc.assert(
      fc.property(fc.double(), (value) => {
        expect(roundToMicro(value) + 0).toBe(roundTo(value, 6) + 0)
      }),
    )
    fc.assert(
      fc.property(fc.integer(), fc.integer({ min: 1, max: 4_096 }), (dividend, divisor) => {
        expect(roundToMicro(dividend / divisor) + 0).toBe(roundTo(dividend / divisor, 6) + 0)
      }),
    )
  })
})

test('formatD() cuts, formatTwoDecimals() rounds', () => {
  expect([formatD(2.7), formatD(-2.7), formatD(1e21)]).toEqual([
    '2',
    '-2',
    '1000000000000000000000',
  ])
  expect([formatTwoDecimals(2.675), formatTwoDecimals(0.125), formatTwoDecimals(1)]).toEqual([
    '2.67',
    '0.12',
    '1.00',
  ])
})
