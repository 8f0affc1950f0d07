import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  compileGlob,
  compileNode,
  expandBraces,
  matchesNode,
  splitPattern,
} from '../../src/metric/glob.ts'

function matches(pattern: string, name: string): boolean {
  const glob = compileNode(pattern)
  return glob.ok && matchesNode(glob.value, name)
}

describe('compileNode()', () => {
  test.each([
    ['web01', 'web01', true],
    ['web01', 'web02', false],
    ['*', 'anything', true],
    ['web*', 'web', true],
    ['web*', 'aweb', false],
    ['*b*1', 'web01', true],
    ['web0?', 'web01', true],
    ['web0?', 'web0', false],
    ['web[01]x', 'web0x', true],
    ['web[01]x', 'web2x', false],
    ['web[0-3]', 'web3', true],
    ['web[!0-3]', 'web3', false],
    ['web[!0-3]', 'web4', true],
    ['a[]]b', 'a]b', true],
    ['a[', 'a[', true],
    ['[z-a]', 'm', false],
    ['[a^]', '^', true],
    ['[a-]', '-', true],
    ['{a,b}', 'b', true],
    ['{a,b}', 'ab', false],
    ['x{a,b*}y', 'xbcy', true],
    ['{a,{b,c}d}', 'cd', true],
    ['a+b', 'a+b', true],
    ['a.b', 'axb', false],
    ['a(b', 'a(b', true],
  ])('%p, %p: %p', (pattern, name, want) => expect(matches(pattern, name)).toBe(want))

  test('agrees with a backtracking matcher', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b', '-'), maxLength: 8 })
    const patterns = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 })
    fc.assert(
      fc.property(patterns, letters, (pattern, name) => {
        if (pattern === '**') return
        expect(matches(pattern, name)).toBe(naive(pattern, name))
      }),
      { numRuns: 2_000 },
    )
  })
})

/** `*` and `?` by trying everything. */
function naive(pattern: string, name: string): boolean {
  if (pattern === '') return name === ''
  if (pattern[0] === '*')
    return naive(pattern.slice(1), name) || (name !== '' && naive(pattern, name.slice(1)))
  return (
    name !== '' &&
    (pattern[0] === '?' || pattern[0] === name[0]) &&
    naive(pattern.slice(1), name.slice(1))
  )
}

test('splitPattern() leaves dots in braces alone', () => {
  expect(splitPattern('a.{b,c.d}.*')).toEqual(['a', '{b,c.d}', '*'])
})

test('expandBraces() unfolds from the inside and refuses explosions', () => {
  expect(expandBraces('a{b,c{d,e}}')).toEqual({ ok: true, value: ['ab', 'acd', 'ace'] })
  expect(expandBraces('{a')).toEqual({ ok: true, value: ['{a'] })
  expect(expandBraces('{a,b}'.repeat(20)).ok).toBe(false)
})

test('compileGlob() knows ** as a walk and refuses what is too long', () => {
  const glob = compileGlob('a.**.c')
  expect(glob.ok && glob.value.map(({ kind }) => kind)).toEqual(['literal', 'walk', 'literal'])
  expect(compileGlob('a'.repeat(70_000)).ok).toBe(false)
})
