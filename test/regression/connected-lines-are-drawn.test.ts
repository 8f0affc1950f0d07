/** `lineMode=connected` without a connectedLimit drew axes and legend, and no line and no area. */
import { expect, test } from 'bun:test'
import { drawChart } from '../../src/api/charts/chart.ts'
import { Rasterizer } from '../../src/api/charts/rasterizer.ts'
import { RequestParams } from '../../src/api/http/request-params.ts'
import { makeSeries } from '../../src/api/render-series.ts'
import { systemClock } from '../../src/lib/clock.ts'

const AREA_MODES = ['none', 'first', 'all', 'stacked']
const LINE_MODES = ['slope', 'staircase', 'connected']
/** Colours of the first two series, as the SVG has them. */
const COLORS = 'colorList=010203,040506'

async function draw(query: string): Promise<string> {
  const rasterizer = new Rasterizer(systemClock)
  const series = ['a', 'b'].map((name) => {
    const values = Float64Array.from({ length: 60 }, (_, i) => (i % 7 === 3 ? NaN : i))
    return makeSeries({ name, start: 1_699_999_200, step: 60, values, xFilesFactor: 0 })
  })
  const params = await RequestParams.read(
    new Request(`http://api/render?${query}&${COLORS}&hideLegend=true`),
  )
  const input = { series, slices: [], params, timeZone: 'UTC', format: 'svg', rasterizer } as const
  const { bytes } = await drawChart(input)
  rasterizer.close()
  return new TextDecoder().decode(bytes)
}

const modes = AREA_MODES.flatMap((areaMode) =>
  LINE_MODES.map((lineMode) => [areaMode, lineMode] as const),
)

test.each(modes)('areaMode=%s lineMode=%s draws both series', async (areaMode, lineMode) => {
  const svg = await draw(`areaMode=${areaMode}&lineMode=${lineMode}`)
  expect(svg).toContain('#010203')
  expect(svg).toContain('#040506')
})
