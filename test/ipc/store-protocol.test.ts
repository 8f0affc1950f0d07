import { describe, expect, test } from 'bun:test'
import { FRAME_HEADER_BYTES } from '../../src/ipc/frame-format.ts'
import { appendSeries, decodeSeries } from '../../src/ipc/store-protocol.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'

describe('decodeSeries', () => {
  test('owns its values, also when the payload is a Buffer that is used again', () => {
    const series = {
      selector: 3,
      name: 'a.b',
      start: 60,
      step: 10,
      values: Float64Array.of(1, NaN, 3),
      xFilesFactor: 0.5,
      method: 'max',
    } as const
    const out = new ByteWriter()
    appendSeries(out, 7, series)
    const payload = Buffer.from(out.written().subarray(FRAME_HEADER_BYTES))
    const decoded = decodeSeries(payload)
    payload.fill(0xff)
    const { values, ...head } = decoded
    expect({ ...head, values: [...values] }).toEqual({ ...series, values: [1, NaN, 3] })
  })
})
