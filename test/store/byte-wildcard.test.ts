import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { compileNode } from '../../src/metric/glob.ts'
import { compileByteWildcards } from '../../src/store/byte-wildcard.ts'

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
        if (test) expect(test(bytes, 1, bytes.length - 1)).toBe(node.value.test(text))
        else expect(pattern).toContain('é')
      }),
      { numRuns: 5_000 },
    )
  })

  test('leaves classes beyond ASCII to the regular expression', () => {
    expect(compileByteWildcards(['[é]*'])).toBeUndefined()
  })
})
