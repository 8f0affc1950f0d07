import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { tmpdir } from 'node:os'
import { systemClock } from '../../../src/lib/clock.ts'
import { realDisk } from '../../../src/lib/disk.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { type Carbonserver, serveCarbon } from '../../../src/store/servers/carbonserver.ts'
import { ProtoWriter, protoFields, protoText } from '../../../src/lib/protobuf.ts'
import { edgeOf, resolve } from '../edge-setup.ts'

setDefaultTimeout(60_000)

const PYTHON = '/usr/bin/python3'
const hasPython = await Bun.file(PYTHON).exists()
const NOW = Math.floor(Date.now() / 1000)

describe('carbonserver', () => {
  let server: Carbonserver
  let base: string
  const edge = edgeOf()

  beforeAll(() => {
    const ids = ['web.a.cpu', 'web.b.cpu', 'db.cpu'].map((name) => resolve(edge.registry, name))
    const append = (id: number, timestamp: number, value: number): void => {
      const at = Uint32Array.of(timestamp)
      edge.engine.append(undefined, Uint32Array.of(id), at, Float64Array.of(value), 1)
    }
    append(ids[0]!, NOW, 1.5)
    append(ids[0]!, NOW - 2, Infinity)
    append(ids[1]!, NOW - 1, 2)
    const parts = { ...edge, clock: systemClock, disk: realDisk, log: silentLog }
    server = serveCarbon({ ...parts, bind: '127.0.0.1', port: 0, dataDir: tmpdir() })
    base = `http://127.0.0.1:${server.port}`
  })

  afterAll(() => server.stop())

  const RANGE = `from=${NOW - 3}&until=${NOW}`

  test('render as json', async () => {
    const response = await fetch(`${base}/render/?target=web.*.cpu&format=json&${RANGE}`)
    expect(response.headers.get('content-type')).toBe('application/json')
    expect(await response.json()).toEqual({
      metrics: [
        {
          name: 'web.a.cpu',
          startTime: NOW - 2,
          stopTime: NOW + 1,
          stepTime: 1,
          values: ['Infinity', 0, 1.5],
          isAbsent: [false, true, false],
        },
        {
          name: 'web.b.cpu',
          startTime: NOW - 2,
          stopTime: NOW + 1,
          stepTime: 1,
          values: [0, 2, 0],
          isAbsent: [true, false, true],
        },
      ],
    })
  })

  test('answers of many names come in pieces, and are whole', async () => {
    const names = Array.from({ length: 4_500 }, (_, i) => `many.s${String(i).padStart(4, '0')}`)
    for (const name of names) resolve(edge.registry, name)
    const json = async <T>(path: string): Promise<T> =>
      (await (await fetch(`${base}${path}`)).json()) as T
    const found = await json<{ metrics: { name: string; matches: unknown[] }[] }>(
      '/metrics/find/?query=many.*&query=web&format=json',
    )
    expect(found.metrics[0]!.matches).toEqual(names.map((path) => ({ path, isLeaf: true })))
    expect(found.metrics[1]).toEqual({ name: 'web', matches: [{ path: 'web' }] })
    const listed = await json<{ Metrics: string[] }>('/metrics/list/?format=json')
    expect(listed.Metrics).toEqual(['db.cpu', ...names, 'web.a.cpu', 'web.b.cpu'])
    const sizes = await json<{ metrics: object }>('/metrics/details/?format=json')
    expect(Object.keys(sizes.metrics)).toEqual(listed.Metrics)
    for (const format of ['carbonapi_v2_pb', 'carbonapi_v3_pb']) {
      const reply = await bytes(await fetch(`${base}/metrics/find/?query=many.*&format=${format}`))
      const message = format === 'carbonapi_v2_pb' ? reply : [...protoFields(reply)][0]!.bytes
      const matches = [...protoFields(message)].filter(({ field }) => field === 2)
      const paths = matches.map((match) => protoText([...protoFields(match.bytes)][0]!))
      expect(paths).toEqual(names)
    }
    edge.registry.remove(names)
  })

  test('render as protobuf, version 2', async () => {
    const response = await fetch(`${base}/render?target=web.b.cpu&format=protobuf&${RANGE}`)
    expect(response.headers.get('content-type')).toBe('application/x-protobuf')
    const [metric] = [...protoFields(await bytes(response))]
    const fields = new Map([...protoFields(metric!.bytes)].map((field) => [field.field, field]))
    expect(protoText(fields.get(1)!)).toBe('web.b.cpu')
    expect([2, 3, 4].map((field) => fields.get(field)?.number)).toEqual([NOW - 2, NOW + 1, 1])
    expect([...new Float64Array(fields.get(5)!.bytes.slice().buffer)]).toEqual([0, 2, 0])
    expect([...fields.get(6)!.bytes]).toEqual([1, 0, 1])
  })

  test('render as protobuf, version 3, asked in it', async () => {
    const request = new ProtoWriter()
    request.message(1, (one) => {
      one.text(1, 'web.a.cpu')
      one.number(2, NOW - 3)
      one.number(3, NOW)
    })
    const response = await fetch(`${base}/render/`, {
      method: 'POST',
      headers: { accept: 'application/x-carbonapi-v3-pb' },
      body: request.done(),
    })
    expect(response.headers.get('content-type')).toBe('application/x-carbonapi-v3-pb')
    const [metric] = [...protoFields(await bytes(response))]
    const fields = new Map([...protoFields(metric!.bytes)].map((field) => [field.field, field]))
    expect([1, 2, 3].map((field) => protoText(fields.get(field)!))).toEqual([
      'web.a.cpu',
      'web.a.cpu',
      'average',
    ])
    expect([...new Float64Array(fields.get(9)!.bytes.slice().buffer)]).toEqual([Infinity, NaN, 1.5])
    expect([11, 12].map((field) => fields.get(field)?.number)).toEqual([NOW - 3, NOW])
  })

  test.if(hasPython)('python unpickles render and find', async () => {
    const render = await fetch(`${base}/render/?target=web.a.cpu&format=pickle&${RANGE}`)
    expect(unpickle(await bytes(render))).toEqual([
      {
        name: 'web.a.cpu',
        pathExpression: 'web.a.cpu',
        start: NOW - 2,
        end: NOW + 1,
        step: 1,
        values: ['inf', null, 1.5],
        xFilesFactor: 0.5,
        consolidationFunc: 'average',
      },
    ])
    const find = await fetch(`${base}/metrics/find/?query=web.*&format=pickle`)
    expect(unpickle(await bytes(find))).toMatchObject([
      { metric_path: 'web.a', isLeaf: false },
      { metric_path: 'web.b', isLeaf: false },
    ])
  })

  test('find, list, info, details, capabilities', async () => {
    const get = async (path: string): Promise<unknown> => (await fetch(base + path)).json()
    expect(await get('/metrics/find/?query=*&query=web.a.*')).toEqual({
      metrics: [
        { name: '*', matches: [{ path: 'db' }, { path: 'web' }] },
        { name: 'web.a.*', matches: [{ path: 'web.a.cpu', isLeaf: true }] },
      ],
    })
    expect(await get('/metrics/list/')).toEqual({ Metrics: ['db.cpu', 'web.a.cpu', 'web.b.cpu'] })
    expect(await get('/info/?target=db.cpu')).toEqual({
      metrics: [
        {
          name: 'db.cpu',
          consolidationFunc: 'Average',
          maxRetention: 2_592_000,
          xFilesFactor: 0.5,
          retentions: [
            { secondsPerPoint: 1, numberOfPoints: 86_400 },
            { secondsPerPoint: 60, numberOfPoints: 43_200 },
          ],
        },
      ],
    })
    expect(await get('/metrics/details/')).toMatchObject({
      metrics: { 'web.a.cpu': { Size: 16 + 24 + 12 * 129_600, ModTime: NOW } },
    })
    expect(await get('/_internal/capabilities/')).toMatchObject({ likeSplittedRequests: true })
    const find = await fetch(`${base}/metrics/find/?query=web.*.cpu&format=protobuf`)
    const fields = [...protoFields(await bytes(find))]
    expect(protoText(fields[0]!)).toBe('web.*.cpu')
    expect(fields.length).toBe(3)
  })

  test.each([
    ['/render/?target=nothing&from=1&until=2', 404],
    ['/render/?target=web.a.cpu&from=x&until=2', 400],
    ['/render/?target=web.a.cpu&from=2&until=1', 400],
    ['/render/?from=1&until=2', 400],
    ['/metrics/find/', 400],
    ['/metrics/find/?query=x&format=toml', 400],
    ['/info/?target=nothing', 404],
    ['/nothing', 404],
    ['/forcescan', 202],
  ])('%s → %d', async (path, status) => {
    expect((await fetch(base + path)).status).toBe(status)
  })
})

async function bytes(response: Response): Promise<Uint8Array> {
  return new Uint8Array(await response.arrayBuffer())
}

function unpickle(pickle: Uint8Array): unknown {
  const script = `
import sys, pickle, json
def plain(x):
    if isinstance(x, list): return [plain(v) for v in x]
    if isinstance(x, dict): return {k: plain(v) for k, v in x.items()}
    return 'inf' if x == float('inf') else x
print(json.dumps(plain(pickle.load(sys.stdin.buffer))))`
  const { stdout, stderr } = Bun.spawnSync([PYTHON, '-c', script], { stdin: pickle })
  if (stderr.length > 0) throw new Error(stderr.toString())
  return JSON.parse(stdout.toString())
}
