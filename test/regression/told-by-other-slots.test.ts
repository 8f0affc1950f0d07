/**
 * Columns that know different slots were taken for ones that know the same when a hash of 31 bits was: the later one
 * was told by the earlier one and came back in its slots.
 */
import { expect, test } from 'bun:test'
import { columnBytesMax } from '../../src/store/columns/column-codec.ts'
import { ColumnDecoder } from '../../src/store/columns/column-decoder.ts'
import { DenseEncoder } from '../../src/store/columns/dense-encoder.ts'
import { seededRandom } from '../bench/bench.ts'

const SLOTS = 64
/** Where values are missing: as many, and of the same hash. */
const HOLES = [
  [21, 26, 32, 34, 43, 46, 50, 57],
  [0, 3, 17, 22, 31, 34, 50, 60],
]

test('columns with as many gaps elsewhere come back in their own slots', () => {
  const random = seededRandom(3)
  const walk = Array.from({ length: SLOTS }, () => Math.floor(random() * 8_000))
  const columns = HOLES.map((holes) => {
    let next = 0
    return Float64Array.from({ length: SLOTS }, (_, slot) =>
      holes.includes(slot) ? NaN : walk[next++]!,
    )
  })
  const bytes = new Uint8Array(2 * columnBytesMax(SLOTS))
  const offsets = new Uint32Array(2)
  const encoder = new DenseEncoder()
  encoder.begin()
  let at = 0
  for (const [k, column] of columns.entries()) {
    offsets[k] = at
    at = encoder.encode(column, 0, SLOTS, bytes, at, { averagedOf: 1, collectedStep: 1 })
  }
  const decoder = new ColumnDecoder()
  decoder.open(bytes.subarray(0, at), offsets, 2, SLOTS)
  const back = new Float64Array(SLOTS)
  for (const k of [1, 0]) {
    decoder.decode(k, back, 0)
    expect([...back]).toEqual([...columns[k]!])
  }
})
