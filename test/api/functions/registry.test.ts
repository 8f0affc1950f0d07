import { describe, expect, setDefaultTimeout, test } from 'bun:test'
import * as fc from 'fast-check'
import { describeFunctions, FUNCTIONS } from '../../../src/api/functions/registry.ts'
import { RenderError } from '../../../src/api/render-series.ts'
import { render } from '../render-fixture.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const SERIES = {
  'a.x': [1, 2, null, 4, 5, 6, 7, 8, 9, 10],
  'a.y': [10, 20, 30, null, 50, 60, 70, 80, 90, 100],
  'a.none': [],
}

describe('the registry', () => {
  test("has graphite-web's 154 names and carbonapi's 59", () => {
    const origins = [...FUNCTIONS.values()].map(({ origin }) => origin ?? 'graphite-web')
    expect(origins.filter((origin) => origin === 'graphite-web').length).toBe(154)
    expect(origins.filter((origin) => origin === 'carbonapi').length).toBe(59)
  })

  test('says of every function what Grafana needs to know', () => {
    for (const [name, info] of describeFunctions()) {
      expect(info.name).toBe(name)
      expect(info.function).toMatch(/^\w+\(.*\)$/)
      expect(info.description).toMatch(/\w.*\.$/s)
      for (const param of info.params) expect(param.name).toMatch(/^\w+$/)
    }
  })

  test("shows signatures and defaults as graphite-web's /functions does", () => {
    const info = describeFunctions()
    expect(info.get('keepLastValue')!.function).toBe('keepLastValue(seriesList, limit=INF)')
    expect(info.get('keepLastValue')!.params[1]).toEqual({
      name: 'limit',
      type: 'intOrInf',
      default: Infinity,
    })
    expect(info.get('sum')!.function).toBe('sum(*seriesLists)')
    expect(info.get('aggregateLine')!.function).toBe(
      "aggregateLine(seriesList, func='average', keepStep=False)",
    )
    expect(info.get('aggregateLine')!.params[2]).toEqual({
      name: 'keepStep',
      type: 'boolean',
      default: false,
    })
  })
})

describe('any call', () => {
  const argument = fc.oneof(
    fc.constantFrom(
      'a.x',
      'a.*',
      'nothing',
      'sumSeries(a.*)',
      'a.none',
      'constantLine(3)',
      'group()',
    ),
    fc.constantFrom(
      '"sum"',
      '"1min"',
      '"a"',
      '"(a"',
      '"1d"',
      '"-1h"',
      '""',
      '"avg"',
      '"max"',
      '"<"',
      '"now"',
      '"both"',
      '"above"',
    ),
    fc.constantFrom('0', '1', '-1', '2.5', '3', '100', '1e9', '-1e300', 'inf', 'true', 'None'),
  )
  const call = fc.record({
    name: fc.constantFrom(...FUNCTIONS.keys()),
    args: fc.array(argument, { maxLength: 5 }),
  })

  test('answers series or a RenderError', async () => {
    await fc.assert(
      fc.asyncProperty(call, async ({ name, args }) => {
        await expectSeriesOrRefusal(`${name}(${args.join(',')})`)
      }),
      { numRuns: 2_000 },
    )
  })

  test('does so with a list of series first', async () => {
    await fc.assert(
      fc.asyncProperty(call, call, async (inner, outer) => {
        const list = `${inner.name}(${['a.*', ...inner.args].join(',')})`
        await expectSeriesOrRefusal(`${outer.name}(${[list, ...outer.args].join(',')})`)
      }),
      { numRuns: 2_000 },
    )
  })
})

async function expectSeriesOrRefusal(target: string): Promise<void> {
  try {
    for (const series of await render(target, SERIES)) {
      expect(series.step).toBeGreaterThan(0)
      expect(series.values).toBeInstanceOf(Float64Array)
      expect(typeof series.name).toBe('string')
    }
  } catch (error) {
    if (!(error instanceof RenderError))
      throw new Error(`${target} fails with ${String(error)}`, { cause: error })
  }
}
