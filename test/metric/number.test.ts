import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { BAD_TIME, parseTimestamp, parseValue } from '../../src/metric/number.ts'

const parse = (text: string): number => {
  const bytes = Buffer.from(`x${text}y`, 'latin1')
  return parseValue(bytes, 1, bytes.length - 1)
}

describe('parseValue()', () => {
  test.each([
    ['0', 0],
    ['-0', -0],
    ['+5', 5],
    ['42', 42],
    ['1.', 1],
    ['.5', 0.5],
    ['-1.25', -1.25],
    ['1e3', 1000],
    ['1.5E-2', 0.015],
    ['0.1', 0.1],
    ['123456789012345678', 123_456_789_012_345_680],
    ['0.30000000000000004', 0.30000000000000004],
    ['1e400', Infinity],
    ['inf', Infinity],
    ['-Infinity', -Infinity],
    ['+INF', Infinity],
  ])('%s is %p', (text, want) => expect(parse(text)).toBe(want))

  test.each([
    '',
    '-',
    '.',
    'nan',
    'NaN',
    '0x10',
    '1_000',
    '1,5',
    '1 2',
    'e5',
    '--1',
    'infinite',
    '1e',
    '١',
  ])('%p is no number', (text) => expect(parse(text)).toBeNaN())

  test('is exact to the bit for every way JavaScript prints a number', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true }), (value) => {
        const text = Object.is(value, -0) ? '-0' : String(value)
        expect(parse(text)).toBe(value)
      }),
      { numRuns: 2_000 },
    )
  })

  test('agrees with Number() on plain decimals', () => {
    const digits = fc.stringMatching(/^\d{1,20}$/)
    fc.assert(
      fc.property(digits, digits, (whole, fraction) => {
        expect(parse(`${whole}.${fraction}`)).toBe(Number(`${whole}.${fraction}`))
      }),
      { numRuns: 2_000 },
    )
  })
})

describe('parseTimestamp()', () => {
  const limits = { now: 1_800_000_000, latest: 1_800_003_600 }
  const time = (text: string): number => {
    const bytes = Buffer.from(text, 'latin1')
    return parseTimestamp(bytes, 0, bytes.length, limits)
  }

  test.each([
    ['1799999999', 1_799_999_999],
    ['1799999999.9', 1_799_999_999],
    ['1.8e9', 1_800_000_000],
    ['-1', 1_800_000_000],
    ['', 1_800_000_000],
    ['1', 1],
    ['1800003600', 1_800_003_600],
  ])('%p is %p', (text, want) => expect(time(text)).toBe(want))

  test.each(['0', '-2', '0.5', '1800003601', '99999999999999999999', 'nan', 'inf', 'N', '12h'])(
    '%p is no time',
    (text) => expect(time(text)).toBe(BAD_TIME),
  )
})
