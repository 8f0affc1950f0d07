/** With noNullPoints, a piece of JSON that ended in front of a turn without any value lost its last bracket. */
import { expect, test } from 'bun:test'
import { jsonFormat } from '../../src/api/formats/json.ts'
import type { RenderQuery } from '../../src/api/render-query.ts'
import { makeSeries } from '../../src/api/render-series.ts'

const query = {
  pretty: false,
  jsonp: undefined,
  noNullPoints: true,
  timestampZeros: 0,
} as RenderQuery

test('null points at the end of a long series leave JSON whole', () => {
  const values = new Float64Array(60_000).fill(NaN)
  values.fill(1_234.567, 0, 12_288)
  const series = makeSeries({ name: 'a', start: 1_800_000_000, step: 1, values, xFilesFactor: 0 })
  const pieces = Array.from(jsonFormat.encode([series, series], query), (piece) => piece.slice())
  expect(pieces.length).toBeGreaterThan(1)
  const answer = JSON.parse(Buffer.concat(pieces).toString()) as { datapoints: unknown[] }[]
  expect(answer.map(({ datapoints }) => datapoints.length)).toEqual([12_288, 12_288])
})
