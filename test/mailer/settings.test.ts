/** A wrong configuration: every complaint at once, before anything is opened. */
import { describe, expect, test } from 'bun:test'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { readSettings } from '../../src/mailer/settings.ts'
import { SimDisk } from '../sim/disk.ts'
import { defaultConfig } from './default-config.ts'
import { startMailerProcess } from './process.ts'
import { until } from '../peers/waiting.ts'

describe('readSettings()', () => {
  test('an empty machine needs nothing', () => {
    expect(readSettings(defaultConfig(), new SimDisk()).ok).toBe(true)
  })

  test('names every mistake', () => {
    const config = defaultConfig()
    const read = readSettings(
      {
        ...config,
        mailer: {
          ...config.mailer,
          relayhost: 'a b',
          user: 'me',
          tls_cert: '/missing.pem',
          dkim_domain: 'x.test',
          aliases: 'root',
        },
      },
      new SimDisk(),
    )
    expect(read.ok).toBe(false)
    if (read.ok) return
    const text = read.error.join('\n')
    for (const setting of ['relayhost', 'user', 'tls_cert', 'dkim_key', 'aliases']) {
      expect(text).toContain(`mailer.${setting}`)
    }
  })

  test('a password never travels in clear over a network', () => {
    const tls = (relayhost: string): string => {
      const config = defaultConfig({ EMAIL_SERVER: relayhost, EMAIL_USER: 'a', EMAIL_PASS: 'b' })
      const read = readSettings(config, new SimDisk())
      return read.ok ? read.value.tls : 'wrong'
    }
    expect(tls('email-smtp.eu-west-1.amazonaws.com')).toBe('encrypt')
    expect(tls('127.0.0.1:2600')).toBe('may')
  })
})

describe('the process', () => {
  test('ends with 78 at a wrong configuration, and keeps the old one at a wrong reload', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'emon-settings-'))
    const toml = (text: string): void => writeFileSync(`${dir}/emon.toml`, text)
    const environment = { EMON_CONFIG: `${dir}/emon.toml`, EMAIL_SERVER: '127.0.0.1:1' }
    toml('[mailer]\naliases = "root"\n')
    const problem = await startMailerProcess(environment).then(
      () => 'it started',
      (error: unknown) => String(error),
    )
    expect(problem).toContain('ended with 78')
    toml('')
    const mailer = await startMailerProcess(environment)
    toml('[mailer]\ndkim_domain = "x.test"\n')
    await mailer.kill('SIGHUP')
    const log = (): Promise<string> => Bun.file(`${mailer.data}/log.d/mailer.log`).text()
    await until(async () => (await log()).includes('the configuration in force stays'))
    expect((await mailer.admin('GET', '/readyz')).ok).toBe(true)
    await mailer.dispose()
    rmSync(dir, { recursive: true })
  }, 20_000)
})
