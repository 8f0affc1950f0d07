/** pickle, msgpack and protobuf of /render, /metrics/find and /info, read by decoders that are not ours. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { decode, decodersAreMissing } from '../peers/decoders.ts'
import { TestApi } from './api-server.ts'

setDefaultTimeout(30_000)

const NOW = 1_700_000_000
const LONG = `long.${'n'.repeat(400)}`
const MANY = Array.from({ length: 70_000 }, (_, i) => (i % 7 === 0 ? NaN : i / 8))
const SERIES: Readonly<Record<string, { step: number; values: number[] }>> = {
  'a.gaps': { step: 1, values: [1, NaN, 2.5, -0.001, 1e300] },
  'a.nothing': { step: 1, values: [NaN, NaN, NaN, NaN, NaN] },
  'a.zero': { step: 1, values: [0, 0, 0, 0, 0] },
  'a.coarse': { step: 5, values: [7] },
  'a.größe': { step: 1, values: [-1, 2 ** 31, 2 ** 53, 0.1, 1] },
  'disk;dc=eu;host=a': { step: 1, values: [1, 2, 3, 4, 5] },
  [LONG]: { step: 1, values: MANY },
}

const TARGETS = [
  'a.*',
  'seriesByTag("dc=eu")',
  'consolidateBy(setXFilesFactor(a.gaps,0.5),"max")',
  'sumSeries(a.gaps,a.zero)',
  'no.such',
]

const missing = decodersAreMissing()
if (missing !== undefined) console.log(`skipped: packed formats: ${missing}`)

describe.skipIf(missing !== undefined)('packed formats', () => {
  let api: TestApi

  beforeAll(async () => {
    api = await TestApi.start()
    for (const [path, { step, values }] of Object.entries(SERIES)) {
      const start = NOW - step * (values.length - 1)
      api.store.set(path, { start, step, values, method: 'max', xFilesFactor: 0.25 })
    }
  })
  afterAll(() => api.close())

  async function bytesOf(path: string, contentType: string): Promise<Uint8Array> {
    const response = await api.ask(path)
    expect([response.status, response.headers.get('content-type')]).toEqual([200, contentType])
    return response.bytes()
  }

  function renderPath(format: string, seconds: number, targets: readonly string[]): string {
    const query = targets.map((target) => `target=${encodeURIComponent(target)}`).join('&')
    return `/render?${query}&format=${format}&from=${NOW - seconds}&until=${NOW}&now=${NOW}`
  }

  /** What JSON says of the same question. */
  async function expected(seconds: number, targets: readonly string[]): Promise<Decoded[]> {
    const series = (await api.json(renderPath('json', seconds, targets))) as {
      target: string
      datapoints: [number | null, number][]
    }[]
    return series.map(({ target, datapoints }) => ({
      name: target,
      start: datapoints[0]![1],
      values: datapoints.map(([value]) => value),
    }))
  }

  interface Decoded {
    readonly name: string
    readonly start: number
    readonly values: (number | null)[]
  }

  const CASES: [number, string[]][] = [
    [5, TARGETS],
    [70_000, [LONG]],
    [5, ['no.such']],
  ]

  test.each(['pickle', 'msgpack'])('/render as %s', async (format) => {
    const contentType = format === 'pickle' ? 'application/pickle' : 'application/x-msgpack'
    for (const [seconds, targets] of CASES) {
      const bytes = await bytesOf(renderPath(format, seconds, targets), contentType)
      const list = decode([format], bytes) as (Decoded & Record<string, unknown>)[]
      const shown = list.map(({ name, start, values }) => ({ name, start, values }))
      expect(shown).toEqual(await expected(seconds, targets))
    }
    const bytes = await bytesOf(renderPath(format, 5, TARGETS), contentType)
    const maximum = (decode([format], bytes) as Record<string, unknown>[]).at(-2)
    expect(maximum).toEqual({
      name: 'consolidateBy(a.gaps,"max")',
      pathExpression: 'consolidateBy(a.gaps,"max")',
      start: NOW - 4,
      end: NOW + 1,
      step: 1,
      values: [1, null, 2.5, -0.001, 1e300],
      valuesPerPoint: 1,
      consolidationFunc: 'max',
      xFilesFactor: 0.5,
    })
  })

  test.each(['protobuf', 'protobuf3', 'carbonapi_v2_pb'])('/render as %s', async (format) => {
    for (const [seconds, targets] of CASES) {
      const path = renderPath(format, seconds, targets)
      const bytes = await bytesOf(path, 'application/x-protobuf')
      const { metrics } = decode(['carbonapi_v2_pb', 'MultiFetchResponse'], bytes) as {
        metrics: { name: string; startTime: number; values: number[]; isAbsent: boolean[] }[]
      }
      const shown = metrics.map(({ name, startTime, values, isAbsent }) => ({
        name,
        start: startTime,
        values: values.map((value, i) => (isAbsent[i] === true ? null : value)),
      }))
      expect(shown).toEqual(await expected(seconds, targets))
    }
  })

  test('/render as carbonapi_v3_pb', async () => {
    for (const [seconds, targets] of CASES) {
      const path = renderPath('carbonapi_v3_pb', seconds, targets)
      const bytes = await bytesOf(path, 'application/x-carbonapi-v3-pb')
      const { metrics } = decode(['carbonapi_v3_pb', 'MultiFetchResponse'], bytes) as {
        metrics: Record<string, unknown>[]
      }
      const shown = metrics.map((one) => ({
        name: one['name'],
        // 64-bit numbers are texts in protobuf's JSON.
        start: Number(one['startTime']),
        values: (one['values'] as (number | 'NaN')[]).map((value) =>
          value === 'NaN' ? null : value,
        ),
      }))
      expect(shown as unknown).toEqual(await expected(seconds, targets))
      if (targets !== TARGETS) continue
      expect(metrics.at(-2)).toMatchObject({
        pathExpression: 'consolidateBy(a.gaps,"max")',
        consolidationFunc: 'max',
        stopTime: String(NOW + 1),
        stepTime: '1',
        xFilesFactor: 0.5,
        requestStartTime: String(NOW - 5),
        requestStopTime: String(NOW),
      })
    }
  })

  test('/metrics/find as pickle and msgpack', async () => {
    const intervals = [[expect.any(Number), NOW]]
    const leaf = (path: string): object => ({ path, is_leaf: true, intervals })
    for (const format of ['pickle', 'msgpack']) {
      const contentType = format === 'pickle' ? 'application/pickle' : 'application/x-msgpack'
      const find = async (query: string): Promise<unknown> =>
        decode(
          [format],
          await bytesOf(`/metrics/find?query=${query}&format=${format}`, contentType),
        )
      expect(await find('a.*')).toEqual(
        ['a.coarse', 'a.gaps', 'a.größe', 'a.nothing', 'a.zero'].map(leaf),
      )
      expect(await find('a')).toEqual([{ path: 'a', is_leaf: false }])
      expect(await find('no.*')).toEqual([])
    }
  })

  test('/metrics/find as protobuf', async () => {
    const matches = [{ path: 'a.zero', isLeaf: true }]
    const branch = [{ path: 'a', isLeaf: false }]
    const find = (query: string, format: string, contentType: string): Promise<Uint8Array> =>
      bytesOf(`/metrics/find?query=${query}&format=${format}`, contentType)
    for (const [query, found] of [
      ['a.z*', matches],
      ['a', branch],
      ['no', []],
    ] as const) {
      const v2 = await find(query, 'protobuf', 'application/x-protobuf')
      const one = { name: query, matches: found }
      expect(decode(['carbonapi_v2_pb', 'GlobResponse'], v2)).toEqual(one)
      const v3 = await find(query, 'carbonapi_v3_pb', 'application/x-carbonapi-v3-pb')
      expect(decode(['carbonapi_v3_pb', 'MultiGlobResponse'], v3)).toEqual({ metrics: [one] })
    }
  })

  test('/info as protobuf', async () => {
    const targets = 'target=a.gaps&target=a.coarse'
    const v2 = await bytesOf(`/info?${targets}&format=carbonapi_v2_pb`, 'application/x-protobuf')
    expect(decode(['carbonapi_v2_pb', 'InfoResponse'], v2)).toEqual({
      name: 'a.gaps',
      aggregationMethod: 'Max',
      maxRetention: 3_600,
      xFilesFactor: 0.25,
      retentions: [{ secondsPerPoint: 1, numberOfPoints: 3_600 }],
    })
    const path = `/info?${targets}&format=carbonapi_v3_pb`
    const v3 = await bytesOf(path, 'application/x-carbonapi-v3-pb')
    expect(decode(['carbonapi_v3_pb', 'MultiMetricsInfoResponse'], v3)).toMatchObject({
      metrics: [
        { name: 'a.gaps', consolidationFunc: 'Max', maxRetention: '3600' },
        { name: 'a.coarse', retentions: [{ secondsPerPoint: '5', numberOfPoints: '3600' }] },
      ],
    })
    expect((await api.ask(`/info?${targets}&format=xml`)).status).toBe(400)
  })
})
