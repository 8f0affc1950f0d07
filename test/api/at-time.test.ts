import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { parseAtTime, parseOffset } from '../../src/api/at-time.ts'

/** Wednesday, 2026-03-18 10:30:15 UTC. */
const NOW = Date.UTC(2026, 2, 18, 10, 30, 15) / 1000

function at(text: string, timeZone = 'UTC'): string {
  const time = parseAtTime(text, { now: NOW, timeZone })
  return time.ok ? new Date(time.value * 1000).toISOString().slice(0, 19) : time.error
}

describe('parseAtTime()', () => {
  test.each([
    ['now', '2026-03-18T10:30:15'],
    ['', '2026-03-18T10:30:15'],
    ['-1h', '2026-03-18T09:30:15'],
    ['now-5min', '2026-03-18T10:25:15'],
    ['-1mon', '2026-02-16T10:30:15'],
    ['-1y', '2025-03-18T10:30:15'],
    ['-1w2d', '2026-03-09T10:30:15'],
    ['+1d', '2026-03-19T10:30:15'],
    ['1767225600', '2026-01-01T00:00:00'],
    ['20260101', '2026-01-01T00:00:00'],
    ['12345678', '1970-05-23T21:21:18'],
    ['01/02/26', '2026-01-02T00:00:00'],
    ['1/2/1999', '1999-01-02T00:00:00'],
    ['01/02/75', '1975-01-02T00:00:00'],
    ['today', '2026-03-18T00:00:00'],
    ['yesterday', '2026-03-17T00:00:00'],
    ['noon yesterday', '2026-03-17T12:00:00'],
    ['midnight tomorrow', '2026-03-19T00:00:00'],
    ['teatime', '2026-03-18T16:00:00'],
    ['6pm today', '2026-03-18T18:00:00'],
    ['6am', '2026-03-18T06:00:00'],
    ['8:50', '2026-03-18T08:50:00'],
    ['08:50_20260101', '2026-01-01T08:50:00'],
    ['8:50pm', '2026-03-18T20:50:00'],
    ['12am', '2026-03-18T12:00:00'],
    ['12pm', '2026-03-18T00:00:00'],
    ['january 8', '2026-01-08T00:00:00'],
    ['March 8', '2026-03-08T00:00:00'],
    ['monday', '2026-03-16T00:00:00'],
    ['wednesday', '2026-03-18T00:00:00'],
    ['thu', '2026-03-12T00:00:00'],
    ['noon monday +1h', '2026-03-16T13:00:00'],
    ['midnight-1d', '2026-03-17T00:00:00'],
  ])('%s is %s', (text, want) => {
    expect(at(text)).toBe(want)
  })

  test.each([
    ['today', 'America/New_York', '2026-03-18T04:00:00'],
    ['midnight 20260308', 'America/New_York', '2026-03-08T05:00:00'],
    ['midnight 20260309', 'America/New_York', '2026-03-09T04:00:00'],
    // 02:30 does not exist on that day, 01:30 occurs twice on the other: standard time is taken.
    ['2:30 20260308', 'America/New_York', '2026-03-08T07:30:00'],
    ['1:30 20261101', 'America/New_York', '2026-11-01T06:30:00'],
    ['noon 20260101', 'Asia/Kolkata', '2026-01-01T06:30:00'],
    ['noon 20260329-1d', 'Europe/London', '2026-03-28T11:00:00'],
  ])('%s in %s is %s', (text, timeZone, want) => {
    expect(at(text, timeZone)).toBe(want)
  })

  test.each([
    ['1h', 'unknown day "1h"'],
    ['-5m', 'unknown unit "m"'],
    ['-1mon+2d', 'unknown day "-1mon"'],
    ['-5', 'is not a number with a unit'],
    ['january', 'must be followed by the day'],
    ['feb30', 'there is no day 2026-2-30'],
    ['25:00', 'there is no time of day'],
    ['notatime', 'unknown day'],
    ['-100y', 'must be in the years'],
  ])('%s is refused', (text, want) => {
    expect(at(text)).toContain(want)
  })

  test('answers a time or an error for any text', () => {
    const piece = fc.constantFrom(
      'now',
      '-',
      '+',
      '1',
      '12',
      'd',
      'min',
      'mon',
      'noon',
      ':',
      'am',
      '/',
      'jan',
      'fri',
      'today',
      '2026',
      ' ',
    )
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.array(piece).map((parts) => parts.join('')),
    )
    fc.assert(
      fc.property(text, fc.constantFrom('UTC', 'Europe/Berlin'), (text, timeZone) => {
        const time = parseAtTime(text, { now: NOW, timeZone })
        expect(time.ok ? Number.isFinite(time.value) : typeof time.error === 'string').toBe(true)
      }),
    )
  })
})

test('parseOffset() knows units by their beginning', () => {
  const seconds = (text: string): unknown => {
    const offset = parseOffset(text)
    return offset.ok ? offset.value : offset.error
  }
  expect(seconds('5minutes')).toBe(300)
  expect(seconds('-1hour30min')).toBe(-5_400)
  expect(seconds('2months')).toBe(60 * 86_400)
  expect(seconds('5m')).toBe('unknown unit "m"')
})
