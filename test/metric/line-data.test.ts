import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { LineData } from '../../src/metric/line-data.ts'
import { parseTimestamp, parseValue } from '../../src/metric/number.ts'

const NAME = 'a.b'
const limits = { now: 1, latest: 2 ** 32 - 1 }

/** What one reader makes of the line whose data this is; undefined when that is not plain. */
function read(reader: LineData, data: string): { value: number; time: number } | undefined {
  const bytes = Buffer.from(`${NAME}${data}\n`, 'latin1')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const end = reader.read(bytes, view, NAME.length)
  expect(end).toBe(reader.end)
  if (end < 0) return undefined
  expect(end).toBe(bytes.length - 1)
  return { value: reader.value, time: reader.time }
}

describe('LineData', () => {
  test.each([
    [' 1 1800000000', 1],
    [' -0 1800000000', -0],
    [' 98.123456 1800000001', 98.123456],
    [' -0.5 0000000000', -0.5],
    [' 123456789012345 1800000000', 123_456_789_012_345],
    [' 123456789.123456 4294967295', 123_456_789.123456],
    [' 0.000000001 9999999999', 1e-9],
  ])('reads "%s"', (data, value) => {
    expect(read(new LineData(), data)).toEqual({ value, time: Number(data.slice(-10)) })
  })

  test.each([
    '',
    ' ',
    ' 1',
    ' 1 ',
    ' 1 180000000',
    ' 1 18000000000',
    ' 1 1800000000 ',
    ' 1 1800000000.5',
    ' 1 -180000000',
    '  1 1800000000',
    '\t1 1800000000',
    ' 1\t1800000000',
    ' 1  800000000',
    ' - 1800000000',
    ' +1 1800000000',
    ' . 1800000000',
    ' .5 1800000000',
    ' 5. 1800000000',
    ' 1e3 1800000000',
    ' nan 1800000000',
    ' 1234567890123456 1800000000',
    ' 1234567890.5 1800000000',
    ' 0.1234567890 1800000000',
    ' 123456789.1234567 1800000000',
  ])('leaves "%s" to others', (data) => expect(read(new LineData(), data)).toBeUndefined())

  test('agrees with parseValue() and parseTimestamp(), whatever came before', () => {
    const reader = new LineData()
    const digits = fc.string({ unit: fc.constantFrom('0', '1', '2', '5', '7', '9'), maxLength: 17 })
    const number = fc.tuple(fc.constantFrom('', '-', '+'), digits, fc.constantFrom('', '.'), digits)
    const value = fc.oneof(
      number.map((parts) => parts.join('')),
      fc.double().map(String),
    )
    const time = fc.oneof(
      fc.constantFrom('1800000000', '1800000001', '2800000000', '1800010000'),
      fc.string({ unit: fc.constantFrom('0', '1', '5', '9', ' ', '.', '-'), maxLength: 12 }),
    )
    fc.assert(
      fc.property(value, time, (text, seconds) => {
        const found = read(reader, ` ${text} ${seconds}`)
        if (!found) return
        expect(found.value).toBe(parseValue(Buffer.from(text), 0, text.length))
        expect(found.time % 2 ** 32 === found.time ? found.time : 0).toBe(
          parseTimestamp(Buffer.from(seconds), 0, seconds.length, limits),
        )
      }),
      { numRuns: 5_000 },
    )
  })
})
