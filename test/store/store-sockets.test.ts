import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { FrameReader, FrameType, QUERY_FRAME_BYTES_MAX } from '../../src/ipc/frame-format.ts'
import {
  appendRequest,
  decodeJson,
  decodeSeries,
  type FindReply,
  type StoreFailure,
  type StoreRequest,
} from '../../src/ipc/store-protocol.ts'
import { ByteWriter } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { silentLog } from '../../src/lib/log.ts'
import { listenForLines } from '../../src/store/servers/line-listener.ts'
import { servePoints } from '../../src/store/servers/points-server.ts'
import { serveQueries } from '../../src/store/servers/query-server.ts'
import { PointsClient, QueryClient, until } from './edge-clients.ts'
import { edgeOf } from './edge-setup.ts'
import { MemoryEngine } from './memory-engine.ts'

setDefaultTimeout(60_000)

const NOW = Math.floor(Date.now() / 1000)
const SENDER = '00000000000000aa'

let dir: string
let edge: ReturnType<typeof edgeOf>
let engine: MemoryEngine
let lines: ReturnType<typeof listenForLines>
let servers: { stop(): void }[]

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/emon-edge-`)
  engine = new MemoryEngine()
  edge = edgeOf({ engine })
  const parts = { ...edge, disk: realDisk, clock: systemClock, log: silentLog }
  lines = listenForLines({ ...parts, bind: '127.0.0.1', port: 0 })
  servers = [
    lines,
    servePoints({ ...parts, socketPath: `${dir}/points.sock` }),
    serveQueries({ ...parts, socketPath: `${dir}/query.sock` }),
  ]
})

afterEach(() => {
  for (const server of servers) server.stop()
  rmSync(dir, { recursive: true })
})

async function points(sender = SENDER): Promise<PointsClient> {
  const client = new PointsClient(sender)
  await client.connect(`${dir}/points.sock`)
  return client
}

async function queries(): Promise<QueryClient> {
  const client = new QueryClient()
  await client.connect(`${dir}/query.sock`)
  return client
}

const COMMON = { now: NOW, deadlineMs: 5000 }

function fetchOf(pattern: string): StoreRequest {
  const limits = { seriesMax: 1000, pointsMax: 1_000_000 }
  return { ...COMMON, ...limits, op: 'fetch', selectors: [{ pattern }], from: NOW - 5, until: NOW }
}

describe('points.sock', () => {
  test('acknowledges as written, then as synced; a frame sent twice counts once', async () => {
    const client = await points()
    expect(client.hello).toMatchObject({ written: 0, synced: 0 })
    client.send(1, [['a.b', NOW, 1]])
    client.send(2, [
      ['a.b', NOW - 1, 2],
      ['a.c', NOW, 3],
    ])
    await until(() => client.acks.at(-1)?.written === 2)
    client.send(2, [['a.b', NOW, 99]])
    await until(() => client.acks.length === 3)
    await engine.sync()
    await until(() => client.acks.at(-1)?.synced === 2)
    expect(engine.kept.get(0)?.slots).toEqual(
      new Map([
        [NOW, 1],
        [NOW - 1, 2],
      ]),
    )
    client.close()
    const again = await points()
    expect(again.hello).toMatchObject({ written: 2, synced: 2 })
    again.close()
  })

  test('ends the connection when the store does not write, and refuses new ones', async () => {
    const client = await points()
    engine.accepts = false
    client.send(1, [['a', NOW, 1]])
    client.send(2, [['a', NOW, 2]])
    await until(() => client.isClosed)
    expect(client.errors).toEqual(['the store does not write now'])
    expect(client.acks).toEqual([])
    const refused = await points()
    expect(refused.hello).toBeUndefined()
    expect(refused.errors).toEqual(['the store does not write now'])
  })

  test('ends on garbage, and others go on', async () => {
    const good = await points()
    const bad = await points('00000000000000bb')
    bad.raw('\xff'.repeat(64))
    await until(() => bad.isClosed)
    good.send(1, [['a', NOW, 1]])
    await until(() => good.acks.length === 1)
    good.close()
  })

  test('a name with a blank is left out, its neighbours are not', async () => {
    const client = await points()
    client.send(1, [
      ['a b', NOW, 1],
      ['ok', NOW, 2],
    ])
    await until(() => client.acks.length === 1)
    expect(edge.index.names.text(0)).toBe('ok')
    expect(engine.skipped).toBe(1)
    client.close()
  })
})

describe('query.sock', () => {
  test('find, fetch, info, index', async () => {
    const client = await points()
    client.send(1, [
      ['web.a.cpu', NOW, 1.5],
      ['web.b.cpu', NOW, 2.5],
      ['db.cpu', NOW - 1, 3],
    ])
    await until(() => client.acks.length === 1)
    const api = await queries()
    const find = { ...COMMON, op: 'find', leavesOnly: false, namesMax: 10 } as const
    const found = (await api.ask({ ...find, patterns: ['*', 'web.*.cpu'] })).reply as FindReply
    expect(found.matches).toEqual([
      [
        { path: 'db', isLeaf: false },
        { path: 'web', isLeaf: false },
      ],
      [
        { path: 'web.a.cpu', isLeaf: true },
        { path: 'web.b.cpu', isLeaf: true },
      ],
    ])
    const dated = await api.ask({ ...find, patterns: ['db.*', '*'], withSpan: true })
    expect((dated.reply as FindReply).matches).toEqual([
      [{ path: 'db.cpu', isLeaf: true, span: { seconds: 30 * 86_400, lastSeen: NOW - 1 } }],
      [
        { path: 'db', isLeaf: false },
        { path: 'web', isLeaf: false },
      ],
    ])
    const fetched = await api.ask(fetchOf('web.*.cpu'))
    expect(fetched.reply).toEqual({ series: 2, points: 10 })
    expect(fetched.series.map(({ name, step, values }) => [name, step, values.at(-1)])).toEqual([
      ['web.a.cpu', 1, 1.5],
      ['web.b.cpu', 1, 2.5],
    ])
    const info = await api.ask({ ...COMMON, op: 'info', paths: ['db.cpu', 'nothing'] })
    expect(info.reply).toMatchObject({ series: [{ path: 'db.cpu', lastSeen: NOW - 1 }] })
    const index = { ...COMMON, op: 'index', namesMax: 2 } as const
    expect((await api.ask({ ...index, after: '' })).reply).toEqual({
      paths: ['db.cpu', 'web.a.cpu'],
      more: true,
    })
    expect((await api.ask({ ...index, after: 'web.a.cpu' })).reply).toEqual({
      paths: ['web.b.cpu'],
      more: false,
    })
    api.close()
    client.close()
  })

  test('register, rename, delete; what is wrong is told', async () => {
    const api = await queries()
    const registered = await api.ask({ ...COMMON, op: 'register', paths: ['m;b=1;a=2', 'x.y'] })
    expect(registered.reply).toEqual({ paths: ['m;a=2;b=1', 'x.y'] })
    const taken = await api.ask({ ...COMMON, op: 'rename', from: 'x.y', to: 'm;b=1;a=2' })
    expect(taken.failure?.code).toBe('bad')
    const renamed = await api.ask({ ...COMMON, op: 'rename', from: 'x.y', to: 'x.z' })
    expect(renamed.reply).toEqual({ renamed: true })
    const bad = await api.ask({ ...COMMON, op: 'register', paths: ['a b'] })
    expect(bad.failure?.code).toBe('bad')
    const deleted = await api.ask({ ...COMMON, op: 'delete', paths: ['x.z', 'x.y', 'm;b=1;a=2'] })
    expect(deleted.reply).toEqual({ deleted: 2 })
    expect(edge.index.size).toBe(0)
    api.close()
  })

  test('limits, and an unknown kind of request', async () => {
    const api = await queries()
    await api.ask({ ...COMMON, op: 'register', paths: ['a.1', 'a.2', 'a.3'] })
    const find = { ...COMMON, op: 'find', leavesOnly: false, namesMax: 2 } as const
    expect((await api.ask({ ...find, patterns: ['a.*'] })).failure?.code).toBe('limit')
    expect((await api.ask({ ...fetchOf('a.*'), seriesMax: 2 } as never)).failure?.code).toBe(
      'limit',
    )
    expect((await api.ask({ ...fetchOf('a.*'), pointsMax: 9 } as never)).failure?.code).toBe(
      'limit',
    )
    expect((await api.ask({ ...COMMON, op: 'dance' } as never)).failure?.code).toBe('bad')
    api.close()
  })

  test('a deadline that passes is told, a cancelled request says nothing more', async () => {
    const api = await queries()
    const paths = Array.from({ length: 500 }, (_, i) => `many.${i}`)
    await api.ask({ ...COMMON, op: 'register', paths })
    const late = await api.ask({ ...fetchOf('many.*'), deadlineMs: 5 })
    expect(late.failure?.code).toBe('deadline')
    void api.ask(fetchOf('many.*'))
    api.cancel()
    const info = await api.ask({ ...COMMON, op: 'info', paths: ['many.1'] })
    expect(info.reply).toMatchObject({ series: [{ path: 'many.1' }] })
    api.close()
  })
})

test('a reader that stalls is told of the deadline, and has what it got whole', async () => {
  const api = await queries()
  const paths = Array.from({ length: 400 }, (_, i) => `many.${i}`)
  await api.ask({ ...COMMON, op: 'register', paths })
  api.close()
  const frames: { type: number; payload: Uint8Array }[] = []
  const reader = new FrameReader({
    bytesMax: QUERY_FRAME_BYTES_MAX,
    onFrame: ({ type, payload }) => frames.push({ type, payload: payload.slice() }),
  })
  const socket = await Bun.connect({
    unix: `${dir}/query.sock`,
    socket: { data: (_, bytes) => reader.feed(bytes) },
  })
  socket.pause()
  const out = new ByteWriter()
  const request = { ...fetchOf('many.*'), from: NOW - 7_200, pointsMax: 10_000_000 } as StoreRequest
  appendRequest(out, 1, { ...request, deadlineMs: 300 })
  socket.write(out.written())
  await Bun.sleep(600)
  socket.resume()
  await until(() => frames.at(-1)?.type === FrameType.failure)
  const failure = decodeJson<StoreFailure>(frames.pop()!.payload)
  expect(failure.code).toBe('deadline')
  expect(frames.length).toBeGreaterThan(0)
  for (const { payload } of frames) {
    expect(decodeSeries(payload).values.every((value) => Number.isNaN(value))).toBe(true)
  }
  socket.end()
})

describe('plain lines', () => {
  async function send(...pieces: string[]): Promise<void> {
    const socket = await Bun.connect({
      hostname: '127.0.0.1',
      port: lines.port,
      socket: { data() {} },
    })
    for (const piece of pieces) {
      socket.write(piece)
      await Bun.sleep(5)
    }
    socket.end()
  }

  const value = (name: string, timestamp: number): number | undefined =>
    engine.kept.get(edge.index.findText(name))?.slots.get(timestamp)

  test('takes good lines and counts what it drops', async () => {
    await send(
      `a 1 ${NOW}\nb nan ${NOW}\nb x ${NOW}\nc 1 5000000000\n\nnothing\na\x01 1 ${NOW}\nz 9 -1\n`,
    )
    await until(() => edge.index.findText('z') >= 0)
    expect(value('a', NOW)).toBe(1)
    expect(edge.index.size).toBe(2)
    const dropped = (name: string): number => edge.stats.counter(`dropped.${name}`).value
    expect(['value', 'time', 'line', 'series'].map(dropped)).toEqual([2, 1, 1, 1])
  })

  test('puts lines together that come in pieces, and skips those that never end', async () => {
    await send(`pie`, `ce 2`, ` ${NOW}\nnext 3 ${NOW}\n`, 'x'.repeat(20_000), `y\nlast 4 ${NOW}\n`)
    await until(() => edge.index.findText('last') >= 0)
    expect(value('piece', NOW)).toBe(2)
    expect(value('next', NOW)).toBe(3)
    expect(edge.index.size).toBe(3)
    expect(edge.stats.counter('dropped.line').value).toBe(1)
  })

  test('counts a line whose end never came', async () => {
    await send(`whole 1 ${NOW}\nhalf 2 ${NOW}`)
    await until(() => edge.stats.counter('dropped.line').value === 1)
    expect(edge.index.size).toBe(1)
  })
})
