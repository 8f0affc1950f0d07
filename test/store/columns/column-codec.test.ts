/** Columns: every series of bits comes back, whatever codec was chosen for it. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { Codec, columnBytesMax } from '../../../src/store/columns/column-codec.ts'
import { ColumnDecoder } from '../../../src/store/columns/column-decoder.ts'
import { ColumnEncoder } from '../../../src/store/columns/column-encoder.ts'

const encoder = new ColumnEncoder()
const decoder = new ColumnDecoder()

function encode(values: readonly number[], averagedOf = 1): Uint8Array {
  const bytes = new Uint8Array(columnBytesMax(values.length))
  const end = encoder.encode(Float64Array.from(values), 0, values.length, bytes, 0, averagedOf)
  return bytes.slice(0, end)
}

function decode(bytes: Uint8Array, slots: number): number[] {
  const values = new Float64Array(slots)
  decoder.open(bytes, new Uint32Array(1), 1, slots)
  decoder.decode(0, values, 0)
  return [...values]
}

function same(values: readonly number[], averagedOf = 1): void {
  const back = decode(encode(values, averagedOf), values.length)
  for (let i = 0; i < values.length; i++) {
    if (!Object.is(back[i], values[i])) throw new Error(`slot ${i}: ${values[i]} became ${back[i]}`)
  }
}

const codecOf = (values: readonly number[], averagedOf = 1): number =>
  encode(values, averagedOf)[0]! & 15

const decimal = fc
  .tuple(fc.integer({ min: -1e9, max: 1e9 }), fc.integer({ min: 0, max: 9 }))
  .map(([n, e]) => n / 10 ** e)
const anyValue = fc.oneof(
  { weight: 4, arbitrary: decimal },
  { weight: 2, arbitrary: fc.double() },
  fc.constantFrom(NaN, 0, -0, Infinity, -Infinity, 5e-324, 2 ** 53, -(2 ** 53), 2 ** 63, 1e308),
)

describe('columns', () => {
  test('give back any values, bit for bit', () => {
    fc.assert(fc.property(fc.array(anyValue, { minLength: 1, maxLength: 300 }), (v) => same(v)))
  })

  test('give back slow walks with holes', () => {
    const walk = fc.array(fc.tuple(fc.integer({ min: -300, max: 300 }), fc.boolean()), {
      minLength: 1,
      maxLength: 400,
    })
    fc.assert(
      fc.property(walk, fc.integer({ min: 0, max: 4 }), (steps, e) => {
        let n = 1000
        same(steps.map(([change, known]) => (known ? (n += change) / 10 ** e : NaN)))
      }),
    )
  })

  test('give back averages of decimals', () => {
    const groups = fc.array(fc.array(decimal, { minLength: 6, maxLength: 6 }), { minLength: 1 })
    fc.assert(
      fc.property(groups, (all) =>
        same(
          all.map((v) => v.reduce((a, b) => a + b, 0) / 6),
          6,
        ),
      ),
    )
  })

  test.each([
    ['constant', Array.from({ length: 60 }, () => 0.1 + 0.2), Codec.constant],
    ['delta', [1.5, 2.5, 1.25, 7, 3, 3], Codec.delta],
    ['delta2', Array.from({ length: 60 }, (_, i) => 1e6 + i * 1000), Codec.delta2],
    ['xor', [Math.PI, Math.E, Math.SQRT2], Codec.xor],
    ['xor for a negative zero', [0, -0, 1], Codec.xor],
    ['xor for an infinity', [1, Infinity], Codec.xor],
  ])('%s is chosen where it fits', (_, values, codec) => {
    expect(codecOf(values)).toBe(codec)
    same(values)
  })

  test('scaled is chosen for averages that are no decimals', () => {
    const averages = Array.from({ length: 60 }, (_, i) => (i * 7 + 1) / 10 / 6)
    expect(codecOf(averages, 6)).toBe(Codec.scaled)
    expect(encode(averages, 6).length).toBeLessThan(encode(averages).length / 2)
  })

  test('an empty column is one byte', () => {
    expect(encode([NaN, NaN, NaN]).length).toBe(1)
    expect(decode(encode([NaN, NaN]), 2)).toEqual([NaN, NaN])
  })

  test('bytes cut short are refused or decoded, never read past', () => {
    const bytes = encode([Math.PI, 1, 2, 3, 4])
    for (let length = 0; length < bytes.length; length++)
      expect(() => decode(bytes.slice(0, length), 5)).toThrow(RangeError)
  })
})
