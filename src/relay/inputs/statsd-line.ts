/**
 * One line of the StatsD protocol, in Etsy's form and DogStatsD's:
 *
 * ```
 *   name:value[:value…]|type[|@rate][|#tag:value,tag][|c:container][|Ttimestamp]
 *   type   c counter · g gauge (+n and -n change it) · ms h d timer · s set · kv passed on as it is
 *   name:value|type[|@rate]:value|type[|@rate]…        Etsy's several samples of a name (`splitSamples`)
 * ```
 *
 * Tags are also taken where others put them: `name;k=v;k=v` (Graphite), `name#k=v,k=v` (Librato), `name,k=v`
 * (InfluxDB), `name[k=v]` (SignalFx). They become Graphite's, sorted by key. Events (`_e{`) and service checks
 * (`_sc|`) are not points: they are told apart and counted by the caller. Names are cleaned as Etsy's statsd does,
 * and `ms` is never negative, as there.
 */

export type SampleType = 'counter' | 'gauge' | 'timer' | 'set' | 'value'

export interface Sample {
  readonly type: SampleType
  readonly name: string
  /** `;key=value…`, or ''. */
  readonly tags: string
  /** Numbers; of a set, anything. */
  readonly values: readonly string[]
  /** Of a gauge: `values` are changes. */
  readonly relative: boolean
  /** Each value stands for 1 / rate. */
  readonly rate: number
  /** Unix seconds, when the line has one: then it is not gathered. */
  readonly timestamp: number | undefined
}

const TYPES: Readonly<Record<string, SampleType>> = {
  c: 'counter',
  g: 'gauge',
  ms: 'timer',
  h: 'timer',
  d: 'timer',
  s: 'set',
  kv: 'value',
}

const NUMBER_RE = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i
const RATE_RE = /^@(\d*\.?\d+)$/
const PACKED_RE = /[^|:]+\|(?:c|g|ms|h|d|s)(?:\|@[\d.]+)?(?=:|$)/g

/** The sample of a line without its newline; undefined when it is none. */
export function parseSample(line: string): Sample | undefined {
  const bracket = line.indexOf(']')
  const colon = line.indexOf(':', bracket < 0 ? 0 : bracket)
  if (colon <= 0) return undefined
  const [packed = '', code = '', ...extras] = line.slice(colon + 1).split('|')
  const type = TYPES[code]
  const { name, tags } = splitName(line.slice(0, colon))
  if (type === undefined || name === '' || packed === '') return undefined
  let rate = 1
  let timestamp: number | undefined
  for (const extra of extras) {
    if (extra.startsWith('#')) tags.push(...extra.slice(1).split(','))
    else if (extra.startsWith('T')) timestamp = Number(extra.slice(1))
    else if (extra.startsWith('@')) rate = Number(RATE_RE.exec(extra)?.[1] ?? NaN)
  }
  if (!(rate > 0) || (timestamp !== undefined && !(timestamp >= 1))) return undefined
  const values = packed.split(':')
  if (type !== 'set' && !values.every((value) => NUMBER_RE.test(value))) return undefined
  if (code === 'ms' && values.some((value) => value.startsWith('-'))) return undefined
  const relative = type === 'gauge' && /^[+-]/.test(packed)
  return { type, name, tags: graphiteTags(tags), values, relative, rate, timestamp }
}

/** A line of several samples, each with its type, as lines of one; undefined when it is not such a line. */
export function splitSamples(line: string): string[] | undefined {
  const colon = line.indexOf(':')
  const samples = line.slice(colon + 1).match(PACKED_RE)
  if (!samples || samples.length < 2 || samples.join(':').length !== line.length - colon - 1) {
    return undefined
  }
  return samples.map((sample) => `${line.slice(0, colon)}:${sample}`)
}

function splitName(text: string): { name: string; tags: string[] } {
  const parts = /^([^;#,[]+)(?:([;#,])(.*)|\[(.*)\](.*))?$/.exec(text)
  if (!parts) return { name: '', tags: [] }
  const tags = parts[3] ?? parts[4] ?? ''
  const name = cleanName(parts[1]! + (parts[5] ?? ''))
  return { name, tags: tags === '' ? [] : tags.split(parts[2] === ';' ? ';' : ',') }
}

/** Etsy's `sanitizeKeyName`. */
function cleanName(name: string): string {
  return name
    .replaceAll(/\s+/g, '_')
    .replaceAll('/', '-')
    .replaceAll(/[^a-zA-Z_\-0-9.]/g, '')
}

/** `key:value`, `key=value` or a bare `key`, which is given the value `true`. */
function graphiteTags(tags: readonly string[]): string {
  if (tags.length === 0) return ''
  const pairs = new Map<string, string>()
  for (const tag of tags) {
    const cut = tag.search(/[:=]/)
    const key = (cut < 0 ? tag : tag.slice(0, cut)).replaceAll(/[^a-zA-Z0-9_.-]/g, '_')
    const value = (cut < 0 ? 'true' : tag.slice(cut + 1)).replaceAll(/[;\s~]/g, '_')
    if (key !== '' && value !== '') pairs.set(key, value)
  }
  return [...pairs]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `;${key}=${value}`)
    .join('')
}
