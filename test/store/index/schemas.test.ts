import { describe, expect, test } from 'bun:test'
import { loadConfig } from '../../../src/config.ts'
import { toUtf8 } from '../../../src/lib/bytes.ts'
import { formatRetentions } from '../../../src/metric/retention.ts'
import { SimDisk } from '../../sim/disk.ts'
import {
  loadSchemas,
  parseStorageAggregation,
  parseStorageSchemas,
  Schemas,
} from '../../../src/store/index/schemas.ts'

function retentionOf(file: string, path: string): string {
  const rules = parseStorageSchemas(file, 'f')
  if (!rules.ok) throw new Error(rules.error.join('\n'))
  const { retention } = new Schemas(rules.value, []).match(path)
  return `${retention.name} ${formatRetentions(retention.archives)}`
}

const FILE = `
# comment
; another
[carbon]
pattern = ^carbon\\.
retentions = 60:90d

[wide]
PATTERN = "cpu"
retentions = 10s:1440

[fine]
pattern = cpu\\.user
retentions = 1s:1h, 1m:1d
priority = 10

[tagged]
pattern = ;dc=x(;|$)
retentions = 5min:2y
`

describe('storage-schemas.conf', () => {
  test.each([
    ['carbon.agents.a', 'carbon 60s:7776000s'],
    ['xcarbon.a', 'default 60s:604800s'],
    ['a.cpu.idle', 'wide 10s:14400s'],
    ['a.cpu.user', 'fine 1s:3600s,60s:86400s'],
    ['mem;dc=x;host=a', 'tagged 300s:63072000s'],
  ])('%s → %s', (path, want) => {
    expect(retentionOf(FILE, path)).toBe(want)
  })

  test('names everything that is wrong, with its line', () => {
    const file = 'x = 1\n[a]\npattern = (\nretentions = 10x:1d\n[b]\nnonsense\n[c]\npattern =\n'
    const rules = parseStorageSchemas(file, 'schemas')
    expect(rules.ok).toBe(false)
    if (rules.ok) return
    expect(rules.error.map((line) => line.split(' ').slice(0, 3).join(' '))).toEqual([
      'schemas:1: a value',
      'schemas:6: cannot parse',
      'schemas:3: [a] pattern:',
      'schemas:4: [a] retentions:',
      'schemas:5: [b] has',
      'schemas:5: [b] has',
      'schemas:8: [c] pattern:',
      'schemas:7: [c] has',
    ])
  })
})

describe('storage-aggregation.conf', () => {
  test('the first rule that fits, defaults where nothing is said', () => {
    const file = `
[min]
pattern = \\.lower$
xFilesFactor = 0.1
aggregationMethod = min
[avg]
pattern = ^x
aggregationmethod = avg
[all]
pattern = ^y
xfilesfactor = 0
`
    const rules = parseStorageAggregation(file, 'f')
    if (!rules.ok) throw new Error(rules.error.join('\n'))
    const schemas = new Schemas([], rules.value)
    const of = (path: string): [string, number] => {
      const { method, xFilesFactor } = schemas.match(path).aggregation
      return [method, xFilesFactor]
    }
    expect(of('x.lower')).toEqual(['min', 0.1])
    expect(of('x.upper')).toEqual(['average', 0.5])
    expect(of('y')).toEqual(['average', 0])
    expect(of('z')).toEqual(['average', 0.5])
  })

  test('refuses unknown methods and factors', () => {
    const file = '[a]\npattern=.*\nxFilesFactor = 2\naggregationMethod = median\n'
    const rules = parseStorageAggregation(file, 'f')
    expect(rules.ok).toBe(false)
    if (!rules.ok) expect(rules.error.length).toBe(2)
  })
})

describe('without files', () => {
  function matchIn(
    environment: Record<string, string>,
    path: string,
    disk = new SimDisk(),
  ): string {
    const config = loadConfig({ environment: { EMON_DATA: '/data', ...environment }, disk })
    if (!config.ok) throw new Error(config.error.join('\n'))
    const schemas = loadSchemas(config.value, disk)
    if (!schemas.ok) return schemas.error.join('\n')
    const { retention, aggregation } = schemas.value.match(path)
    return `${formatRetentions(retention.archives)} ${aggregation.method} ${aggregation.xFilesFactor}`
  }

  const LOCAL = '1s:86400s,10s:604800s,60s:7776000s'
  const CENTRAL = '1s:21600s,10s:604800s,60s:51840000s'

  test.each([
    ['carbon.relays.a.b', '60s:7776000s average 0.5'],
    ['web.cpu.user', `${LOCAL} average 0.5`],
    ['a.com.web.cpu', `${CENTRAL} average 0.5`],
    ['aXcom.web.cpu', `${LOCAL} average 0.5`],
    ['web.requests.count', `${LOCAL} sum 0.5`],
    ['web.time.max;host=a', `${LOCAL} max 0.5`],
    ['web.account', `${LOCAL} average 0.5`],
  ])('%s → %s', (path, want) => {
    expect(matchIn({ HOSTING: 'a.com' }, path)).toBe(want)
  })

  test('the original way: central names in one archive, their maximum', () => {
    const old = {
      HOSTING: 'aws',
      CARBON_CENTRAL_RETENTION: '60s:600d',
      CENTRAL_AGGREGATION: 'max',
      CARBON_LOCAL_RETENTION: '10s:72h',
    }
    expect(matchIn(old, 'aws.web.requests.count')).toBe('60s:51840000s max 0.5')
    expect(matchIn(old, 'web.requests.count')).toBe('10s:259200s sum 0.5')
    expect(matchIn({ CENTRAL_AGGREGATION: 'median' }, 'a')).toContain('store.central_aggregation')
  })

  test('files beside emon.toml take their place, each by itself', () => {
    const disk = new SimDisk()
    disk.makeDir('/data')
    disk.replaceFile('/data/storage-schemas.conf', toUtf8('[a]\npattern=^web\nretentions=5s:1h\n'))
    expect(matchIn({}, 'web.hits.count', disk)).toBe('5s:3600s sum 0.5')
    expect(matchIn({}, 'db.cpu', disk)).toBe('60s:604800s average 0.5')
    disk.replaceFile('/data/storage-schemas.conf', toUtf8('[a]\npattern=^web\n'))
    expect(matchIn({}, 'web', disk)).toBe('/data/storage-schemas.conf:1: [a] has no retentions')
  })
})
