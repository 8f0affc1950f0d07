/** Line ends, dots, and the ways to smuggle a second message past them. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ByteWriter, fromUtf8, toUtf8 } from '../../src/lib/bytes.ts'
import { LineNormaliser } from '../../src/mailer/line-normaliser.ts'

function run(text: string, options: { dots: boolean; chunk?: number }): [string, boolean, string] {
  const bytes = toUtf8(text)
  const out = new ByteWriter()
  const normaliser = new LineNormaliser(options)
  const step = options.chunk ?? bytes.length
  for (let at = 0; at < bytes.length;) {
    const { taken, ended } = normaliser.feed(bytes.subarray(at, at + step), out)
    at += taken
    if (ended) return [fromUtf8(out.written()), true, fromUtf8(bytes.subarray(at))]
  }
  return [fromUtf8(out.written()), false, '']
}

describe('LineNormaliser', () => {
  const ok = (input: string, content: string, left = ''): void => {
    for (const chunk of [1, 2, 3, 1000]) {
      expect(run(input, { dots: true, chunk })).toEqual([content, true, left])
    }
  }
  const open = (input: string, content: string): void => {
    for (const chunk of [1, 2, 3, 1000]) {
      expect(run(input, { dots: true, chunk })).toEqual([content, false, ''])
    }
  }

  test('ends at CRLF . CRLF and removes the dots that were added', () => {
    ok('a\r\n.\r\nNOOP\r\n', 'a\r\n', 'NOOP\r\n')
    ok('.\r\n', '')
    ok('..a\r\n..\r\n.\r\n', '.a\r\n.\r\n')
    ok('a..\r\n.b\r\n.\r\n', 'a..\r\nb\r\n')
  })

  test('no other sequence ends a message', () => {
    open('a\n.\nMAIL', 'a\r\n.\r\nMAIL')
    open('a\n.\r\nMAIL', 'a\r\n.\r\nMAIL')
    open('a\r\n.\nMAIL', 'a\r\n\r\nMAIL')
    open('a\r\n.\rMAIL', 'a\r\n MAIL')
    open('a\r.\rMAIL', 'a . MAIL')
    open('a\r\r\n.x', 'a \r\nx')
  })

  test('what comes out holds no bare CR or LF, however it was cut', () => {
    const pieces = fc.array(fc.constantFrom('\r', '\n', '.', 'a', '\r\n', '\r\n.\r\n'), {
      maxLength: 30,
    })
    fc.assert(
      fc.property(pieces, fc.integer({ min: 1, max: 7 }), fc.boolean(), (parts, chunk, dots) => {
        const [content] = run(parts.join(''), { dots, chunk })
        expect(content.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
        expect(run(parts.join(''), { dots, chunk })).toEqual(run(parts.join(''), { dots }))
      }),
    )
  })
})
