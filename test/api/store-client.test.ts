import { afterEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { createHmac } from 'node:crypto'
import { FrameReader, FrameType } from '../../src/ipc/frame-format.ts'
import { appendError, appendHello, ErrorCode } from '../../src/ipc/points-format.ts'
import { appendJson, frameId } from '../../src/ipc/store-protocol.ts'
import { ByteWriter, bytesEqual, fromUtf8 } from '../../src/lib/bytes.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { silentLog } from '../../src/lib/log.ts'
import { parseStores } from '../../src/api/stores/store-address.ts'
import { StoreClient, type StoreScope } from '../../src/api/stores/store-client.ts'
import { slabPool, ValueArena } from '../../src/api/stores/value-arena.ts'
import { FakeStore } from './fake-store.ts'

/** A machine that is busy with something else. */
setDefaultTimeout(30_000)

const NOW = 1_700_000_000
const opened: { close(): void }[] = []

afterEach(() => {
  for (const one of opened.splice(0)) one.close()
})

function fakeStore(): FakeStore {
  const store = new FakeStore()
  opened.push(store)
  return store
}

function clientOf(text: string, token?: string): StoreClient {
  const stores = parseStores(text)
  if (!stores.ok) throw new Error(stores.error)
  const client = new StoreClient({
    stores: stores.value,
    token,
    clock: systemClock,
    log: silentLog,
  })
  opened.push(client)
  return client
}

function scope(options: { timeoutMs?: number; signal?: AbortSignal } = {}): StoreScope {
  return {
    now: NOW,
    deadlineAtMs: systemClock.monotonicMs() + (options.timeoutMs ?? 5_000),
    signal: options.signal ?? new AbortController().signal,
    values: new ValueArena(slabPool(systemClock)),
    missing: new Set(),
  }
}

const FETCH = { from: NOW - 5, until: NOW, seriesMax: 100, pointsMax: 1_000 }

function five(step = 1): { start: number; step: number; values: number[] } {
  return { start: NOW - 4 * step, step, values: [1, 2, 3, 4, 5] }
}

describe('parseStores', () => {
  test('reads sockets and remote instances, in order', () => {
    expect(parseStores('unix:/run/query.sock, emon://central:2013,emons://[::1]')).toEqual({
      ok: true,
      value: [
        { text: 'unix:/run/query.sock', target: { unix: '/run/query.sock' } },
        { text: 'emon://central:2013', target: { hostname: 'central', port: 2013, tls: false } },
        { text: 'emons://[::1]', target: { hostname: '::1', port: 2003, tls: true } },
      ],
    })
  })

  test('names what it cannot read', () => {
    for (const text of ['', 'unix:', 'http://a', 'emon://a:99999', 'emon://a b', 'unix:/a,,']) {
      expect(parseStores(text).ok).toBe(false)
    }
  })
})

test('only a store that is asked alone may do work early', async () => {
  const [one, two] = [fakeStore().set('a.b', five()), fakeStore().set('a.b', five())]
  const selectors = [{ pattern: 'a.*', combine: 'sum', consolidation: 'max' }] as const
  const display = { maxDataPoints: 10, xFilesFactor: 0 }
  await clientOf(`unix:${one.path}`).fetch(scope(), { selectors, ...FETCH, display })
  await clientOf(`unix:${one.path},unix:${two.path}`).fetch(scope(), {
    selectors,
    ...FETCH,
    display,
  })
  expect(one.asked).toMatchObject([{ selectors, display }, { selectors: [{ pattern: 'a.*' }] }])
  expect(one.asked[1]).not.toHaveProperty('display')
  expect(two.asked[0]).not.toHaveProperty('selectors.0.combine')
})

describe('StoreClient with one store', () => {
  test('finds, fetches, lists, informs, registers and deletes', async () => {
    const store = fakeStore().set('a.b', five()).set('a.c', five()).set('x;dc=eu', five())
    const client = clientOf(`unix:${store.path}`)
    expect(
      await client.find(scope(), { patterns: ['a.*', '*'], leavesOnly: false, namesMax: 9 }),
    ).toEqual([
      [
        { path: 'a.b', isLeaf: true },
        { path: 'a.c', isLeaf: true },
      ],
      [
        { path: 'a', isLeaf: false },
        { path: 'x;dc=eu', isLeaf: true },
      ],
    ])
    const selectors = [{ pattern: 'a.*' }, { tagExpressions: ['dc=eu'] }, { pattern: 'none' }]
    const lists = await client.fetch(scope(), { selectors, ...FETCH })
    expect(lists.map((list) => list.map((series) => series.name))).toEqual([
      ['a.b', 'a.c'],
      ['x;dc=eu'],
      [],
    ])
    expect([...lists[0]![0]!.values]).toEqual([1, 2, 3, 4, 5])
    expect(await client.index(scope(), { after: 'a.b', namesMax: 1 })).toEqual({
      paths: ['a.c'],
      more: true,
    })
    expect((await client.info(scope(), { paths: ['a.b', 'no'] })).map((info) => info.path)).toEqual(
      ['a.b'],
    )
    expect(await client.register(scope(), ['n;t=1'])).toEqual(['n;t=1'])
    expect(await client.delete(scope(), ['n;t=1', 'a.b', 'no'])).toBe(2)
  })

  test('carries many questions at once', async () => {
    const store = fakeStore().set('a.b', five())
    const client = clientOf(`unix:${store.path}`)
    const answers = await Promise.all(
      Array.from({ length: 500 }, (_, i) =>
        client.fetch(scope(), { selectors: [{ pattern: i % 2 ? 'a.b' : 'no' }], ...FETCH }),
      ),
    )
    expect(answers.map(([list]) => list!.length)).toEqual(answers.map((_, i) => i % 2))
  })

  test('passes on what the store refuses', async () => {
    const store = fakeStore()
    store.failure = { code: 'limit', text: 'more than 3 names' }
    const client = clientOf(`unix:${store.path}`)
    const find = client.find(scope(), { patterns: ['*'], leavesOnly: false, namesMax: 3 })
    expect(find).rejects.toMatchObject({ status: 413, message: 'more than 3 names' })
  })

  test('gives up at the deadline, and tells the store', async () => {
    const store = fakeStore()
    store.silent = true
    const client = clientOf(`unix:${store.path}`)
    const find = client.find(scope({ timeoutMs: 50 }), {
      patterns: ['*'],
      leavesOnly: false,
      namesMax: 3,
    })
    expect(await find.catch((error: unknown) => error)).toMatchObject({ status: 504 })
    await Bun.sleep(20)
    expect(store.cancelled).toHaveLength(1)
    expect(store.asked[0]!.deadlineMs).toBeLessThanOrEqual(50)
  })

  test('cancels when the asker goes away', async () => {
    const store = fakeStore()
    store.silent = true
    const client = clientOf(`unix:${store.path}`)
    const gone = new AbortController()
    const find = client.find(scope({ signal: gone.signal }), {
      patterns: ['*'],
      leavesOnly: false,
      namesMax: 3,
    })
    setTimeout(() => gone.abort(), 30)
    expect(await find.catch((error: unknown) => error)).toMatchObject({ status: 499 })
    await Bun.sleep(20)
    expect(store.cancelled).toHaveLength(1)
  })

  test('asks again after a broken connection', async () => {
    const store = fakeStore().set('a.b', five())
    store.silent = true
    const client = clientOf(`unix:${store.path}`)
    const find = client.find(scope(), { patterns: ['a.*'], leavesOnly: false, namesMax: 3 })
    await Bun.sleep(30)
    store.hangUp()
    store.silent = false
    await Bun.sleep(30)
    store.listen()
    expect(await find).toEqual([[{ path: 'a.b', isLeaf: true }]])
  })

  test('does not repeat what changes something', async () => {
    const store = fakeStore()
    store.silent = true
    const client = clientOf(`unix:${store.path}`)
    const deletion = client.delete(scope(), ['a'])
    await Bun.sleep(30)
    store.hangUp()
    expect(await deletion.catch((error: unknown) => error)).toMatchObject({ status: 503 })
  })

  test('is not ready, and says why, while the store is away', async () => {
    const store = fakeStore()
    const client = clientOf(`unix:${store.path}`)
    await Bun.sleep(30)
    expect(client.notReady()).toEqual([])
    store.hangUp()
    await Bun.sleep(30)
    expect(client.notReady()[0]).toStartWith('store unreachable: ')
    store.listen()
    await Bun.sleep(300)
    expect(client.notReady()).toEqual([])
  })
})

describe('StoreClient with several stores', () => {
  test('takes each slot from the first listed store that has it', async () => {
    const first = fakeStore().set('a', { start: NOW - 4, step: 1, values: [1, NaN, 3, NaN, 5] })
    const second = fakeStore()
      .set('a', { start: NOW - 4, step: 1, values: [9, 9, 9, NaN, 9] })
      .set('b', five())
    const client = clientOf(`unix:${first.path},unix:${second.path}`)
    const [list] = await client.fetch(scope(), { selectors: [{ pattern: '*' }], ...FETCH })
    expect(list!.map((series) => [series.name, [...series.values]])).toEqual([
      ['a', [1, 9, 3, NaN, 5]],
      ['b', [1, 2, 3, 4, 5]],
    ])
  })

  test('consolidates the finer of unequal steps', async () => {
    const start = NOW - 9
    const values = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10]
    const fine = fakeStore().set('a', { start, step: 1, values, method: 'sum', xFilesFactor: 0.5 })
    const coarse = fakeStore().set('a', { start: NOW - 10, step: 5, values: [100, 200, 300] })
    const client = clientOf(`unix:${fine.path},unix:${coarse.path}`)
    const [list] = await client.fetch(scope(), {
      selectors: [{ pattern: 'a' }],
      ...FETCH,
      from: NOW - 10,
    })
    // Of the slot of NOW only its first second is known, of that of NOW − 10 all but its first.
    expect(list![0]).toMatchObject({ start: NOW - 10, step: 5 })
    expect([...list![0]!.values]).toEqual([10, 35, 10])
  })

  test('names the store that is down and answers from the others', async () => {
    const store = fakeStore().set('a', five())
    const client = clientOf(`unix:/nonexistent/query.sock,unix:${store.path}`)
    await Bun.sleep(2_100)
    const asked = scope()
    const found = await client.find(asked, { patterns: ['*'], leavesOnly: true, namesMax: 9 })
    expect(found).toEqual([[{ path: 'a', isLeaf: true }]])
    expect([...asked.missing]).toEqual(['unix:/nonexistent/query.sock'])
    expect(client.notReady()).toEqual([])
    expect(client.downCount).toBe(1)
  })

  test('merges tags and the index', async () => {
    const first = fakeStore().set('a;dc=eu', five()).set('b;dc=us', five())
    const second = fakeStore().set('c;dc=us', five()).set('a;host=x', five())
    const client = clientOf(`unix:${first.path},unix:${second.path}`)
    const limit = 10
    expect(await client.tags(scope(), { ask: 'tags', filter: '', limit })).toEqual({
      names: ['dc', 'host', 'name'],
    })
    expect(await client.tags(scope(), { ask: 'values', tag: 'dc', filter: '', limit })).toEqual({
      names: ['eu', 'us'],
      counts: [1, 1],
    })
    const paths: string[] = []
    for (let more = true; more;) {
      const piece = await client.index(scope(), { after: paths.at(-1) ?? '', namesMax: 1 })
      paths.push(...piece.paths)
      more = piece.more
    }
    expect(paths).toEqual(['a;dc=eu', 'a;host=x', 'b;dc=us', 'c;dc=us'])
  })
})

describe('StoreClient with a remote store', () => {
  test('says who it is before it asks', async () => {
    const nonce = Uint8Array.from({ length: 16 }, (_, i) => i)
    let opening = ''
    let proof: Uint8Array = new Uint8Array(0)
    const reader = new FrameReader({
      bytesMax: 1e6,
      onFrame: (frame) => {
        if (frame.type === FrameType.auth) proof = frame.payload.slice()
        else {
          const out = new ByteWriter()
          const id = frameId(frame.payload)
          appendJson(out, FrameType.reply, id, id === 0 ? { series: [] } : { matches: [[]] })
          peer!.write(out.written())
        }
      },
    })
    let peer: Bun.Socket | undefined
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket, bytes) {
          peer = socket
          if (opening !== '') return reader.feed(bytes)
          opening = fromUtf8(bytes)
          const out = new ByteWriter()
          appendHello(out, { version: 1, nonce, written: 0, synced: 0 })
          socket.write(out.written())
        },
      },
    })
    opened.push({ close: () => server.stop(true) })
    const client = clientOf(`emon://127.0.0.1:${server.port}`, 'secret')
    expect(await client.find(scope(), { patterns: ['*'], leavesOnly: false, namesMax: 9 })).toEqual(
      [[]],
    )
    expect(opening).toBe('emon/1-1,query\n')
    const expected = new Uint8Array(createHmac('sha256', 'secret').update(nonce).digest())
    expect(bytesEqual(proof, expected)).toBe(true)
  })

  test('is not ready when the token is refused, and says so', async () => {
    let tries = 0
    const server = Bun.listen({
      hostname: '127.0.0.1',
      port: 0,
      socket: {
        data(socket) {
          tries++
          const out = new ByteWriter()
          appendError(out, ErrorCode.token, 'the token is wrong')
          socket.end(out.written())
        },
      },
    })
    opened.push({ close: () => server.stop(true) })
    const client = clientOf(`emon://127.0.0.1:${server.port}`, 'wrong')
    await Bun.sleep(400)
    expect(client.notReady()[0]).toContain('the token is wrong')
    expect(tries).toBeLessThan(6)
  })
})

describe('ValueArena', () => {
  test('gives memory that nobody else has until it is released, and then uses it again', () => {
    const pool = slabPool(systemClock)
    const first = new ValueArena(pool)
    const taken = Array.from({ length: 300 }, (_, i) => first.take(7_200).fill(i))
    expect(
      taken.every((values, i) => values.length === 7_200 && values.every((value) => value === i)),
    ).toBe(true)
    expect(first.take(1_000_000)).toHaveLength(1_000_000)
    const second = new ValueArena(pool)
    expect(taken.some((values) => values.buffer === second.take(10).buffer)).toBe(false)
    first.release()
    first.release()
    expect(first.take(10)).toHaveLength(10)
    const third = new ValueArena(pool)
    expect(taken.some((values) => values.buffer === third.take(10).buffer)).toBe(true)
  })
})
