/** The store's command lines, as scripts, against a store in another process. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { encodeWhisper } from '../../../src/store/whisper/whisper-writer.ts'
import { PointsClient, QueryClient, until } from '../edge-clients.ts'

setDefaultTimeout(60_000)

const SCRIPTS = `${import.meta.dir}/../../../scripts`
const NOW = Math.floor(Date.now() / 1000)

let dir: string
const processes: Bun.Subprocess[] = []

function environment(data: string): Record<string, string> {
  return { PATH: process.env['PATH'] ?? '', EMON_DATA: data, EMON_STORE_PORT: 'off' }
}

async function startStore(data: string): Promise<Bun.Subprocess> {
  const store = Bun.spawn(['bun', `${SCRIPTS}/store.ts`], {
    env: environment(data),
    stderr: 'ignore',
  })
  processes.push(store)
  await untilReady(data)
  return store
}

async function untilReady(data: string): Promise<void> {
  const end = performance.now() + 30_000
  while (performance.now() < end) {
    const asked = fetch('http://x/readyz', { unix: `${data}/run/store-admin.sock` })
    if ((await asked.catch(() => undefined))?.ok) return
    await Bun.sleep(20)
  }
  throw new Error('the store is not ready')
}

async function run(
  data: string,
  script: string,
  ...words: string[]
): Promise<{ code: number; out: string }> {
  const child = Bun.spawn(['bun', `${SCRIPTS}/${script}.ts`, ...words], {
    env: environment(data),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, problems] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
  ])
  return { code: await child.exited, out: out + problems }
}

function filesUnder(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => `${entry.parentPath}/${entry.name}`)
    .sort()
}

async function newestValue(data: string, pattern: string): Promise<number | undefined> {
  const api = new QueryClient()
  await api.connect(`${data}/run/query.sock`)
  const { series } = await api.ask({
    op: 'fetch',
    now: NOW,
    deadlineMs: 5000,
    selectors: [{ pattern }],
    from: NOW - 1,
    until: NOW,
    seriesMax: 10,
    pointsMax: 10,
  })
  api.close()
  return series[0]?.values[0]
}

describe('bun run store', () => {
  let data: string

  beforeAll(async () => {
    dir = mkdtempSync(`${tmpdir()}/emon-commands-`)
    data = `${dir}/data`
    await startStore(data)
    const client = new PointsClient('00000000000000cc')
    await client.connect(`${data}/run/points.sock`)
    client.send(1, [['web.a.cpu', NOW, 42]])
    await until(() => client.acks.length > 0)
    client.close()
  })

  afterAll(async () => {
    for (const child of processes) child.kill()
    await Promise.all(processes.map((child) => child.exited))
    rmSync(dir, { recursive: true })
  })

  test('snapshot: a copy that opens as a store', async () => {
    const copy = `${dir}/copy`
    expect(await run(data, 'store', 'snapshot', `${copy}/store`)).toMatchObject({ code: 0 })
    await startStore(copy)
    expect(await newestValue(copy, 'web.a.cpu')).toBe(42)
    const again = await run(data, 'store', 'snapshot', `${copy}/store`)
    expect(again.code).toBe(1)
  })

  test('check: live, and without a store', async () => {
    const live = await run(data, 'store', 'check')
    expect(live.out).toMatch(/ 0 problems\n$/)
    expect(live.code).toBe(0)
    const offline = `${dir}/offline`
    await run(data, 'store', 'snapshot', `${offline}/store`)
    for (const words of [['check'], ['check', `${offline}/store`]]) {
      const checked = await run(offline, 'store', ...words)
      expect(checked).toEqual({ code: 0, out: expect.stringMatching(/ 0 problems\n$/) })
    }
    mkdirSync(`${offline}/run`)
    const before = filesUnder(`${offline}/store`)
    expect((await run(offline, 'store', 'check')).code).toBe(0)
    expect(existsSync(`${offline}/run/store.lock`)).toBe(false)
    const block = before.find((file) => file.endsWith('.ext') || file.endsWith('.blk'))!
    const bytes = readFileSync(block)
    bytes[40]! ^= 1
    // The snapshot shares its file with the store.
    unlinkSync(block)
    writeFileSync(block, bytes)
    const damaged = await run(offline, 'store', 'check')
    expect(damaged).toEqual({ code: 1, out: expect.stringContaining(`${block} at byte 8: `) })
    expect(filesUnder(`${offline}/store`)).toEqual(before)
    expect(await run(dir, 'store', 'check', '/tmp')).toEqual({
      code: 1,
      out: '/tmp is no store: it has no MANIFEST\n',
    })
  })

  test('whisper import: a store that is killed meanwhile is waited for', async () => {
    const away = `${dir}/away`
    const tree = `${dir}/tree`
    mkdirSync(tree)
    const now = Math.floor(Date.now() / 1000)
    const archives = [{ step: 1, count: 100 }]
    const rule = { archives, method: 'average', xFilesFactor: 0.5 } as const
    for (let i = 0; i < 500; i++) {
      const slots = [{ start: now - 50, step: 1, values: new Float64Array(50).fill(i) }]
      writeFileSync(`${tree}/s${i}.wsp`, encodeWhisper({ ...rule, slots }))
    }
    const store = await startStore(away)
    const importing = run(away, 'whisper', 'import', tree)
    const unix = `${away}/run/store-admin.sock`
    const series = async (): Promise<number> => {
      const metrics = await (await fetch('http://x/metrics', { unix })).text()
      return Number(/^emon_store_series (\d+)$/m.exec(metrics)?.[1])
    }
    while ((await series()) < 20) await Bun.sleep(5)
    store.kill('SIGKILL')
    await store.exited
    await Bun.sleep(200)
    await startStore(away)
    const { code, out } = await importing
    // A file whose answer the kill took is there already when it is sent again.
    expect(out).toMatch(/\n500 series imported, \d+ slots, 0 done before, 0 failed\n$/)
    expect(code).toBe(0)
    expect((await run(away, 'whisper', 'diff', tree)).out).toBe('500 series compared, 0 differ\n')
  })

  test.each(['store', 'whisper', 'schemas'])('%s --help', async (script) => {
    const { code, out } = await run(data, script, '--help')
    expect(code).toBe(0)
    expect(out).toMatch(/^usage: bun run /)
  })

  test('flush, stats, and a wrong command', async () => {
    expect(await run(data, 'store', 'flush')).toEqual({ code: 0, out: 'flushed\n' })
    expect(await newestValue(data, 'web.a.cpu')).toBe(42)
    const stats = await run(data, 'store', 'stats')
    expect(stats.out).toContain('emon_store_series 1')
    expect(stats.out).toContain('1  web.a')
    expect((await run(data, 'store', 'dance')).code).toBe(64)
    expect((await run(data, 'store', 'flush', '--dry-run')).code).toBe(64)
    expect((await run(data, 'store', 'rename', 'a')).code).toBe(64)
    expect((await run(`${dir}/nothing`, 'store', 'flush')).code).toBe(1)
  })

  test('delete, by name and by glob, and rename', async () => {
    const own = `${dir}/own`
    await startStore(own)
    const client = new PointsClient('00000000000000dd')
    await client.connect(`${own}/run/points.sock`)
    client.send(1, [
      ['old.a', NOW, 1],
      ['old.b', NOW, 2],
      ['keep', NOW, 3],
    ])
    await until(() => client.acks.length > 0)
    client.close()
    expect(await run(own, 'store', 'delete', 'old.*', '--dry-run')).toEqual({
      code: 0,
      out: 'old.a\nold.b\n2 series would be deleted\n',
    })
    expect(await run(own, 'store', 'delete', 'old.*', 'keep.not')).toEqual({
      code: 0,
      out: 'old.a\nold.b\nkeep.not: no such series\n2 series deleted\n',
    })
    expect(await run(own, 'store', 'delete', 'old.*')).toMatchObject({ code: 1 })
    expect(await run(own, 'store', 'rename', 'old.a', 'x')).toEqual({
      code: 1,
      out: 'there is no series "old.a"\n',
    })
    expect(await run(own, 'store', 'rename', 'keep', 'kept.new')).toEqual({
      code: 0,
      out: 'keep is kept.new now\n',
    })
    expect(await newestValue(own, 'kept.*')).toBe(3)
    expect(await newestValue(own, 'old.*')).toBeUndefined()
  })

  test('rename into a prefix whose quota is full', async () => {
    const own = `${dir}/quotas`
    mkdirSync(own)
    writeFileSync(`${own}/emon.toml`, '[store]\nquotas = "apps.*:1"\n')
    await startStore(own)
    const client = new PointsClient('00000000000000de')
    await client.connect(`${own}/run/points.sock`)
    client.send(1, [
      ['apps.x.a', NOW, 1],
      ['free', NOW, 2],
    ])
    await until(() => client.acks.length > 0)
    client.close()
    expect(await run(own, 'store', 'rename', 'free', 'apps.x.b')).toEqual({
      code: 1,
      out: 'there may be no more series: see store.quotas\n',
    })
    expect((await run(own, 'store', 'rename', 'apps.x.a', 'apps.y.a')).code).toBe(0)
    expect((await run(own, 'store', 'rename', 'free', 'apps.x.b')).code).toBe(0)
    expect(await newestValue(own, 'apps.x.*')).toBe(2)
  })

  test('another user is told so in a line', async () => {
    // To root nothing is closed.
    if (process.getuid?.() !== 0) chmodSync(`${data}/run`, 0)
    const drop = process.getuid?.() === 0 ? ['setpriv', '--reuid=65534', '--clear-groups'] : []
    const ask = async (...words: string[]): Promise<string> => {
      const command = [...drop, process.execPath, `${SCRIPTS}/store.ts`, ...words]
      const child = Bun.spawn(command, { env: environment(data), stdout: 'pipe', stderr: 'pipe' })
      expect(await child.exited).toBe(1)
      return (await new Response(child.stdout).text()) + (await new Response(child.stderr).text())
    }
    chmodSync(dir, 0o755)
    const closed = `${data}/run/store-admin.sock is closed to this user: be the user that the store runs as\n`
    expect(await ask('stats')).toBe(closed)
    expect(await ask('snapshot', '/tmp/never')).toBe(closed)
    expect(await ask('check')).toMatch(/^[^\n]*(?:permission denied|closed)[^\n]*\n$/)
    if (process.getuid?.() !== 0) chmodSync(`${data}/run`, 0o700)
  })

  test('schemas test: which rule, and why', async () => {
    const answer = await run(data, 'schemas', 'test', 'carbon.a', 'a.count')
    expect(answer.out).toContain('[carbon] 1m:90d (fits /^carbon\\./)')
    expect(answer.out).toContain('[count] sum')
    const wrong = await run(data, 'schemas', 'test', 'a b', 'x;=1', 'a;b=2')
    expect(wrong.code).toBe(1)
    expect(wrong.out).toContain('no series can be called "a b"')
    expect(wrong.out).toContain('"=1" is not key=value')
    expect(wrong.out).toContain('a;b=2\n  retention ')
    writeFileSync(`${dir}/bad.conf`, '[x]\npattern = (\nretentions = 1s:1d\n')
    const child = Bun.spawn(['bun', `${SCRIPTS}/schemas.ts`, 'test', 'a'], {
      env: { ...environment(data), EMON_SCHEMAS_CONF: `${dir}/bad.conf` },
      stderr: 'pipe',
    })
    expect(await new Response(child.stderr).text()).toContain('bad.conf:2: [x] pattern')
    expect(await child.exited).toBe(78)
  })
})
