import { describe, expect, test } from 'bun:test'
import { formatRetentions } from '../../src/metric/retention.ts'
import { parseStorageAggregation, parseStorageSchemas, Schemas } from '../../src/store/schemas.ts'

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
