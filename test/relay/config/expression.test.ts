import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { compileExpression, type Expression } from '../../../src/relay/config/expression.ts'
import { analyse } from '../../../src/lib/regex-cost.ts'

function ok(source: string): Expression {
  const compiled = compileExpression(source)
  if (!compiled.ok) throw new Error(compiled.error)
  return compiled.value
}

function bad(source: string): string {
  const compiled = compileExpression(source)
  return compiled.ok ? 'no complaint' : compiled.error
}

function warnings(source: string): string[] {
  const list: string[] = []
  compileExpression(source, (text) => list.push(text))
  return list
}

describe('expressions without a regular expression', () => {
  test.each([
    ['*', 'all', ''],
    ['^a_b', 'prefix', 'a_b'],
    ['a-b$', 'suffix', 'a-b'],
    ['^a1$', 'equal', 'a1'],
    ['abc', 'contains', 'abc'],
    ['a\\.b', 'contains', 'a.b'],
    ['^a\\.b\\+$', 'equal', 'a.b+'],
    ['a.b', 'regex', ''],
    ['a\\$', 'regex', ''],
    ['a#b', 'regex', ''],
    ['a\\-b', 'regex', ''],
    ['^', 'prefix', ''],
    ['^$', 'equal', ''],
  ])('%p is %p of %p', (source, kind, literal) => {
    expect(ok(source)).toMatchObject({ kind, literal })
  })

  test('say where they match', () => {
    expect(ok('b$').exec('a.b')).toEqual({ start: 2, end: 3, groups: [] })
    expect(ok('a').exec('xax')).toEqual({ start: 1, end: 2, groups: [] })
    expect(ok('^x').exec('xax')).toEqual({ start: 0, end: 1, groups: [] })
    expect(ok('*').exec('xax')).toEqual({ start: 0, end: 3, groups: [] })
    expect(ok('^x$').exec('xax')).toBeUndefined()
  })
})

describe('regular expressions', () => {
  test.each([
    ['[[:alpha:]_]+\\.[[:digit:]]{2}', 'ab_.12', true],
    ['^[^[:space:].]+$', 'a.b', false],
    ['[]x]b', ']b', true],
    ['[^]x]b', ']b', false],
    ['[[]b', '[b', true],
    ['[a^]b', '^b', true],
    ['[a-]b', '-b', true],
    ['(?i)^CPU', 'cpu', true],
    ['\\Aab\\z', 'ab', true],
    ['a\\Q.*\\Eb', 'a.*b', true],
    ['a\\Q.*\\Eb', 'axxb', false],
    ['(?P<n>a)b', 'ab', true],
    ['a(?#comment)b', 'ab', true],
    ['(a)\\g{1}', 'aa', true],
    ['\\x{2e}', '.', true],
    ['a{2,3}\\.b', 'aa.b', true],
    ['\\hx', '\tx', true],
    ['^(?!carbon\\.)', 'carbon.x', false],
    ['é+\\.x', 'éé.x', true],
  ])('%p on %p: %p', (source, text, want) => {
    expect(ok(source).test(text)).toBe(want)
    expect(ok(source).exec(text) !== undefined).toBe(want)
  })

  test.each([
    ['a++b', 'possessive'],
    ['(?>a)b', 'not supported'],
    ['(?R)', 'not supported'],
    ['\\R.', '\\R is not supported'],
    ['[[.a.]]', 'not supported in brackets'],
    ['[[:foo:]]', 'not supported in brackets'],
    ['[a', 'missing ]'],
    ['(a', 'missing )'],
    ['a.**', 'nothing to repeat'],
    ['x.\\', '\\ at the end'],
    [`${'(a)'.repeat(65)}.`, 'more than 64 groups'],
    ['((a|b)+)\\1', 'back-reference'],
    ['(a)\\2', 'there is no group 2'],
    ['(?=(a+)+b)', 'looks ahead'],
  ])('%p is refused: %p', (source, want) => {
    expect(bad(source)).toContain(want)
  })

  test('warn of what a libc build reads in another way', () => {
    expect(warnings('\\d+')).toEqual([
      "expression '\\d+': \\d is a class of digits here, the letter in a libc build",
    ])
    expect(warnings('(web|web1)\\.x')[0]).toContain('the first alternative that fits is taken')
    expect(warnings('(web|db)\\.x')).toEqual([])
    expect(warnings('[\\d]')[0]).toContain('in brackets')
  })

  test.each([
    '^(a+)+$',
    '^(a|a)*$',
    '^(a|aa)+$',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    '(.*)*=',
    '^(a?){50}a{50}$',
  ])('%p does not run away', (source) => {
    const text = `${'a'.repeat(5000)}!`
    const before = process.cpuUsage()
    ok(source).test(text)
    ok(source).exec(text)
    expect(process.cpuUsage(before).user).toBeLessThan(2_000_000)
  })

  test.each([
    'x.*y',
    'x.*x.*y',
    '.*x.*y',
    '(.*)x(.*)x(.*)y',
    '^(.*)x(.*)x(.*)x(.*)y$',
    '[^.]+[a-z]+y',
  ])('%p stays quick on long names', (source) => {
    const before = process.cpuUsage()
    for (const length of [79, 159, 511, 1024, 32_000])
      expect(ok(source).test('x'.repeat(length))).toBe(false)
    expect(process.cpuUsage(before).user).toBeLessThan(1_000_000)
  })

  test.each([
    ['^sys\\.([^.]+)\\.([^.]+)\\.(.*)$', 1],
    ['^(.*)\\.(.*)\\.x$', 2],
    ['^([^.]+)\\.(cpu|mem)\\.([a-z]+)[0-9]+$', 1],
    ['([^.]+)\\.x', 2],
    ['x.*x.*y', 3],
    ['^[^.]+([.]x)?.*$', 2],
    ['^a+(b|a)$', 1],
    ['^a+|b', 2],
    ['^(a+)b', 1],
    ['^(a+)?b', 1],
  ])('%p has degree %p', (source, want) => {
    expect(analyse(source).degree).toBe(want)
  })

  test('with look-around do not fit what is longer than any name', () => {
    const source = '^(?!carbon).*a.*a$'
    expect(ok(source).test('a'.repeat(1024))).toBe(true)
    expect(ok(source).test('a'.repeat(1025))).toBe(false)
    expect(ok(source).exec('a'.repeat(1025))).toBeUndefined()
  })

  test('answer the same from both engines', () => {
    const piece = fc.constantFrom(
      'a',
      'b',
      '.',
      '[^.]+',
      '(a|b)',
      '(.*)',
      'a*',
      '(b+)?',
      '[a-c]{1,2}',
      '\\.',
    )
    const source = fc.array(piece, { minLength: 1, maxLength: 5 }).map((pieces) => pieces.join(''))
    const text = fc.string({ unit: fc.constantFrom('a', 'b', 'c', '.'), maxLength: 12 })
    fc.assert(
      fc.property(source, text, (one, name) => {
        const native = ok(one)
        const linear = ok(`(?:${one}|(?:(?:q*)+q))`)
        expect(linear.exec(name)).toEqual(native.exec(name)!)
      }),
    )
  })

  test('never throw, whatever is written', () => {
    const source = fc.string({
      unit: fc.constantFrom(...Array.from('ab01^$.*+?()[]{}|\\-:,=!<>PQEdwg#i_ ')),
      maxLength: 16,
    })
    fc.assert(
      fc.property(source, fc.string({ unit: 'binary-ascii', maxLength: 30 }), (one, name) => {
        const compiled = compileExpression(one)
        if (!compiled.ok) return
        const match = compiled.value.exec(name)
        expect(compiled.value.test(name)).toBe(match !== undefined)
        if (match)
          expect(
            match.groups.length === compiled.value.groupCount || match.groups.length === 0,
          ).toBe(true)
      }),
      { numRuns: 2000 },
    )
  })
})

test('an expression says of bytes what it says of text, and of both what it would in a group', () => {
  const piece = fc.constantFrom(
    'a',
    'b',
    '-',
    '\\.',
    '.',
    '.*',
    '+',
    '?',
    '{2}',
    '(b)',
    '[ab]',
    'a|b',
  )
  const source = fc
    .tuple(fc.constantFrom('', '^'), fc.array(piece, { minLength: 1, maxLength: 5 }))
    .map(([start, pieces]) => start + pieces.join(''))
  const text = fc.array(fc.constantFrom('a', 'b', 'A', '.', '-'), { maxLength: 6 })
  fc.assert(
    fc.property(
      fc.oneof(
        source,
        source.map((begun) => `${begun}$`),
      ),
      text,
      (written, characters) => {
        const compiled = compileExpression(written)
        const grouped = compileExpression(`(?:${written})`)
        fc.pre(compiled.ok && grouped.ok)
        const name = characters.join('')
        const bytes = Buffer.from(`x${name}x`)
        const { kind } = compiled.value
        const fits = grouped.value.test(name)
        expect(compiled.value.test(name)).toBe(fits)
        expect(compiled.value.exec(name) !== undefined).toBe(fits)
        const mayFit = compiled.value.testBytes(bytes, 1, bytes.length - 1)
        if (kind === 'regex') expect(mayFit || !fits).toBe(true)
        else expect(mayFit).toBe(fits)
      },
    ),
    { numRuns: 3000 },
  )
})
