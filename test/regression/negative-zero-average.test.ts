/** A negative zero among averages came back without its sign: columns give every value back to the bit. */
import { expect, test } from 'bun:test'
import { columnBytesMax } from '../../src/store/columns/column-codec.ts'
import { ColumnDecoder } from '../../src/store/columns/column-decoder.ts'
import { ColumnEncoder } from '../../src/store/columns/column-encoder.ts'

test('a negative zero among averages keeps its sign', () => {
  const values = Float64Array.of(1 / 6, -0, 0, 5 / 6)
  const bytes = new Uint8Array(columnBytesMax(values.length))
  const end = new ColumnEncoder().encode(values, 0, values.length, bytes, 0, 6)
  const decoder = new ColumnDecoder()
  decoder.open(bytes.subarray(0, end), new Uint32Array(1), 1, values.length)
  const back = new Float64Array(values.length)
  decoder.decode(0, back, 0)
  expect([...back].map((value) => Object.is(value, -0))).toEqual([false, true, false, false])
})
