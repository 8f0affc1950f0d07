/** graphite-web (Debian's) with the store's carbonserver as its only backend. */
import { expect, test } from 'bun:test'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { systemClock } from '../../src/lib/clock.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { silentLog } from '../../src/lib/log.ts'
import { serveCarbon } from '../../src/store/servers/carbonserver.ts'
import { edgeOf, resolve } from './edge-setup.ts'

const PYTHON = '/usr/bin/python3'
const hasGraphiteWeb =
  (await Bun.file(PYTHON).exists()) &&
  Bun.spawnSync([PYTHON, '-c', 'import graphite, django']).exitCode === 0
if (!hasGraphiteWeb) console.log('skipped: Debian package graphite-web is not installed')

const NOW = Math.floor(Date.now() / 1000)

/** Python 3.11 has lost two functions that graphite-web 1.1.8 calls. */
const SCRIPT = `
import os, sys, json, inspect
os.environ['DJANGO_SETTINGS_MODULE'] = 'graphite.settings'
os.environ['GRAPHITE_SETTINGS_MODULE'] = 'local_settings'
if not hasattr(inspect, 'getargspec'):
    inspect.getargspec = lambda f: inspect.getfullargspec(f)[:4]
    inspect.formatargspec = lambda *a, **k: ''
import django
django.setup()
from django.core.management import call_command
call_command('migrate', run_syncdb=True, verbosity=0)
from django.test import Client
ask = Client().get
find = json.loads(ask('/metrics/find/', {'query': 'web.*'}).content)
render = json.loads(ask('/render/', {'target': 'sumSeries(web.*.cpu)', 'from': ${NOW - 10}, 'until': ${NOW}, 'format': 'json'}).content)
print(json.dumps([find, render]))
`

test.if(hasGraphiteWeb)(
  'graphite-web finds and renders what the store has',
  async () => {
    const dir = mkdtempSync(`${tmpdir()}/emon-graphite-web-`)
    const edge = edgeOf()
    for (const [i, name] of ['web.a.cpu', 'web.b.cpu'].entries()) {
      const ids = new Uint32Array(11).fill(resolve(edge.registry, name))
      const times = Uint32Array.from(ids, (_, k) => NOW - k)
      const values = Float64Array.from(ids, (_, k) => k + i)
      edge.engine.append(undefined, ids, times, values, 11)
    }
    const parts = { ...edge, clock: systemClock, disk: realDisk, log: silentLog }
    const server = serveCarbon({ ...parts, bind: '127.0.0.1', port: 0, dataDir: dir })
    try {
      mkdirSync(`${dir}/log`)
      writeFileSync(`${dir}/local_settings.py`, settings(dir, server.port))
      const python = Bun.spawn([PYTHON, '-W', 'ignore', '-c', SCRIPT], {
        env: { PATH: '/usr/bin:/bin', PYTHONPATH: dir, PYTHONDONTWRITEBYTECODE: '1' },
        stdout: 'pipe',
        stderr: 'pipe',
      })
      const [out, problems] = await Promise.all([
        new Response(python.stdout).text(),
        new Response(python.stderr).text(),
      ])
      if (out === '') throw new Error(problems)
      const [find, render] = JSON.parse(out) as [{ id: string }[], { datapoints: number[][] }[]]
      expect(find.map(({ id }) => id)).toEqual(['web.a', 'web.b'])
      const want = Array.from({ length: 10 }, (_, k) => [2 * (9 - k) + 1, NOW - 9 + k])
      expect(render[0]!.datapoints).toEqual(want)
    } finally {
      server.stop()
      rmSync(dir, { recursive: true })
    }
  },
  60_000,
)

function settings(dir: string, port: number): string {
  return `
SECRET_KEY = 'test'
STORAGE_DIR = CONF_DIR = '${dir}'
LOG_DIR = '${dir}/log'
INDEX_FILE = '${dir}/index'
STANDARD_DIRS = CARBONLINK_HOSTS = []
STORAGE_FINDERS = ('graphite.finders.remote.RemoteFinder',)
CLUSTER_SERVERS = ['127.0.0.1:${port}']
ALLOWED_HOSTS = ['*']
DATABASES = {'default': {'ENGINE': 'django.db.backends.sqlite3', 'NAME': '${dir}/db.sqlite'}}
`
}
