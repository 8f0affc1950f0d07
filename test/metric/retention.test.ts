import { describe, expect, test } from 'bun:test'
import {
  type Archive,
  parseRetentions,
  parseSeconds,
  showRetentions,
} from '../../src/metric/retention.ts'

describe('parseRetentions()', () => {
  const ok = (text: string, ...archives: [number, number][]): void => {
    const want: Archive[] = archives.map(([step, count]) => ({ step, count }))
    expect(parseRetentions(text)).toEqual({ ok: true, value: want })
  }
  const bad = (text: string, message: string): void => {
    const result = parseRetentions(text)
    expect(result.ok ? 'accepted' : result.error).toContain(message)
  }

  test('reads units, counts and any order', () => {
    ok('10s:6h', [10, 2160])
    ok('1m:30d, 10s:6h', [10, 2160], [60, 43_200])
    ok('60:90d', [60, 129_600])
    ok('10min:1year', [600, 52_560])
    ok('1s:1d,10s:7d,1m:90d,10m:2y', [1, 86_400], [10, 60_480], [60, 129_600], [600, 105_120])
  })

  test('a bare second part is slots, as python carbon has it', () => ok('10s:1440', [10, 1440]))

  test('says what is wrong', () => {
    bad('10x:1d', 'cannot parse retention "10x:1d": unknown unit "x"')
    bad('10s', 'it must be STEP:LENGTH')
    bad('0s:1d', 'at least one slot')
    bad('1d:1s', 'at least one slot')
    bad('10s:1h,10s:2h', 'two archives have a step of 10 s')
    bad('10s:1h,15s:2h', '15 s is no multiple of 10 s')
    bad('10s:2h,60s:1h', 'must reach back further')
    bad('1s:30s,60s:1h', 'shorter than one slot')
    bad('', 'STEP:LENGTH')
  })
})

test('showRetentions() is what people write, and means the same', () => {
  for (const text of ['1s:1d,10s:7d,1m:90d,10m:730d', '60:90d', '10s:1440', '7s:77s', '1h:1w']) {
    const archives = parseRetentions(text)
    if (!archives.ok) throw new Error(archives.error)
    expect(parseRetentions(showRetentions(archives.value))).toEqual(archives)
  }
  expect(showRetentions([{ step: 60, count: 129_600 }])).toBe('1m:90d')
  expect(showRetentions([{ step: 7, count: 11 }])).toBe('7s:77s')
})

test('parseSeconds() takes any prefix of a unit', () => {
  expect(['90', '2m', '2mi', '1hours', '1w'].map((text) => parseSeconds(text))).toEqual(
    [90, 120, 120, 3_600, 604_800].map((value) => ({ ok: true, value })),
  )
  expect(parseSeconds('-5s').ok).toBe(false)
})
