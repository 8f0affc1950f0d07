import { describe, expect, test } from 'bun:test'
import { toUtf8 } from '../../src/lib/bytes.ts'
import { canonicalPath, isValidPath, parseTaggedPath } from '../../src/metric/path.ts'

describe('isValidPath()', () => {
  test.each(['a', 'a.b.c', 'a;k=v', `${'n'.repeat(255)}.x`, 'größe.x', `a;k=${'v'.repeat(300)}`])(
    'takes %p',
    (path) => expect(isValidPath(toUtf8(path))).toBe(true),
  )

  test.each([
    '',
    ' ',
    'a b',
    'a\tb',
    'a\u0000',
    'a\u007f',
    ';k=v',
    'n'.repeat(256),
    'a.'.repeat(600),
  ])('refuses %p', (path) => expect(isValidPath(toUtf8(path))).toBe(false))
})

describe('canonicalPath()', () => {
  test.each([
    ['a.b', 'a.b'],
    ['a;b=2;a=1', 'a;a=1;b=2'],
    ['a;k=1;k=2', 'a;k=2'],
    ['a;k=x=y', 'a;k=x=y'],
  ])('%p is %p', (path, want) => expect(canonicalPath(path)).toEqual({ ok: true, value: want }))

  test.each(['a;', 'a;k', 'a;k=', 'a;=v', 'a;k=~v', 'a;k!=v', 'a;k^=v', ';k=v'])(
    'refuses %p',
    (path) => expect(canonicalPath(path).ok).toBe(false),
  )
})

test('parseTaggedPath() takes name and tags apart', () => {
  const tags = [
    ['dc', 'eu'],
    ['host', 'a'],
  ] as const
  expect(parseTaggedPath('disk.used;host=a;dc=eu')).toEqual({
    ok: true,
    value: { name: 'disk.used', tags },
  })
})
