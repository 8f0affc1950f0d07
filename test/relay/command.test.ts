import { describe, expect, test } from 'bun:test'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { freePorts } from '../e2e/stack.ts'

const SCRIPT = `${import.meta.dir}/../../scripts/relay.ts`
const GOLDEN = `${import.meta.dir}/../golden/relay`

function relay(args: readonly string[], options: { input?: string; dir?: string } = {}) {
  const run = Bun.spawnSync([process.execPath, SCRIPT, ...args], {
    stdin: Buffer.from(options.input ?? ''),
    env: {
      ...process.env,
      EMON_DATA: options.dir ?? '/nonexistent',
      EMON_PICKLE_PORT: 'off',
      EMON_STATSD_PORT: 'off',
    },
  })
  return { code: run.exitCode, out: run.stdout.toString(), err: run.stderr.toString() }
}

describe('bun run relay', () => {
  test('prints its version and its options', () => {
    expect(relay(['-v']).out).toMatch(/^emon relay v\d/)
    expect(relay(['-h']).out).toStartWith('Usage:')
    expect(relay(['-Z'])).toMatchObject({ code: 1 })
  })

  test('tests a configuration', () => {
    const { code, out } = relay(['-t', '-f', `${GOLDEN}/basic.conf`], { input: 'plain 1 2\n' })
    expect(code).toBe(0)
    expect(out).toEndWith('        10.0.3.2:2003\n    file ip(log)\n        /tmp/emon-golden.log\n')
    expect(relay(['-tt', '-f', `${GOLDEN}/basic.lines`]).code).toBe(1)
  })

  test('detaches with -D, and leaves a log and a pid', async () => {
    const dir = mkdtempSync(`${tmpdir()}/emon-relay-`)
    try {
      const [port] = await freePorts(1)
      const args = ['-D', '-l', `${dir}/relay.log`, '-P', `${dir}/relay.pid`, '-p', `${port}`]
      expect(relay(args, { dir }).code).toBe(0)
      const pid = Number(readFileSync(`${dir}/relay.pid`, 'utf8'))
      expect(readFileSync(`${dir}/relay.log`, 'utf8')).toContain(`pid=${pid}`)
      process.kill(pid, 'SIGTERM')
      for (let tries = 0; tries < 100 && isAlive(pid); tries++) await Bun.sleep(50)
      expect(isAlive(pid)).toBe(false)
    } finally {
      rmSync(dir, { recursive: true, force: true })
    }
  }, 20_000)
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
