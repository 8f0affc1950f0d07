/** Where an extent lies in its file was kept in 32 bits: beyond 4 GiB it was read from somewhere else, and lost. */
import { expect, test } from 'bun:test'
import { ByteReader } from '../../src/lib/bytes.ts'
import { CorruptionError } from '../../src/lib/corruption.ts'
import {
  BLOCK_HEADER_BYTES,
  BLOCK_TRAILER_BYTES,
  decodeBlockIndex,
  encodeBlockEnd,
} from '../../src/store/files/block-format.ts'
import { ExtentIndex, type ExtentHeader } from '../../src/store/files/extent-format.ts'

const EXTENTS = 50

function header(k: number): ExtentHeader {
  const size = { bytes: 200 * 1024 * 1024 + k, slots: 3_600, series: 1 }
  return { ...size, firstSlot: 0, firstId: k, lastId: k, checksum: 0, packing: 1, idBytes: 0 }
}

const index = new ExtentIndex()
let end = BLOCK_HEADER_BYTES
for (let k = 0; k < EXTENTS; k++) {
  index.push(end, header(k))
  end += header(k).bytes
}
const bytes = encodeBlockEnd(index, 1).subarray(0, -BLOCK_TRAILER_BYTES)
const checksum = new ByteReader(encodeBlockEnd(index, 1), bytes.length + 4).u32()

test('an index tells where extents are beyond 4 GiB', () => {
  expect(index.offsets[EXTENTS - 1]).toBeGreaterThan(2 ** 33)
  const found = decodeBlockIndex(bytes, checksum, 'test', end)
  expect(found.offsets).toEqual(index.offsets.slice(0, EXTENTS))
})

test('an index whose extents do not end where it starts is damaged', () => {
  expect(() => decodeBlockIndex(bytes, checksum, 'test', end + 1)).toThrow(CorruptionError)
})
