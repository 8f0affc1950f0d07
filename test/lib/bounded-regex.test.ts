import { describe, expect, test } from 'bun:test'
import { type BoundedRegex, compileBounded } from '../../src/lib/bounded-regex.ts'

const LENIENT = { flags: '', backtrackLengthMax: 1_000, degreeMax: Infinity }

function ok(pattern: string, options = LENIENT): BoundedRegex {
  const compiled = compileBounded(pattern, options)
  if (!compiled.ok) throw new Error(compiled.error)
  return compiled.value
}

function bad(pattern: string, options = LENIENT): string {
  const compiled = compileBounded(pattern, options)
  return compiled.ok ? 'no complaint' : compiled.error
}

describe('BoundedRegex', () => {
  test('matches() goes from left to right, on either engine', () => {
    for (const pattern of ['x*', '(?:(?:x*)*)']) {
      const found = [...ok(pattern).matches('axb')].map(({ start, end }) => [start, end])
      expect(found).toEqual([
        [0, 0],
        [1, 2],
        [2, 2],
        [3, 3],
      ])
    }
  })

  test('exec() and test() begin at the start each time', () => {
    const regex = ok('a')
    expect([
      regex.test('a'),
      regex.test('a'),
      regex.exec('a')?.start,
      regex.exec('a')?.end,
    ]).toEqual([true, true, 0, 1])
  })

  test('groups have numbers, and names lead to them', () => {
    const regex = ok('(?:x)(a)[(](?<second>b)?\\((?<third>(c))(?=d)')
    expect(regex.groupCount).toBe(4)
    expect([...regex.groupNames]).toEqual([
      ['second', 2],
      ['third', 3],
    ])
    expect(regex.exec('xa((cd')?.groups).toEqual(['a', undefined, 'c', 'c'])
  })

  test('flags count on either engine', () => {
    for (const pattern of ['^A.B$', '^(?:A.B)$|(?:(?:q*)+q)']) {
      expect(ok(pattern, { ...LENIENT, flags: 'ims' }).test('x\na\nb\nx')).toBe(true)
      expect(ok(pattern).test('x\na\nb\nx')).toBe(false)
    }
  })

  test('what looks around fits no text that is longer than may be backtracked over', () => {
    const regex = ok('^(?!b).*a.*a$')
    expect([regex.test('a'.repeat(1_000)), regex.test('a'.repeat(1_001))]).toEqual([true, false])
    expect(regex.exec('a'.repeat(1_001))).toBeUndefined()
  })
})

test.each([
  ['(', 'missing )'],
  ['(a+)+(?=b)', 'alternates inside itself, and it looks ahead or behind'],
  ['((a|b)+)\\1', 'alternates inside itself, and it has a back-reference'],
])('%s is refused: %s', (pattern, want) => {
  expect(bad(pattern)).toContain(want)
})

test('repetitions that multiply are refused above the degree that is taken', () => {
  const pattern = '(?!x).*a.*b.*c'
  expect(bad(pattern, { ...LENIENT, degreeMax: 2 })).toContain('its 4 repetitions multiply')
  expect(bad(pattern)).toBe('no complaint')
})

test.each(['(a+)+$', '(a|a)*b', '.*.*.*b', '[а-я]*[б-я]*[^a]*ъ'])(
  '%s on a long text takes little time',
  (pattern) => {
    const regex = ok(pattern)
    const before = process.cpuUsage()
    for (const letter of ['a', 'я']) {
      for (const length of [30, 300, 3_000])
        expect(regex.test(`${letter.repeat(length)}!`)).toBe(false)
    }
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  },
)
