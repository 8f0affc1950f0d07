import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Cleaner, UNCLEAN } from '../../../src/relay/routing/cleaning.ts'

function clean(line: string, allowed?: string): string {
  const src = Buffer.from(line)
  const dst = new Uint8Array(src.length + 1)
  const cleaner = allowed === undefined ? new Cleaner() : new Cleaner(allowed)
  const end = cleaner.cleanLine(src, 0, src.length, dst, 0)
  return Buffer.from(dst.subarray(0, end)).toString('latin1')
}

describe('Cleaner', () => {
  test.each([
    ['a.b 1 2', 'a.b 1 2'],
    ['a..b...c  2   T', 'a.b.c 2 T'],
    ['.lead.trail. 3 T', 'lead.trail 3 T'],
    ['a\t1\t \t2', 'a 1 2'],
    [' \t..a 1 2', 'a 1 2'],
    ['cpu%user/x 1 2', 'cpu_user_x 1 2'],
    ['ä.b 1 2', '__.b 1 2'],
    ['a-b_c:d#e 1 2', 'a-b_c:d#e 1 2'],
    ['a\0b 1\0 2', 'a_b 1_ 2'],
    ['m nan -1', 'm nan -1'],
    ['m 10', 'm 10'],
    ['m .5 1', 'm .5 1'],
    ['m 1 2 3 ', 'm 1 2 3 '],
    ['a..b;x=y%z;k=1..2 1 2', 'a.b;x=y%z;k=1..2 1 2'],
    ['a.;x=y 1 2', 'a.;x=y 1 2'],
  ])('%p becomes %p', (line, want) => {
    expect(clean(line)).toBe(want)
  })

  test.each(['', 'a', 'a.b;c=d', '...', ' ', ';a=b 1 2'])('%p is no line', (line) => {
    expect(clean(line)).toBe('')
  })

  test('leaves a line that a second cleaning does not change, of whatever bytes', () => {
    const cleaner = new Cleaner()
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.nat(5), (bytes, at) => {
        const once = new Uint8Array(bytes.length + 1 + at)
        const end = cleaner.cleanLine(bytes, 0, bytes.length, once, at)
        expect(end).toBeLessThanOrEqual(bytes.length + 1 + at)
        if (end === at) return
        const again = new Uint8Array(end - at + 1)
        const length = cleaner.cleanLine(once, at, end, again, 0)
        expect(again.subarray(0, length)).toEqual(once.subarray(at, end))
      }),
      { numRuns: 2000 },
    )
  })

  test('nameEnd() finds the end of a name that cleaning does not change', () => {
    const usual = fc.constantFrom(...Buffer.from('ab.;-_%='))
    const name = fc
      .array(fc.oneof(usual, fc.integer({ min: 0x21, max: 0xff })), { maxLength: 12 })
      .map((bytes) => Buffer.from(bytes))
    const cleaners = [new Cleaner(), new Cleaner(';=%'), new Cleaner('-_', 5)]
    fc.assert(
      fc.property(name, fc.constantFrom(...cleaners), (bytes, cleaner) => {
        const line = Buffer.concat([bytes, Buffer.from(' 0')])
        const cleaned = Buffer.alloc(line.length + 1)
        const end = cleaner.cleanLine(line, 0, line.length, cleaned, 0)
        const isClean = line.equals(cleaned.subarray(0, end))
        expect(cleaner.nameEnd(line, 0)).toBe(isClean ? bytes.length : UNCLEAN)
      }),
      { numRuns: 3000 },
    )
  })

  test('takes names up to the limit of -m, tags aside', () => {
    const cleaner = new Cleaner('-_:#', 3)
    const length = (line: string) =>
      cleaner.cleanLine(Buffer.from(line), 0, line.length, new Uint8Array(line.length + 1), 0)
    expect(length('abc 1 2')).toBe(7)
    expect(length('a..b 1 2')).toBe(7)
    expect(length('abc;host=web 1 2')).toBe(16)
    expect(length('abcd 1 2')).toBe(0)
  })

  test('takes more characters with -c, and tags as part of the name with ;', () => {
    expect(clean('a/b%c 1 2', '/')).toBe('a/b_c 1 2')
    expect(clean('a;b=c. 1 2', ';=')).toBe('a;b=c 1 2')
  })
})
