import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { compileNode } from '../../../src/metric/glob.ts'
import { compileByteWildcards, pairMarks } from '../../../src/store/index/byte-wildcard.ts'

describe('byte wildcards', () => {
  test('agree with the regular expression', () => {
    const part = fc.constantFrom(
      'a',
      'b',
      'é',
      '*',
      '?',
      '[ab]',
      '[!a]',
      '[a-c]',
      '[c-a]',
      '[',
      ']',
      '-',
    )
    const pattern = fc.array(part, { maxLength: 7 }).map((parts) => parts.join(''))
    const text = fc.string({
      unit: fc.constantFrom('a', 'b', 'c', 'é', '-', '[', ']'),
      maxLength: 8,
    })
    fc.assert(
      fc.property(pattern, text, (pattern, text) => {
        const node = compileNode(pattern)
        fc.pre(node.ok && node.value.kind === 'match')
        if (!node.ok || node.value.kind !== 'match') return
        const test = compileByteWildcards(node.value.wildcards)
        const bytes = toUtf8(`<${text}>`)
        const fits = node.value.test(text)
        expect(test.fits(bytes, 1, bytes.length - 1)).toBe(fits)
        if (fits) expect(pairMarks(bytes, 1, bytes.length - 1) & test.marks).toBe(test.marks)
      }),
      { numRuns: 5_000 },
    )
  })

  test.each([
    ['[é-ü]*', 'öx', true],
    ['[!é]*', 'éx', false],
    ['?\u{1f600}', 'a\u{1f600}', true],
    ['?', '\u{1f600}', true],
  ])('%s on %s', (pattern, text, want) => {
    const bytes = toUtf8(text)
    expect(compileByteWildcards([pattern]).fits(bytes, 0, bytes.length)).toBe(want)
  })

  test('take no time to explode', () => {
    const { fits } = compileByteWildcards(['*a*a*a*a*a*a*a*a*b'])
    const bytes = toUtf8('a'.repeat(255))
    const started = performance.now()
    for (let i = 0; i < 100; i++) expect(fits(bytes, 0, bytes.length)).toBe(false)
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})
