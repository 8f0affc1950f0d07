import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { compileNode } from '../../../src/metric/glob.ts'
import { compileByteWildcards } from '../../../src/store/index/byte-wildcard.ts'
import { markText } from '../../../src/store/index/text-marks.ts'

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
        if (!fits) return
        const marks = new Int32Array(3)
        markText(marks, 1, bytes, 1, bytes.length - 1)
        expect(marks[1]! & test.byteMarks).toBe(test.byteMarks)
        expect(marks[2]! & test.pairMarks).toBe(test.pairMarks)
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

  test.each([
    ['*a*b*', 'sensor0123456x', false],
    ['*A*', 'alarm', true],
    ['*12*', '2345', false],
    ['{*a*,*b*}', 'sensor', true],
  ])('%s on %s: the marks say that it may fit: %p', (pattern, text, want) => {
    const glob = compileNode(pattern)
    if (!glob.ok || glob.value.kind !== 'match') throw new Error('no wildcard')
    const { byteMarks, pairMarks } = compileByteWildcards(glob.value.wildcards)
    const marks = new Int32Array(2)
    markText(marks, 0, toUtf8(text), 0, text.length)
    const [bytes, pairs] = marks
    expect((bytes! & byteMarks) === byteMarks && (pairs! & pairMarks) === pairMarks).toBe(want)
  })

  test('take no time to explode', () => {
    const { fits } = compileByteWildcards(['*a*a*a*a*a*a*a*a*b'])
    const bytes = toUtf8('a'.repeat(255))
    const started = performance.now()
    for (let i = 0; i < 100; i++) expect(fits(bytes, 0, bytes.length)).toBe(false)
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})
