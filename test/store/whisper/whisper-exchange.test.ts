/** Whole trees through a running store: import, export, diff, and what python-whisper says of it. */
import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type Config, loadConfig } from '../../../src/config.ts'
import type { Concern } from '../../../src/daemon.ts'
import { type AdminServer, serveAdmin } from '../../../src/ipc/admin.ts'
import type { FindReply, StoreRequest } from '../../../src/ipc/store-protocol.ts'
import { systemClock } from '../../../src/lib/clock.ts'
import { filesOfName } from '../../../src/store/whisper/whisper-names.ts'
import { realDisk } from '../../../src/lib/disk.ts'
import { silentLog } from '../../../src/lib/log.ts'
import { Stats } from '../../../src/lib/stats.ts'
import { startStore } from '../../../src/store/store.ts'
import { runWhisperCommand } from '../../../src/store/commands/whisper-commands.ts'
import { QueryClient } from '../edge-clients.ts'

setDefaultTimeout(60_000)

const PYTHON = '/usr/bin/python3'
const hasPythonWhisper =
  (await Bun.file(PYTHON).exists()) &&
  Bun.spawnSync([PYTHON, '-c', 'import whisper']).exitCode === 0
if (!hasPythonWhisper) console.log('skipped: Debian package python3-whisper is not installed')

const NOW = Math.floor(Date.now() / 1000)

function python(script: string): unknown {
  const { stdout, stderr } = Bun.spawnSync([PYTHON, '-c', script])
  if (stderr.length > 0) throw new Error(stderr.toString())
  return stdout.length === 0 ? undefined : JSON.parse(stdout.toString())
}

/** Writes a tree of three series: two archives, gaps, sum and max, one tagged. */
function writeTree(root: string): void {
  python(`
import whisper, os
def make(path, archives, xff, method, points):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    whisper.create(path, archives, xFilesFactor=xff, aggregationMethod=method)
    whisper.update_many(path, points)
now = ${NOW}
make('${root}/web/a/cpu.wsp', [(1, 600), (10, 720)], 0.5, 'average', [(now - i, i * 0.37) for i in range(590) if i % 50 > 7])
make('${root}/web/b/hits.wsp', [(10, 360), (60, 1440)], 0.0, 'sum', [(now - i * 10, i) for i in range(350) if i % 9])
make('${root}/_tagged/abc/def/mem;host=a_DOT_b.wsp', [(60, 60)], 0.3, 'max', [(now - i * 60, i) for i in range(50)])
`)
}

/** Every archive of every file, as python reads it: relative path, step → rows. */
function readTree(root: string): Record<string, unknown> {
  return python(`
import whisper, os, json
rows = {}
now = ${NOW}
for folder, _, files in os.walk('${root}'):
    for file in files:
        path = os.path.join(folder, file)
        info = whisper.info(path)
        name = file.replace('_DOT_', '.') if ';' in file else os.path.relpath(path, '${root}')
        rows[name] = [info['aggregationMethod'], info['xFilesFactor'], [[a['secondsPerPoint'], a['points'], whisper.fetch(path, now - a['retention'] + 60, now, now=now, archiveToSelect=a['secondsPerPoint'])] for a in info['archives']]]
print(json.dumps(rows))
`) as Record<string, unknown>
}

describe.if(hasPythonWhisper)('whisper trees', () => {
  let dir: string
  let config: Config
  let store: Concern
  let admin: AdminServer
  const said: string[] = []
  const log = console.log

  beforeAll(async () => {
    dir = mkdtempSync(`${tmpdir()}/emon-tree-`)
    mkdirSync(`${dir}/data/run`, { recursive: true })
    mkdirSync(`${dir}/under`)
    writeTree(`${dir}/tree`)
    const loaded = loadConfig({
      environment: {
        EMON_DATA: `${dir}/data`,
        EMON_STORE_PORT: 'off',
        EMON_WHISPER_DIR: `${dir}/under`,
      },
      disk: realDisk,
    })
    if (!loaded.ok) throw new Error(loaded.error.join('\n'))
    config = loaded.value
    const adminRoutes = new Map()
    const stats = new Stats()
    store = await startStore({
      config,
      disk: realDisk,
      clock: systemClock,
      log: silentLog,
      stats,
      adminRoutes,
      progress() {},
    })
    admin = serveAdmin({
      concern: 'store',
      socketPath: `${config.run}/store-admin.sock`,
      disk: realDisk,
      stats,
      notReady: () => [],
      routes: adminRoutes,
    })
    console.log = (line: string) => void said.push(line)
    expect(await whisper('import', `${dir}/tree`)).toBe(0)
    expect(said.at(-1)).toMatch(/^3 series imported, \d+ slots, 0 done before, 0 failed$/)
  })

  afterAll(async () => {
    console.log = log
    await admin.stop()
    await store.stop()
    rmSync(dir, { recursive: true })
  })

  const whisper = (...words: string[]): Promise<number> => runWhisperCommand(words, config)

  async function ask(request: StoreRequest) {
    const api = new QueryClient()
    await api.connect(`${config.run}/query.sock`)
    const answer = await api.ask(request)
    api.close()
    return answer
  }

  test('what python reads from an export equals the tree that was imported', async () => {
    expect(await whisper('export', `${dir}/out`)).toBe(0)
    expect(readTree(`${dir}/out`)).toEqual(readTree(`${dir}/tree`))
    expect(await whisper('diff', `${dir}/tree`)).toBe(0)
  })

  test('a second run takes only what is new, and reports what it cannot read', async () => {
    mkdirSync(`${dir}/tree/bad`)
    writeFileSync(`${dir}/tree/bad/empty.wsp`, '')
    expect(await whisper('import', `${dir}/tree`)).toBe(1)
    expect(said.at(-1)).toBe('0 series imported, 0 slots, 3 done before, 1 failed')
    rmSync(`${dir}/tree/bad`, { recursive: true })
  })

  test('info tells what a file holds', async () => {
    said.length = 0
    expect(await whisper('info', `${dir}/tree/web/b/hits.wsp`)).toBe(0)
    expect(said[0]).toContain('10s:1h,1m:1d, sum, xFilesFactor 0')
    expect(await whisper('info', `${dir}/nothing.wsp`)).toBe(1)
    expect(await whisper('dance', 'x')).toBe(64)
  })

  test('a series that the store has gets the coarser slots too that its rule would make otherwise', async () => {
    python(`
import whisper, os
os.makedirs('${dir}/other/web/a')
path = '${dir}/other/web/a/twice.wsp'
whisper.create(path, [(1, 600), (10, 720)], aggregationMethod='sum')
whisper.update_many(path, [(${NOW} - 20 - i, 1) for i in range(560)])
`)
    const rule = { op: 'register', paths: ['web.a.twice'], now: NOW, deadlineMs: 5000 } as const
    await ask(rule)
    expect(await whisper('import', `${dir}/other`)).toBe(0)
    expect(await whisper('diff', `${dir}/other`)).toBe(0)
    const info = await ask({ op: 'info', paths: ['web.a.twice'], now: NOW, deadlineMs: 5000 })
    expect(info.reply).toMatchObject({ series: [{ method: 'average' }] })
    const gone = { op: 'delete', paths: ['web.a.twice'], now: NOW, deadlineMs: 5000 } as const
    await ask(gone)
  })

  test('a tagged series of a tree under the store is found by its whole name', async () => {
    const plain = 'disk;dc=eu;host=x.y'
    const hashed = 'disk;dc=eu;host=z'
    for (const name of [plain, hashed]) {
      const file = filesOfName(name).at(name === hashed ? -1 : 0)!
      python(`
import whisper, os
path = '${dir}/under/${file}'
os.makedirs(os.path.dirname(path))
whisper.create(path, [(10, 60)])
whisper.update_many(path, [(${NOW} - i * 10, 7) for i in range(30)])
`)
    }
    const common = { now: NOW, deadlineMs: 5000 }
    for (const [name, asked] of [
      [plain, 'disk;host=x.y;dc=eu'],
      [hashed, hashed],
    ] as const) {
      const range = { from: NOW - 20, until: NOW, seriesMax: 10, pointsMax: 1000 }
      const fetch = { ...common, ...range, op: 'fetch', selectors: [{ pattern: asked }] } as const
      const { series } = await ask(fetch)
      expect(series.map((one) => [one.name, [...one.values]])).toEqual([[name, [7, 7]]])
      const find = { ...common, op: 'find', leavesOnly: false, namesMax: 9 } as const
      const { matches } = (await ask({ ...find, patterns: [asked] })).reply as FindReply
      expect(matches).toEqual([[{ path: name, isLeaf: true }]])
      const late = await ask({ ...find, patterns: [asked], from: NOW + 86_400 })
      expect((late.reply as FindReply).matches).toEqual([[]])
    }
    rmSync(`${dir}/under/_tagged`, { recursive: true })
  })

  test('a tree under the store shows until it is imported', async () => {
    python(`
import whisper, os
os.makedirs('${dir}/under/old')
path = '${dir}/under/old/cpu.wsp'
whisper.create(path, [(10, 60), (60, 60)])
whisper.update_many(path, [(${NOW} - i * 10, i) for i in range(30)])
`)
    const common = { now: NOW, deadlineMs: 5000 }
    const find = { ...common, op: 'find', leavesOnly: false, namesMax: 100 } as const
    const { matches } = (await ask({ ...find, patterns: ['*', 'old.*'] })).reply as FindReply
    expect(matches[0]!.map(({ path }) => path)).toEqual(['old', 'web'])
    expect(matches[1]).toEqual([{ path: 'old.cpu', isLeaf: true }])
    const fetched = await ask({
      ...common,
      op: 'fetch',
      selectors: [{ pattern: '*.cpu' }],
      from: NOW - 100,
      until: NOW,
      seriesMax: 10,
      pointsMax: 1000,
    })
    expect(fetched.series.map(({ name, step, values }) => [name, step, [...values]])).toEqual([
      ['old.cpu', 10, [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]],
    ])
    const info = await ask({ ...common, op: 'info', paths: ['old.cpu'] })
    expect(info.reply).toMatchObject({ series: [{ path: 'old.cpu', method: 'average' }] })
    const index = await ask({ ...common, op: 'index', after: '', namesMax: 10 })
    expect(index.reply).toEqual({
      paths: ['mem;host=a.b', 'old.cpu', 'web.a.cpu', 'web.b.hits'],
      more: false,
    })
  })
})
