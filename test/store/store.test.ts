import { afterEach, beforeEach, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type Config, loadConfig } from '../../src/config.ts'
import { type Concern, ConfigError, type Surroundings } from '../../src/daemon.ts'
import type { InfoReply } from '../../src/ipc/store-protocol.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import { startStore } from '../../src/store/store.ts'
import { PointsClient, QueryClient, until } from './edge-clients.ts'

setDefaultTimeout(60_000)

let dir: string
let store: Concern

beforeEach(() => {
  dir = mkdtempSync(`${tmpdir()}/emon-store-`)
  mkdirSync(`${dir}/run`)
})

afterEach(async () => {
  await store.stop()
  rmSync(dir, { recursive: true })
})

function config(environment: Record<string, string> = {}): Config {
  const loaded = loadConfig({
    environment: { EMON_DATA: dir, EMON_STORE_PORT: 'off', ...environment },
    disk: realDisk,
  })
  if (!loaded.ok) throw new Error(loaded.error.join('\n'))
  return loaded.value
}

async function start(environment: Record<string, string> = {}): Promise<Surroundings> {
  const surroundings: Surroundings = {
    config: config(environment),
    disk: realDisk,
    clock: systemClock,
    log: silentLog,
    stats: new Stats(),
    adminRoutes: new Map(),
    progress() {},
  }
  store = await startStore(surroundings)
  return surroundings
}

const NOW = Math.floor(Date.now() / 1000)
const COMMON = { now: NOW, deadlineMs: 5000 }
const SENDER = '0123456789abcdef'

async function valuesOf(pattern: string): Promise<(readonly [string, (number | null)[]])[]> {
  const api = new QueryClient()
  await api.connect(`${dir}/run/query.sock`)
  const { series, failure } = await api.ask({
    ...COMMON,
    op: 'fetch',
    selectors: [{ pattern }],
    from: NOW - 3,
    until: NOW,
    seriesMax: 100,
    pointsMax: 1000,
  })
  api.close()
  if (failure) throw new Error(failure.text)
  return series.map(({ name, values }) => [name, [...values].map((v) => (v === v ? v : null))])
}

async function archivesOf(path: string): Promise<unknown> {
  const api = new QueryClient()
  await api.connect(`${dir}/run/query.sock`)
  const { reply } = await api.ask({ ...COMMON, op: 'info', paths: [path] })
  api.close()
  return (reply as InfoReply).series[0]?.archives
}

describe('store', () => {
  test('what was acknowledged is answered, after a restart too, and its sequence is known', async () => {
    await start()
    const client = new PointsClient(SENDER)
    await client.connect(`${dir}/run/points.sock`)
    client.send(1, [
      ['a.x', NOW - 1, 1],
      ['a.y;k=v', NOW, 5],
    ])
    client.send(2, [['a.x', NOW, 2]])
    await until(() => client.acks.at(-1)?.written === 2)
    await until(() => client.acks.at(-1)?.synced === 2)
    const want = [['a.x', [null, 1, 2]]] as never
    expect(await valuesOf('a.*')).toEqual(want)
    await store.stop()
    await start()
    expect(await valuesOf('a.*')).toEqual(want)
    expect(await valuesOf('a.y;k=v')).toEqual([['a.y;k=v', [null, null, 5]]])
    const again = new PointsClient(SENDER)
    await again.connect(`${dir}/run/points.sock`)
    expect(again.hello).toMatchObject({ written: 2 })
    again.close()
  })

  test('a deleted series is gone after a restart, its next points make a new one', async () => {
    await start()
    const client = new PointsClient(SENDER)
    await client.connect(`${dir}/run/points.sock`)
    client.send(1, [['a', NOW - 1, 1]])
    await until(() => client.acks.length > 0)
    const api = new QueryClient()
    await api.connect(`${dir}/run/query.sock`)
    const { reply } = await api.ask({ ...COMMON, op: 'delete', paths: ['a'] })
    expect(reply).toEqual({ deleted: 1 })
    expect(await valuesOf('a')).toEqual([])
    client.send(2, [['a', NOW, 2]])
    await until(() => client.acks.at(-1)?.written === 2)
    expect(await valuesOf('a')).toEqual([['a', [null, null, 2]]])
    await store.stop()
    await start()
    expect(await valuesOf('a')).toEqual([['a', [null, null, 2]]])
  })

  test('HUP takes changed schemas for new series, and refuses wrong ones', async () => {
    await start()
    const client = new PointsClient(SENDER)
    await client.connect(`${dir}/run/points.sock`)
    writeFileSync(`${dir}/storage-schemas.conf`, '[all]\npattern = .*\nretentions = 5s:1h\n')
    await store.reload(config())
    client.send(1, [['a', NOW, 1]])
    await until(() => client.acks.length > 0)
    expect(await archivesOf('a')).toEqual([{ step: 5, count: 720 }])
    writeFileSync(`${dir}/storage-schemas.conf`, '[all]\npattern = (\nretentions = 5s:1h\n')
    expect(store.reload(config())).rejects.toThrow(ConfigError)
    client.send(2, [['b', NOW, 1]])
    await until(() => client.acks.at(-1)?.written === 2)
    expect(await archivesOf('b')).toEqual([{ step: 5, count: 720 }])
    client.close()
  })

  test('settings of its own that cannot be used are named with their place', async () => {
    await start()
    writeFileSync(`${dir}/emon.toml`, '[store]\nquotas = "apps"\n')
    for (const path of ['/nonexistent', `${dir}/emon.toml`]) {
      const error: unknown = await start({ EMON_WHISPER_DIR: path }).catch(
        (thrown: unknown) => thrown,
      )
      expect(error instanceof ConfigError && error.complaints).toEqual([
        `${dir}/emon.toml:2: store.quotas cannot parse quota "apps": it must be PREFIX:MAX`,
        `$EMON_WHISPER_DIR: store.whisper_dir ${path} must be a folder of Whisper files`,
      ])
    }
  })

  test('a port in use is named, with the setting that changes it', async () => {
    await start()
    const taken = Bun.listen({ hostname: '127.0.0.1', port: 0, socket: { data() {} } })
    const other = `${dir}/other`
    mkdirSync(`${other}/run`, { recursive: true })
    const settings = { EMON_DATA: other, EMON_STORE_PORT: String(taken.port) }
    const first = store
    const failed = start(settings).then(
      () => undefined,
      (error: unknown) => error,
    )
    const error = await failed
    expect(error).toBeInstanceOf(ConfigError)
    expect(String(error)).toContain(
      `port ${taken.port} of 127.0.0.1 is in use: set EMON_STORE_PORT`,
    )
    expect(store).toBe(first)
    taken.stop(true)
  })
})
