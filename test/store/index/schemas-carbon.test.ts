/** Random storage-schemas.conf and storage-aggregation.conf: names get what python carbon's own code gives them. */
import { expect, test } from 'bun:test'
import {
  parseStorageAggregation,
  parseStorageSchemas,
  Schemas,
} from '../../../src/store/index/schemas.ts'
import { seededRandom } from '../../bench/bench.ts'

const CASES = 300
const NAMES = 60
const ORACLE = `${import.meta.dir}/../../peers/carbon-schemas.py`

const NODES = ['carbon', 'web', 'Web01', 'cpu', 'load5', 'count', 'p99_9', 'x-y', 'sum', 'max', '7']
const TAGS = [';dc=eu', ';host=web01', ';dc=us;host=a.b', '']
const PIECES = [
  '\\.', '.', '.*', '.+?', '[a-z]+', '[^.]*', '\\d+', '\\w+', '(web|cpu)', '(?:count|sum)', '(?i)WEB', 'load\\d',
  '(?!max)', '(?<=\\.)cpu', '(?P<node>web)', '[0-9]{1,2}', ';dc=', '(;|$)', '\\b', 'p99_9', 'x-y', 'carbon', '(a|b)?',
] // prettier-ignore
const METHODS = ['average', 'sum', 'last', 'max', 'min']
/** Units are one letter: whisper's own tools take longer ones too, and so do we. */
const STEPS = ['1', '1s', '10s', '10', '60', '1m', '600s', '10m', '1h', '1d']
const LENGTHS = ['1440', '6h', '1d', '7d', '90d', '2y', '600', '13w', '400d', '100000']

const random = seededRandom(4)
const below = (count: number): number => Math.floor(random() * count)
const pick = <T>(list: readonly T[]): T => list[below(list.length)]!
const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make)

function name(): string {
  return times(1 + below(4), () => pick(NODES)).join('.') + pick(TAGS)
}

/** A flag may stand at the start only. */
function pattern(): string {
  const pieces = times(1 + below(4), () => pick(PIECES))
  const flags = pieces.includes('(?i)WEB') ? '(?i)' : ''
  const anchor = pick(['^', '', ''])
  const body = pieces.map((piece) => (piece === '(?i)WEB' ? 'WEB' : piece))
  const named = body.filter((piece, i) => piece !== '(?P<node>web)' || body.indexOf(piece) === i)
  return flags + anchor + named.join('') + pick(['$', '', ''])
}

/** A line of a section, as people write it. */
function line(key: string, value: string): string {
  const spelled = pick([key, key.toUpperCase(), key])
  return spelled + pick([' = ', '=', ': ', ' : ', ' =  ']) + value
}

function sections(make: (index: number) => string[]): string {
  const noise = (): string => pick(['', '', '# a comment\n', '\n', '; pattern = no\n'])
  return times(below(6), () => 0)
    .map((_, i) => `${noise()}[rule ${i}]\n${make(i).join(`\n${noise()}`)}\n`)
    .join(noise())
}

/** Retentions that are good in themselves; some are written over two lines. */
function retentions(): string {
  for (;;) {
    const parts = times(1 + below(3), () => `${pick(STEPS)}:${pick(LENGTHS)}`)
    const text = parts.join(pick([',', ', ', ',\n   ']))
    if (parseStorageSchemas(`[a]\npattern=a\nretentions=${parts.join()}\n`, 'f').ok) return text
  }
}

function aggregation(): string[] {
  const lines = [line('pattern', pattern())]
  if (below(3) > 0) lines.push(line('xFilesFactor', pick(['0', '0.5', '.3', '1', '1e-1', '0.10'])))
  if (below(3) > 0) lines.push(line('aggregationMethod', pick(METHODS)))
  return lines
}

test(`${CASES} random files, ${NAMES} names each`, async () => {
  const cases = times(CASES, () => ({
    schemas: sections(() => [line('pattern', pattern()), line('retentions', retentions())]),
    aggregation: sections(aggregation),
    names: times(NAMES, name),
  }))
  const oracle = Bun.spawn(['/usr/bin/python3', ORACLE], {
    stdin: Buffer.from(JSON.stringify(cases)),
    stdout: 'pipe',
    stderr: 'pipe',
  })
  const [out, problems] = await Promise.all([
    new Response(oracle.stdout).text(),
    new Response(oracle.stderr).text(),
  ])
  if (/No module named '(carbon|whisper)'|No such file/.test(problems))
    return console.log('skipped: graphite-carbon is not installed')
  expect(problems).toBe('')
  const theirs = JSON.parse(out) as unknown[][]
  for (const [i, { schemas, aggregation: aggregations, names }] of cases.entries()) {
    const kept = parseStorageSchemas(schemas, 'schemas')
    const made = parseStorageAggregation(aggregations, 'aggregation')
    if (!kept.ok || !made.ok)
      throw new Error(
        `${schemas}${aggregations}${[kept, made].map((r) => (r.ok ? '' : r.error)).join()}`,
      )
    const rules = new Schemas(kept.value, made.value)
    const ours: unknown[] = names.map((path) => {
      const { retention, aggregation: rule } = rules.match(path)
      const archives = retention.archives.map(({ step, count }) => [step, count])
      return [retention.name, archives, rule.name, rule.method, rule.xFilesFactor]
    })
    for (const [k, path] of names.entries())
      expect([schemas, aggregations, path, ours[k]]).toEqual([
        schemas,
        aggregations,
        path,
        theirs[i]![k],
      ])
  }
}, 60_000)
