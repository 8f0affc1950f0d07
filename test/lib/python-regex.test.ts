import { describe, expect, test } from 'bun:test'
import { compilePythonRegex, compileReplacer } from '../../src/lib/python-regex.ts'

function sub(pattern: string, replacement: string, text: string): string {
  const replacer = compileReplacer(pattern, replacement)
  return replacer.ok ? replacer.value(text) : replacer.error
}

describe('compileReplacer()', () => {
  test.each([
    ['web', 'host', 'web1.web2', 'host1.host2'],
    ['(^.*$)', '\\1 A', 'a.b', 'a.b A'],
    ['^(\\w+)\\.(\\w+)', '\\2.\\1', 'a.b.c', 'b.a.c'],
    ['(?P<host>\\w+)\\.cpu', '\\g<host>: \\g<1>', 'web.cpu', 'web: web'],
    ['(?P<a>.)(?P=a)', '<\\g<a>>', 'abbc', 'a<b>c'],
    ['\\Aa', 'x', 'aa', 'xa'],
    ['a\\Z', 'x', 'aa', 'ax'],
    ['(?i)WEB', '$1 $& x', 'web', '$1 $& x'],
    ['[]x]', '-', 'a]x', 'a--'],
    ['x*', '-', 'axb', '-a--b-'],
    ['^x{,2}', '-', 'xxx', '-x'],
    ['(a)|b', '[\\1]', 'ab', '[a][]'],
    ['a', '\\n', 'a', '\n'],
    ['a', '\\.', 'a', '\\.'],
    ['a', '\\\\', 'a', '\\'],
    ['(\\w+\\.)*(\\w+)', '\\2', 'a.b.c', 'c'],
    ['((?P<x>a|b)+)c', '\\g<x>', 'ababc', 'b'],
  ])('%s → %s', (pattern, replacement, text, want) => {
    expect(sub(pattern, replacement, text)).toBe(want)
  })

  test.each([
    ['(', 'x', 'cannot use pattern "(": missing )'],
    ['a', '\\1', 'the pattern has no group 1'],
    ['(?P<a>a)', '\\g<b>', 'the pattern has no group b'],
    ['(a+)+(?=b)', 'x', 'it may take forever'],
    ['(?!x).*a.*b.*c', 'x', 'it may take forever'],
    ['(?x)a b', 'x', 'of flags only i, m, s and u'],
    ['a'.repeat(5_000), 'x', 'longer than 4096'],
  ])('refuses %s', (pattern, replacement, want) => {
    expect(sub(pattern, replacement, 'a')).toContain(want)
  })

  test('what would explode is quick', () => {
    const started = performance.now()
    const text = 'a'.repeat(30_000)
    expect(sub('(a+)+$', 'x', `${text}!`).length).toBeGreaterThan(0)
    expect(sub('(a|a)*b', 'x', text)).toBe(text)
    expect(sub('.*.*.*b', 'x', text.slice(0, 5_000))).toBe(text.slice(0, 5_000))
    expect(performance.now() - started).toBeLessThan(2_000)
  })
})

test('compilePythonRegex() matches from the start where it is told to', () => {
  const regex = compilePythonRegex('(?i)a|b', { anchored: true })
  expect(regex.ok && ['Ax', 'bx', 'xa', 'xb'].map((text) => regex.value.test(text))).toEqual([
    true,
    true,
    false,
    false,
  ])
})

test('compilePythonRegex() takes from a trusted author what may be slow', () => {
  expect(compilePythonRegex('(?!x).*a.*b.*c', { trusted: true }).ok).toBe(true)
})

test('compilePythonRegex() searches anywhere', () => {
  const regex = compilePythonRegex('b(c|d)')
  expect(
    regex.ok && [regex.value.test('abd'), regex.value.test('abe'), regex.value.test('abc')],
  ).toEqual([true, false, true])
})
