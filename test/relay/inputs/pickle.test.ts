/** Pickles that Python really makes (recorded for protocols 0 to 5), and ones that must be refused. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import { appendPickledPoints, readPickle } from '../../../src/relay/inputs/pickle.ts'

/** `pickle.dumps([('a.b', (1500000000, 1.5)), ('a.c', (1500000001.5, 2)), (b'd', (-1, '3.25'))], p).hex()` */
const RECORDED: readonly string[] = [
  '286c70300a2856612e620a70310a2849313530303030303030300a46312e350a7470320a7470330a612856612e630a70' +
    '340a2846313530303030303030312e350a49320a7470350a7470360a612856640a70370a28492d310a56332e32350a70' +
    '380a7470390a747031300a612e',
  '5d710028285803000000612e627101284a002f6859473ff8000000000000747102747103285803000000612e63710428' +
    '4741d65a0bc06000004b02747105747106285801000000647107284affffffff5804000000332e323571087471097471' +
    '0a652e',
  '80025d7100285803000000612e6271014a002f6859473ff80000000000008671028671035803000000612e6371044741' +
    'd65a0bc06000004b0286710586710658010000006471074affffffff5804000000332e3235710886710986710a652e',
  '80035d7100285803000000612e6271014a002f6859473ff80000000000008671028671035803000000612e6371044741' +
    'd65a0bc06000004b0286710586710643016471074affffffff5804000000332e3235710886710986710a652e',
  '80049546000000000000005d94288c03612e62944a002f6859473ff8000000000000869486948c03612e63944741d65a' +
    '0bc06000004b0286948694430164944affffffff8c04332e32359486948694652e',
  '80059546000000000000005d94288c03612e62944a002f6859473ff8000000000000869486948c03612e63944741d65a' +
    '0bc06000004b0286948694430164944affffffff8c04332e32359486948694652e',
]

function lines(hex: string): { text: string; refused: number } {
  const read = readPickle(Uint8Array.from(Buffer.from(hex, 'hex')))
  if (!read.ok) throw new Error(read.error)
  const out = new ByteWriter()
  const refused = appendPickledPoints(out, read.value)
  return { text: Buffer.from(out.written()).toString('latin1'), refused }
}

describe('readPickle()', () => {
  test.each(RECORDED.map((hex, protocol) => [protocol, hex] as const))(
    'reads protocol %d',
    (_, hex) => {
      expect(lines(hex)).toEqual({
        text: 'a.b 1.5 1500000000\na.c 2 1500000001.5\nd 3.25 -1\n',
        refused: 0,
      })
    },
  )

  const bad = (name: string, pickle: string, message: string): void =>
    test(`refuses ${name}`, () => {
      const read = readPickle(Buffer.from(pickle, 'latin1'))
      expect(read.ok ? 'read' : read.error).toContain(message)
    })

  bad('GLOBAL', "cos\nsystem\n(S'id'\ntR.", 'opcode "c" is not allowed')
  bad('STACK_GLOBAL', '\x80\x04\x8c\x02os\x8c\x06system\x93.', 'is not allowed')
  bad('a stack that is empty', '.', 'the stack is empty')
  bad('what is cut short', '\x80\x02]q\x00(X\x20', 'cannot read pickle')
  bad('an unknown memo', 'g7\n.', 'nothing under memo 7')

  test('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        readPickle(bytes)
      }),
    )
  })

  test('points that are none are counted', () => {
    const read = readPickle(Buffer.from('(lp0\n(I1\nI2\ntp1\na.', 'latin1'))
    if (!read.ok) throw new Error(read.error)
    expect(appendPickledPoints(new ByteWriter(), read.value)).toBe(1)
  })
})
