/** Whole numbers by their probability: every number comes back, in few bits where they are frequent. */
import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import { NumberDecoder } from '../../../src/store/columns/number-decoder.ts'
import { NumberEncoder } from '../../../src/store/columns/number-encoder.ts'
import {
  lowBitsOf,
  lowestOf,
  MANTISSA_MAX,
  numbersBytesMax,
  shareStates,
  STATES,
  symbolOf,
  SYMBOLS_MAX,
} from '../../../src/store/columns/number-format.ts'

const encoder = new NumberEncoder()
const decoder = new NumberDecoder()

function encode(numbers: readonly number[], isSigned: boolean): Uint8Array {
  const bytes = new Uint8Array(numbersBytesMax(numbers.length))
  encoder.measure(Float64Array.from(numbers), numbers.length, isSigned)
  return bytes.slice(0, encoder.write(bytes, 0))
}

function same(numbers: readonly number[], isSigned: boolean): void {
  const bytes = encode(numbers, isSigned)
  const back = new Float64Array(numbers.length)
  expect(decoder.decode(bytes, 0, back, numbers.length)).toBe(bytes.length)
  expect([...back]).toEqual([...numbers])
}

/** Of any length in bits, as often short as long. */
const magnitude = fc
  .tuple(fc.integer({ min: 0, max: 51 }), fc.double({ min: 0, max: 1, noNaN: true }))
  .map(([bits, part]) => Math.floor(part * 2 ** bits))
const signed = fc.tuple(magnitude, fc.boolean()).map(([n, isLess]) => (isLess && n > 0 ? -n : n))

describe('numbers', () => {
  test('come back, whatever their length', () => {
    fc.assert(fc.property(fc.array(magnitude, { maxLength: 2_000 }), (n) => same(n, false)))
    fc.assert(fc.property(fc.array(signed, { maxLength: 2_000 }), (n) => same(n, true)))
  })

  test('one frequent number costs next to nothing, noise its own length', () => {
    const rare = Array.from({ length: 3_600 }, (_, i) => (i % 600 === 0 ? 1_000_000 + i : 0))
    expect(encode(rare, false).length).toBeLessThan(90)
    let seed = 1
    const noise = Array.from(rare, () => (seed = Math.imul(seed, 48_271) >>> 0) & 1_023)
    expect(encode(noise, false).length).toBeLessThan(3_600 * 1.27)
  })

  test('measure() says what write() takes', () => {
    fc.assert(
      fc.property(fc.array(signed, { minLength: 300, maxLength: 3_000 }), (numbers) => {
        const bytes = encoder.measure(Float64Array.from(numbers), numbers.length, true)
        expect(encode(numbers, true).length).toBeLessThan(bytes * 1.1 + 24)
      }),
      { numRuns: 30 },
    )
  })

  test('bytes cut short or turned over are refused or decoded, never read past', () => {
    const numbers = Array.from({ length: 200 }, (_, i) => (i * i * 31) % 1_000)
    const bytes = encode(numbers, false)
    const back = new Float64Array(numbers.length)
    for (let length = 0; length < bytes.length; length++)
      expect(() => decoder.decode(bytes.slice(0, length), 0, back, 200)).toThrow(RangeError)
    for (let at = 0; at < bytes.length; at++) {
      const damaged = bytes.slice()
      damaged[at] = damaged[at]! ^ 0x55
      try {
        expect(decoder.decode(damaged, 0, back, 200)).toBeLessThanOrEqual(damaged.length)
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError)
      }
    }
  })
})

describe('symbols', () => {
  test('cover all magnitudes without a gap', () => {
    for (let mantissa = 0; mantissa <= MANTISSA_MAX; mantissa++) {
      const last = symbolOf(2 ** 53 - 1, mantissa)
      expect(last).toBeLessThan(SYMBOLS_MAX)
      for (let symbol = 0; symbol <= last; symbol++) {
        const lowest = lowestOf(symbol, mantissa)
        expect(symbolOf(lowest, mantissa)).toBe(symbol)
        expect(lowestOf(symbol + 1, mantissa)).toBe(lowest + 2 ** lowBitsOf(symbol, mantissa))
      }
    }
  })
})

describe('shareStates()', () => {
  test('gives all states away, and some to every weight', () => {
    const weights = fc.uint8Array({ min: 0, max: 15, minLength: 1, maxLength: SYMBOLS_MAX })
    fc.assert(
      fc.property(weights, (all) => {
        const shares = new Uint16Array(all.length)
        if (!shareStates(all, all.length, shares))
          return expect(all.every((w) => w === 0)).toBe(true)
        expect(shares.reduce((sum, share) => sum + share, 0)).toBe(STATES)
        for (const [k, weight] of all.entries()) expect(shares[k]! > 0).toBe(weight > 0)
      }),
    )
  })
})
