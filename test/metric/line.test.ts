import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { emptyLineFields, scanLine } from '../../src/metric/line.ts'

function scan(text: string): string[] | undefined {
  const bytes = Buffer.from(`<<${text}>>`, 'latin1')
  const fields = emptyLineFields()
  if (!scanLine(bytes, 2, bytes.length - 2, fields)) return undefined
  const part = (from: number, to: number): string => bytes.toString('latin1', from, to)
  return [
    part(fields.nameStart, fields.nameEnd),
    part(fields.valueStart, fields.valueEnd),
    part(fields.timeStart, fields.timeEnd),
  ]
}

describe('scanLine()', () => {
  test.each([
    ['a.b 1 2', ['a.b', '1', '2']],
    ['  a.b\t 1   2  ', ['a.b', '1', '2']],
    ['a.b 1 2\r', ['a.b', '1', '2']],
    ['a.b 1', ['a.b', '1', '']],
    ['a.b 1 2 extra', ['a.b', '1', '2']],
    ['a;k=v 1 2', ['a;k=v', '1', '2']],
  ])('%p', (text, want) => expect(scan(text)).toEqual(want))

  test.each(['', '   ', 'a.b', 'a.b  ', '\r'])('%p has no name and value', (text) =>
    expect(scan(text)).toBeUndefined(),
  )

  test('never reads outside the line', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary-ascii' }), (text) => {
        const fields = scan(text.replaceAll('\n', ' '))
        for (const field of fields ?? []) expect(field).not.toMatch(/[<>]{2}|[ \t]/)
      }),
    )
  })
})
