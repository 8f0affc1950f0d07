/** JSON that was cut into pieces exactly behind a series' last point kept the comma behind that point. */
import { expect, setDefaultTimeout, test } from 'bun:test'
import { jsonFormat } from '../../src/api/formats/json.ts'
import type { RenderQuery } from '../../src/api/render-query.ts'
import type { RenderSeries } from '../../src/api/render-series.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const query = {
  pretty: false,
  jsonp: undefined,
  noNullPoints: false,
  timestampZeros: 0,
} as RenderQuery

test('every length of a series gives JSON, whatever lands on a piece’s end', async () => {
  for (let length = 4_000; length < 4_200; length++) {
    const series = [0, 1, 2, 3].map((n) => seriesOf(`s${n}`, length))
    const pieces: Uint8Array[] = []
    for (const piece of jsonFormat.encode(series, query)) pieces.push(piece.slice())
    const answer = JSON.parse(Buffer.concat(pieces).toString()) as { datapoints: unknown[] }[]
    expect(answer.map(({ datapoints }) => datapoints.length)).toEqual([
      length,
      length,
      length,
      length,
    ])
  }
})

function seriesOf(name: string, length: number): RenderSeries {
  const start = 1_800_000_000
  return {
    name,
    pathExpression: name,
    start,
    end: start + length,
    step: 1,
    values: new Float64Array(length).fill(123.456),
    valuesPerPoint: 1,
    consolidation: 'average',
    xFilesFactor: 0,
    tags: new Map([['name', name]]),
    options: {},
  }
}
