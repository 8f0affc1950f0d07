import { describe, expect, test } from 'bun:test'
import { compilePattern, compileSafePattern } from '../../src/store/python-pattern.ts'

describe('patterns', () => {
  test.each([
    ['cpu', 'a.cpu.b', true],
    ['(?i)CPU', 'a.cpu', true],
    ['^((?i)CPU)', 'cpu', true],
    ['(?P<x>a)b', 'ab', true],
    ['\\Aab\\Z', 'abc', false],
    ['^(a|aa)+$', 'aaaa', true],
    ['.*.*.*b', 'aab', true],
  ])('%s on %s', (source, text, want) => {
    for (const compile of [compilePattern, compileSafePattern]) {
      const pattern = compile(source)
      expect(pattern.ok && pattern.value.test(text)).toBe(want)
    }
  })

  test.each(['^(a+)+$', '^(a|a)*$', '.*.*.*.*.*x', '^([ab]*)*c'])(
    'what may explode takes linear time: %s',
    (source) => {
      const pattern = compileSafePattern(source)
      if (!pattern.ok) throw new Error(pattern.error)
      const started = performance.now()
      expect(pattern.value.test(`${'a'.repeat(1000)}!`)).toBe(false)
      expect(performance.now() - started).toBeLessThan(4_000)
    },
  )

  test.each(['(', '(a+)+(?=b)', '(a*)*\\1'])('refuses %s', (source) => {
    expect(compileSafePattern(source).ok).toBe(false)
  })
})
