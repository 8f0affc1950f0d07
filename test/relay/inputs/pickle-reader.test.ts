/** Pickles that Python really makes (recorded for protocols 0 to 5), and ones that must be refused. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import { PickleReader } from '../../../src/relay/inputs/pickle-reader.ts'
import { type Point, pickledPoints, pickledText } from './pickled-points.ts'

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

const reader = new PickleReader()

function lines(pickle: Uint8Array): { text: string; refused: number } {
  const opened = reader.open(pickle)
  if (!opened.ok) throw new Error(opened.error)
  const out = new ByteWriter()
  let text = ''
  let more = true
  while (more) {
    out.reset()
    more = reader.appendLines(out)
    text += Buffer.from(out.written()).toString('latin1')
  }
  return { text, refused: reader.refused }
}

const latin1 = (text: string): Uint8Array => Buffer.from(text, 'latin1')

describe('PickleReader', () => {
  test.each(RECORDED.map((hex, protocol) => [protocol, hex] as const))(
    'reads protocol %d',
    (_, hex) => {
      expect(lines(Buffer.from(hex, 'hex'))).toEqual({
        text: 'a.b 1.5 1500000000\na.c 2 1500000001.5\nd 3.25 -1\n',
        refused: 0,
      })
    },
  )

  const bad = (name: string, pickle: string, message: string): void =>
    test(`refuses ${name}`, () => {
      const opened = reader.open(latin1(pickle))
      expect(opened.ok ? 'read' : opened.error).toContain(message)
    })

  bad('GLOBAL', "cos\nsystem\n(S'id'\ntR.", 'opcode "c" is not allowed')
  bad('STACK_GLOBAL', '\x80\x04\x8c\x02os\x8c\x06system\x93.', 'opcode 0x93 is not allowed')
  bad('a stack that is empty', '.', 'the stack is empty')
  bad('what is cut short', '\x80\x02]q\x00(X\x20', 'cannot read pickle')
  bad('an unknown memo', 'g7\n.', 'nothing under memo 7')

  test('never throws, whatever comes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        if (reader.open(bytes).ok) reader.appendLines(new ByteWriter())
      }),
    )
  })

  test('booleans are numbers in every protocol, as to carbon', () => {
    expect(lines(latin1("(l(S't'\n(I1\nI01\ntta.")).text).toBe('t 1 1\n')
    const newer = '\x80\x02](U\x01tK\x05\x88\x86\x86U\x01fK\x05\x89\x86\x86e.'
    expect(lines(latin1(newer)).text).toBe('t 1 5\nf 0 5\n')
  })

  test('points that are none are counted', () => {
    expect(lines(latin1('(lp0\n(I1\nI2\ntp1\na.')).refused).toBe(1)
  })

  test('reads again after a pickle that it could not read', () => {
    expect(reader.open(latin1('(lp0\n(S')).ok).toBe(false)
    expect(() => lines(latin1('g0\n.'))).toThrow('nothing under memo 0')
    expect(lines(Buffer.from(RECORDED[2]!, 'hex')).text).toContain('a.b 1.5 1500000000\n')
  })

  test('takes numbers and texts as Python writes them', () => {
    const pickle = "(l(S'it\\'s'\n(L1500000000L\nF1e-07\ntta(S'b'\n(I-1\nFinf\ntta."
    expect(lines(latin1(pickle)).text).toBe("it's 1e-7 1500000000\nb Infinity -1\n")
  })

  test('a text that the memo repeats does not swell beyond measure', () => {
    const long = 'x'.repeat(2_000)
    const again = '(h\x00(K\x01K\x02tt'
    const { text, refused } = lines(
      latin1(`](T\xd0\x07\x00\x00${long}q\x00${again.repeat(1000)}e.`),
    )
    expect({ text, refused }).toEqual({ text: '', refused: 1_001 })
  })

  const points = fc.array(
    fc.record({
      name: fc.stringMatching(/^[a-z.]{1,200}$/),
      timestamp: fc.integer({ min: 1, max: 2 ** 31 - 1 }),
      value: fc.double({ noNaN: true }),
    }),
    { maxLength: 500 },
  )
  const asLines = (list: readonly Point[]): string =>
    list.map(({ name, timestamp, value }) => `${name} ${value} ${timestamp}\n`).join('')
  const kinds = { pickledPoints, pickledText }
  test.each(Object.entries(kinds))('reads whatever %s() makes', (_, pickle) => {
    fc.assert(
      fc.property(points, (list) => {
        expect(lines(pickle(list))).toEqual({ text: asLines(list), refused: 0 })
      }),
    )
  })
})
