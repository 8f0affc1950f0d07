import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { sameBytes, sameName, viewOf } from '../../../src/relay/delivery/copy-bytes.ts'

const name = fc.uint8Array({ min: 0x21, maxLength: 40 })

function compare(same: typeof sameBytes, a: Uint8Array, b: Uint8Array): boolean {
  const [from, to] = [new Uint8Array(a.length + 5), new Uint8Array(a.length + 3)]
  from.set(a, 5)
  to.set(b, 3)
  return same(viewOf(from), 5, viewOf(to), 3, a.length)
}

describe('sameBytes() and sameName()', () => {
  test('tell every byte that is another one', () => {
    fc.assert(
      fc.property(
        name,
        fc.nat(),
        fc.uint8Array({ minLength: 1, maxLength: 1 }),
        (a, at, [byte]) => {
          const b = a.slice()
          if (b.length > 0) b[at % b.length] = byte!
          const wanted = Buffer.compare(a, b) === 0
          expect(compare(sameBytes, a, b)).toBe(wanted)
          if (!wanted) expect(compare(sameName, a, b)).toBe(false)
        },
      ),
    )
  })

  test('sameName() knows names of ASCII', () => {
    fc.assert(
      fc.property(fc.uint8Array({ min: 0x21, max: 0x7e, maxLength: 40 }), (a) => {
        expect(compare(sameName, a, a.slice())).toBe(true)
      }),
    )
  })

  test('sameName() is no more than a guess about bytes that are no number as a double', () => {
    const strange = new Uint8Array(8).fill(0xff)
    expect(compare(sameName, strange, strange)).toBe(false)
    expect(compare(sameBytes, strange, strange)).toBe(true)
  })
})
