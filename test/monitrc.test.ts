import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { type Config, loadConfig, PACKAGE_DIR } from '../src/config.ts'
import { installedMonitrc, specimenMonitrc } from '../src/installation.ts'
import { toUtf8 } from '../src/lib/bytes.ts'
import { realDisk } from '../src/lib/disk.ts'
import { monitCanName, monitrc } from '../src/monitrc.ts'
import { SimClock } from './sim/clock.ts'
import { SimDisk } from './sim/disk.ts'

function config(environment: Record<string, string> = {}): Config {
  const disk = new SimDisk()
  disk.makeDir('/etc')
  disk.replaceFile('/etc/emon.toml', new Uint8Array())
  const loaded = loadConfig({ environment: { EMON_DATA: '/data', ...environment }, disk })
  if (!loaded.ok) throw new Error(loaded.error.join('\n'))
  return loaded.value
}

test('the committed monitrc is what the generator writes: `bun run monitrc specimen >monitrc`', async () => {
  expect(await Bun.file(`${PACKAGE_DIR}/monitrc`).text()).toBe(specimenMonitrc())
})

describe('monitrc()', () => {
  const setup = { home: '/opt/emon', password: 'x' }

  test('restarts on /healthz, alerts on /readyz, never unmonitors', () => {
    const text = monitrc(config(), setup)
    for (const name of ['relay', 'store', 'api', 'mailer']) {
      const section = text.split(`check process ${name} `)[1]!.split('\n\n')[0]!
      expect(section).toMatch(/request "\/healthz" .* then restart$/m)
      expect(section).toMatch(/request "\/readyz" .* then alert$/m)
    }
    expect(text).not.toMatch(/unmonitor/)
  })

  test('lets processes run as another user only when there is one', () => {
    expect(monitrc(config(), setup)).not.toContain(' as uid ')
    expect(monitrc(config(), { ...setup, user: 'emon' })).toContain(' as uid emon and gid emon ')
  })

  test('mails when it is known to whom', () => {
    expect(monitrc(config(), setup)).not.toContain('set mailserver')
    const text = monitrc(config({ EMAIL_ALERT_ADDR: 'a@b.c', EMON_SMTP_PORT: '2526' }), setup)
    expect(text).toContain('set mailserver 127.0.0.1 port 2526 ')
    expect(text).toContain('set alert a@b.c ')
  })

  test('passes on where the configuration is', () => {
    const text = monitrc(config({ EMON_RUN: '/run/emon', EMON_CONFIG: '/etc/emon.toml' }), setup)
    expect(text).toContain('EMON_DATA=/data EMON_RUN=/run/emon EMON_CONFIG=/etc/emon.toml ')
  })

  test.if(Bun.which('monit') !== null)('monit takes it, with blanks in paths too', () => {
    const dir = mkdtempSync(`${tmpdir()}/emon monitrc-`)
    try {
      const environment = { EMON_DATA: dir, EMAIL_ALERT_ADDR: 'a@b.c', EMON_MONIT_PORT: '2812' }
      for (const folder of ['log', 'run', 'monit/events']) realDisk.makeDir(`${dir}/${folder}`)
      writeFileSync(`${dir}/monitrc`, monitrc(config(environment), setup), { mode: 0o600 })
      const { exitCode, stdout, stderr } = Bun.spawnSync(['monit', '-t', '-c', `${dir}/monitrc`])
      expect({ exitCode, said: stdout.toString() + stderr.toString() }).toMatchObject({
        exitCode: 0,
      })
    } finally {
      rmSync(dir, { recursive: true })
    }
  })
})

describe('installedMonitrc()', () => {
  test('makes a password, and keeps it when the file is written again', () => {
    const disk = new SimDisk()
    const clock = new SimClock()
    const first = installedMonitrc(config(), { disk, clock, uid: 1000 })
    expect(first).toMatch(/allow emon:"[0-9a-f]{32}"/)
    expect(first).toContain(`${PACKAGE_DIR}/scripts/process start relay`)
    disk.makeDir('/data')
    disk.replaceFile('/data/monitrc', toUtf8(first))
    expect(installedMonitrc(config(), { disk, clock, uid: 1000 })).toBe(first)
  })
})

test('monitCanName() refuses quotes and control characters', () => {
  expect(monitCanName('/var/lib/my emon-1')).toBe(true)
  for (const path of ['/a"b', "/a'b", '/a\\b', '/a\nb']) expect(monitCanName(path)).toBe(false)
})
