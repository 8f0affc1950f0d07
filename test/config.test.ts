import { describe, expect, test } from 'bun:test'
import { type Config, describeConfig, listSettings, loadConfig, userFile } from '../src/config.ts'
import { emonToml } from '../src/emon-toml.ts'
import { toUtf8 } from '../src/lib/bytes.ts'
import { SimDisk } from './sim/disk.ts'

function load(options: {
  file?: string
  environment?: Record<string, string>
  flags?: ReadonlyMap<string, string>
  others?: Record<string, string>
}) {
  const disk = new SimDisk()
  disk.makeDir('/data')
  if (options.file !== undefined) disk.replaceFile('/data/emon.toml', toUtf8(options.file))
  for (const [path, content] of Object.entries(options.others ?? {}))
    disk.replaceFile(path, toUtf8(content))
  const input = { environment: { EMON_DATA: '/data', ...options.environment }, disk }
  return {
    disk,
    loaded: loadConfig(options.flags ? { ...input, flags: options.flags } : input),
  }
}

function good(options: Parameters<typeof load>[0]): Config {
  const { loaded } = load(options)
  if (!loaded.ok) throw new Error(loaded.error.join('\n'))
  return loaded.value
}

function complaints(options: Parameters<typeof load>[0]): readonly string[] {
  const { loaded } = load(options)
  return loaded.ok ? [] : loaded.error
}

describe('loadConfig()', () => {
  test('needs nothing at all', () => {
    const config = good({})
    expect(config.relay.port).toBe(2003)
    expect(config.run).toBe('/data/run')
    expect(config.central.server).toBeUndefined()
  })

  test('flags are stronger than the environment, that than the file', () => {
    const file = 'hosting = "file"\n[relay]\nport = 1\npickle_port = 2\nstatsd_port = 3\n'
    const environment = { EMON_RELAY_PORT: '10', EMON_PICKLE_PORT: '20' }
    const config = good({ file, environment, flags: new Map([['relay.port', '100']]) })
    expect([config.relay.port, config.relay.pickle_port, config.relay.statsd_port]).toEqual([
      100, 20, 3,
    ])
    expect(config.sources.get('relay.port')).toBe('flag')
    expect(config.sources.get('relay.pickle_port')).toBe('$EMON_PICKLE_PORT')
    expect(config.sources.get('relay.statsd_port')).toBe('/data/emon.toml:5')
  })

  test('takes the names of the original', () => {
    const config = good({
      environment: {
        CENTRAL_METRICS_SERVER: 'central.example',
        HOSTING: 'aws',
        SERVICE: 'web',
        CARBON_LOCAL_RETENTION: '1s:1h',
        EMAIL_HOST: 'smtp.example',
        EMAIL_ALERT_ADDR: 'ops@example.com',
      },
    })
    expect(config).toMatchObject({
      central: { server: 'central.example' },
      hosting: 'aws',
      service: 'web',
      store: { local_retention: '1s:1h' },
      mailer: { relayhost: 'smtp.example', alert_address: 'ops@example.com' },
    })
  })

  test('reads a secret from the file that NAME_FILE names', () => {
    const environment = { EMAIL_PASS_FILE: '/data/secret' }
    const config = good({ environment, others: { '/data/secret': 'hush\n' } })
    expect(config.mailer.password).toBe('hush')
    expect(complaints({ environment })).toEqual([
      expect.stringMatching(/^\$EMAIL_PASS_FILE: \/data\/secret cannot be read/),
    ])
  })

  test('makes every complaint at once, each with its place', () => {
    const file = '[relay]\nport = 70000\nbond = 1\n[store]\nlocal_retention = "1s:1x"\n'
    expect(complaints({ file, environment: { EMON_API_PORT: 'x' } })).toEqual([
      expect.stringMatching(/^\/data\/emon.toml:2: relay.port must be a port/),
      expect.stringMatching(/^\/data\/emon.toml:3: there is no setting relay.bond/),
      expect.stringMatching(/^\/data\/emon.toml:5: store.local_retention .*"x"/),
      expect.stringMatching(/^\$EMON_API_PORT: api.port must be a port/),
    ])
  })

  test('says where a file is no TOML', () => {
    expect(complaints({ file: 'tz = "UTC"\n[relay\n' })).toEqual([
      expect.stringMatching(/^\/data\/emon.toml:2: TOML Parse error: /),
    ])
  })

  test('a file that EMON_CONFIG names has to be there', () => {
    expect(complaints({ environment: { EMON_CONFIG: '/data/other.toml' } })).toEqual([
      expect.stringMatching(/^\/data\/other.toml: cannot be read/),
    ])
  })
})

test('describeConfig() masks secrets', () => {
  const rows = describeConfig(good({ environment: { EMAIL_PASS: 'hush' } }))
  expect(rows).toContainEqual({
    setting: 'mailer.password',
    value: '"********"',
    source: '$EMAIL_PASS',
  })
  expect(JSON.stringify(rows)).not.toContain('hush')
})

test('userFile() finds what lies beside emon.toml', () => {
  const { disk, loaded } = load({ others: { '/data/relay.conf': '' } })
  if (!loaded.ok) throw new Error('no configuration')
  const file = (setting: string | undefined, name: string) =>
    userFile(loaded.value, disk, { setting, name })
  expect(file(undefined, 'relay.conf')).toBe('/data/relay.conf')
  expect(file(undefined, 'storage-schemas.conf')).toBeUndefined()
  expect(file('/etc/relay.conf', 'relay.conf')).toBe('/etc/relay.conf')
})

describe('emonToml()', () => {
  const environment = {
    HOSTING: 'aws',
    EMON_API_PORT: '9',
    EMAIL_PASS: 'a"b\\c',
    EMON_DEBUG: 'true',
  }
  const values = (config: Config) =>
    listSettings(config).map(({ setting, value }) => ({ setting, value }))

  test('keeps what the environment gave', () => {
    const config = good({ environment })
    const file = emonToml(config)
    expect(file).toContain('\nhosting = "aws"\n')
    expect(values(good({ file }))).toEqual(values(config))
  })

  test('shows defaults that may be uncommented as they are', () => {
    const config = good({})
    const file = emonToml(config).replaceAll(/^# (\w+ = )/gm, '$1')
    expect(file).toContain('\nport = 2003\n')
    expect(values(good({ file }))).toEqual(values(config))
  })
})
