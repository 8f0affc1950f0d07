import { describe, expect, test } from 'bun:test'
import fc from 'fast-check'
import {
  ByteReader,
  ByteWriter,
  bytesEqual,
  crc32,
  fromUtf8,
  letGo,
  toUtf8,
} from '../../src/lib/bytes.ts'

describe('ByteWriter and ByteReader', () => {
  test('read back what was written, whatever the order and size', () => {
    const field = fc.oneof(
      fc.record({ kind: fc.constant('u8' as const), value: fc.integer({ min: 0, max: 255 }) }),
      fc.record({ kind: fc.constant('u16' as const), value: fc.integer({ min: 0, max: 65_535 }) }),
      fc.record({
        kind: fc.constant('u32' as const),
        value: fc.integer({ min: 0, max: 0xffff_ffff }),
      }),
      fc.record({ kind: fc.constant('u64' as const), value: fc.maxSafeNat() }),
      fc.record({ kind: fc.constant('varint' as const), value: fc.maxSafeNat() }),
      fc.record({ kind: fc.constant('f64' as const), value: fc.double() }),
      fc.record({ kind: fc.constant('f32' as const), value: fc.float() }),
    )
    fc.assert(
      fc.property(fc.array(field), (fields) => {
        const writer = new ByteWriter(1)
        for (const { kind, value } of fields) writer[kind](value)
        const reader = new ByteReader(writer.copy())
        for (const { kind, value } of fields) expect(reader[kind]()).toBe(value)
        expect(reader.remaining).toBe(0)
      }),
    )
  })

  test('text16() counts bytes, not characters', () => {
    const writer = new ByteWriter(4)
    writer.text16('größe')
    expect(writer.length).toBe(2 + 7)
    expect(new ByteReader(writer.written()).text16()).toBe('größe')
  })

  test('a read past the end is a RangeError', () => {
    const reader = new ByteReader(new Uint8Array(3))
    expect(() => reader.u32()).toThrow(RangeError)
    expect(() => reader.raw(4)).toThrow(RangeError)
    expect(() => new ByteReader(new Uint8Array(9).fill(0xff)).varint()).toThrow(RangeError)
  })

  test('resetTo() gives up what is too large, and goes on', () => {
    const writer = new ByteWriter(16)
    for (let i = 0; i < 100; i++) writer.u32(i)
    const large = writer.bytes
    writer.resetTo(large.length)
    expect(writer.bytes).toBe(large)
    writer.resetTo(64)
    expect(writer.bytes.length).toBe(64)
    for (let i = 0; i < 100; i++) writer.u32(i)
    const reader = new ByteReader(writer.written())
    for (let i = 0; i < 100; i++) expect(reader.u32()).toBe(i)
  })

  test('drop() takes away what is in front', () => {
    const writer = new ByteWriter(16)
    for (let i = 0; i < 100; i++) writer.u32(i)
    writer.drop(4 * 90)
    writer.u32(100)
    const reader = new ByteReader(writer.written())
    for (let i = 90; i <= 100; i++) expect(reader.u32()).toBe(i)
    expect(reader.remaining).toBe(0)
  })

  test('patchU32() fills a length in later', () => {
    const writer = new ByteWriter()
    const at = writer.skip(4)
    writer.raw(toUtf8('abc'))
    writer.patchU32(at, writer.length - 4)
    expect(new ByteReader(writer.written()).u32()).toBe(3)
  })
})

test('crc32() is the IEEE polynomial and can be continued', () => {
  expect(crc32(toUtf8('123456789'))).toBe(0xcbf43926)
  expect(crc32(toUtf8('6789'), crc32(toUtf8('12345')))).toBe(0xcbf43926)
})

test('bytesEqual() compares length and bytes', () => {
  expect(bytesEqual(toUtf8('a'), toUtf8('a'))).toBe(true)
  expect(bytesEqual(toUtf8('a'), toUtf8('ab'))).toBe(false)
  expect(bytesEqual(toUtf8('ab'), toUtf8('ac'))).toBe(false)
  expect(fromUtf8(toUtf8('ä'))).toBe('ä')
})

describe('letGo()', () => {
  test('gives up bytes that have memory of their own, and no others', () => {
    const own = new Uint8Array(65_536)
    const part = new Uint8Array(65_536).subarray(1)
    const few = new Uint8Array(100)
    for (const bytes of [own, part, few]) letGo(bytes)
    expect([own.length, part.length, few.length]).toEqual([0, 65_535, 100])
  })
})
