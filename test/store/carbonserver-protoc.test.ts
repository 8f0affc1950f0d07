/**
 * go-carbon's protobuf answers as Google's own decoder reads them, and questions that its encoder wrote: Debian's
 * protoc with the messages of test/peers/decoders/. Without protoc nothing is tested here.
 */
import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { tmpdir } from 'node:os'
import { systemClock } from '../../src/lib/clock.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { silentLog } from '../../src/lib/log.ts'
import { type Carbonserver, serveCarbon } from '../../src/store/servers/carbonserver.ts'
import { edgeOf, resolve } from './edge-setup.ts'

const PROTOS = `${import.meta.dir}/../peers/decoders`
const protoc = Bun.which('protoc')
if (!protoc) console.log('skipped: protobuf-compiler is not installed')
const NOW = Math.floor(Date.now() / 1000)

type Version = 'v2' | 'v3'

function runProtoc(version: Version, flag: string, stdin: Uint8Array): Uint8Array {
  const run = Bun.spawnSync(
    [protoc!, `--proto_path=${PROTOS}`, flag, `carbonapi_${version}_pb.proto`],
    { stdin },
  )
  expect(run.stderr.toString()).toBe('')
  return run.stdout
}

/** The message as protoc prints it, without indentation. */
function decode(version: Version, message: string, bytes: Uint8Array): string[] {
  const text = new TextDecoder().decode(
    runProtoc(version, `--decode=carbonapi_${version}_pb.${message}`, bytes),
  )
  return text.split('\n').map((line) => line.trim())
}

function encode(message: string, text: string): Uint8Array {
  return runProtoc('v3', `--encode=carbonapi_v3_pb.${message}`, new TextEncoder().encode(text))
}

describe.skipIf(!protoc)('protoc', () => {
  let server: Carbonserver

  beforeAll(() => {
    const edge = edgeOf()
    for (const [i, name] of ['web.a.cpu', 'web.b.cpu'].entries()) {
      const id = resolve(edge.registry, name)
      const times = Uint32Array.of(NOW - 2, NOW)
      edge.engine.append(undefined, Uint32Array.of(id, id), times, Float64Array.of(1.5, i - 7), 2)
    }
    const parts = { ...edge, clock: systemClock, disk: realDisk, log: silentLog }
    server = serveCarbon({ ...parts, bind: '127.0.0.1', port: 0, dataDir: tmpdir() })
  })

  afterAll(() => server.stop())

  async function ask(path: string, body?: Uint8Array): Promise<Uint8Array> {
    const response = await fetch(`http://127.0.0.1:${server.port}${path}`, {
      ...(body && { method: 'POST', body: body.slice() }),
    })
    expect(response.status).toBe(200)
    return new Uint8Array(await response.arrayBuffer())
  }

  const RANGE = `from=${NOW - 3}&until=${NOW}`

  test('reads a render of version 2', async () => {
    const bytes = await ask(`/render/?target=web.*.cpu&format=carbonapi_v2_pb&${RANGE}`)
    const lines = decode('v2', 'MultiFetchResponse', bytes)
    const times = [`startTime: ${NOW - 2}`, `stopTime: ${NOW + 1}`, 'stepTime: 1']
    const absent = ['isAbsent: false', 'isAbsent: true', 'isAbsent: false']
    const series = (name: string, last: number): string[] => [
      'metrics {',
      `name: "${name}"`,
      ...times,
      'values: 1.5',
      'values: 0',
      `values: ${last}`,
      ...absent,
      '}',
    ]
    expect(lines).toEqual([...series('web.a.cpu', -7), ...series('web.b.cpu', -6), ''])
  })

  test('writes a render of version 3 and reads the answer', async () => {
    const question = encode(
      'MultiFetchRequest',
      `metrics { name: "web.b.cpu" startTime: ${NOW - 3} stopTime: ${NOW} pathExpression: "web.b.cpu" }`,
    )
    const lines = decode(
      'v3',
      'MultiFetchResponse',
      await ask('/render/?format=carbonapi_v3_pb', question),
    )
    const wanted = ['name: "web.b.cpu"', 'pathExpression: "web.b.cpu"', `startTime: ${NOW - 2}`]
    wanted.push(`stopTime: ${NOW + 1}`, 'stepTime: 1', 'xFilesFactor: 0.5')
    for (const line of wanted) expect(lines).toContain(line)
    expect(lines.filter((line) => line.startsWith('values'))).toEqual([
      'values: 1.5',
      'values: nan',
      'values: -6',
    ])
  })

  test('reads finds of both versions', async () => {
    const two = decode(
      'v2',
      'GlobResponse',
      await ask('/metrics/find/?query=web.*&format=protobuf'),
    )
    expect(two).toEqual([
      'name: "web.*"',
      'matches {',
      'path: "web.a"',
      '}',
      'matches {',
      'path: "web.b"',
      '}',
      '',
    ])
    const question = encode('MultiGlobRequest', 'metrics: "web.*.cpu" metrics: "*"')
    const three = decode(
      'v3',
      'MultiGlobResponse',
      await ask('/metrics/find/?format=carbonapi_v3_pb', question),
    )
    expect(three.filter((line) => line.startsWith('path') || line.startsWith('isLeaf'))).toEqual([
      'path: "web.a.cpu"',
      'isLeaf: true',
      'path: "web.b.cpu"',
      'isLeaf: true',
      'path: "web"',
    ])
  })

  test('reads info, list, details and capabilities', async () => {
    const info = decode('v2', 'InfoResponse', await ask('/info/?target=web.a.cpu&format=protobuf'))
    expect(info).toContain('maxRetention: 2592000')
    expect(info.filter((line) => line.startsWith('numberOfPoints'))).toEqual([
      'numberOfPoints: 86400',
      'numberOfPoints: 43200',
    ])
    const question = encode('MultiMetricsInfoRequest', 'names: "web.a.cpu"')
    const infos = decode(
      'v3',
      'MultiMetricsInfoResponse',
      await ask('/info/?format=carbonapi_v3_pb', question),
    )
    expect(infos).toContain('consolidationFunc: "Average"')
    const list = decode('v2', 'ListMetricsResponse', await ask('/metrics/list/?format=protobuf'))
    expect(list).toEqual(['Metrics: "web.a.cpu"', 'Metrics: "web.b.cpu"', ''])
    const details = await ask('/metrics/details/?format=protobuf')
    expect(decode('v2', 'MetricDetailsResponse', details)).toContain(`ModTime: ${NOW}`)
    const capable = await ask('/_internal/capabilities/?format=carbonapi_v3_pb')
    expect(decode('v3', 'CapabilityResponse', capable)).toContain('likeSplittedRequests: true')
  })
})
