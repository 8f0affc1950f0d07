/**
 * Extents whose checksum was right and whose columns were not: what could not be decoded was no `CorruptionError`, so
 * neither a fetch nor a fold could leave it out, and some of it came back as values, of a neighbour even.
 */
import { expect, test } from 'bun:test'
import { ByteWriter, crc32 } from '../../src/lib/bytes.ts'
import { CorruptionError } from '../../src/lib/corruption.ts'
import { Codec, Presence } from '../../src/store/columns/column-codec.ts'
import { ExtentReader } from '../../src/store/files/extent-format.ts'

const FULL = Presence.full << 4

/** Two series of so many slots each, columns of these lengths. */
function extent(slots: number, lengths: readonly number[], columns: readonly number[]): Uint8Array {
  const dst = new ByteWriter()
  dst.skip(8)
  for (const word of [0, slots, 5, 6]) dst.u32(word)
  dst.u16(2)
  dst.u16(0)
  dst.u32(0)
  for (const length of lengths) dst.varint(length)
  dst.raw(Uint8Array.from(columns))
  dst.patchU32(0, dst.length - 8)
  dst.patchU32(4, crc32(dst.written().subarray(8)))
  return dst.copy()
}

function open(bytes: Uint8Array): ExtentReader {
  const reader = new ExtentReader()
  reader.open(bytes, 'test', 0)
  return reader
}

/** Delta, e = 0, n = 3. */
const three = [FULL | Codec.delta, 0, 6]

test('second differences of one slot are not put to the next series', () => {
  const reader = open(extent(1, [4, 3], [FULL | Codec.delta2, 0, 2, 4, ...three]))
  const values = new Float64Array(2)
  reader.decode(1, values, 1)
  expect(() => reader.decode(0, values, 0)).toThrow(CorruptionError)
  expect([...values]).toEqual([NaN, 3])
})

test('a position outside the dictionary is no missing value', () => {
  const dictionary = [FULL | Codec.dictionary, 1, 0, 0, 0, 0, 0, 0, 0xf0, 0x3f]
  const reader = open(extent(2, [12, 12], [...dictionary, 0, 0, ...dictionary, 0, 1]))
  const values = new Float64Array(2)
  reader.decode(0, values, 0)
  expect([...values]).toEqual([1, 1])
  expect(() => reader.decode(1, values, 0)).toThrow('value outside the dictionary')
})

test('planes of no bytes are no values', () => {
  const reader = open(extent(1, [4, 3], [FULL | Codec.offset, 0, 6, 0, ...three]))
  expect(() => reader.decode(0, new Float64Array(1), 0)).toThrow(CorruptionError)
})

test('lengths beyond 4 GiB do not come back to the first columns', () => {
  expect(() => open(extent(1, [2 ** 32, 3], three))).toThrow(CorruptionError)
})
