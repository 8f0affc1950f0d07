/**
 * How a series is kept: storage-schemas.conf and storage-aggregation.conf, or the built-in rules where
 * there is no file.
 *
 * Matching is carbon's: an unanchored search on the whole name with its tags, the first rule that fits wins.
 * Schemas may have a `priority`, highest first, then the order of the file (go-carbon); a retention such
 * as `10s:1440` is 1,440 slots (python carbon). What no schema fits is kept 60s:7d (python carbon's default;
 * go-carbon leaks such points); what no aggregation fits is averaged with xFilesFactor 0.5. Aggregation rules
 * have no priority. A file that cannot be used is refused with every complaint: `FILE:LINE: what`.
 */

import { type Config, userFile } from '../../config.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import type { Disk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import { compilePythonRegex, type PythonRegex } from '../../lib/python-regex.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { AGGREGATION_METHODS, type AggregationMethod } from '../../metric/consolidation.ts'
import { type Archive, parseRetentions } from '../../metric/retention.ts'
import { type IniSection, parseIni } from './ini.ts'

export interface RetentionRule {
  readonly name: string
  readonly pattern: PythonRegex
  readonly archives: readonly Archive[]
}

export interface AggregationRule {
  readonly name: string
  readonly pattern: PythonRegex
  readonly method: AggregationMethod
  readonly xFilesFactor: number
}

/** What a name gets, and from which rules. */
export interface SchemaMatch {
  readonly retention: RetentionRule
  readonly aggregation: AggregationRule
}

const ANYTHING = /(?:)/

const DEFAULT_RETENTION: RetentionRule = {
  name: 'default',
  pattern: ANYTHING,
  archives: [{ step: 60, count: 10_080 }],
}

const DEFAULT_AGGREGATION: AggregationRule = {
  name: 'default',
  pattern: ANYTHING,
  method: 'average',
  xFilesFactor: 0.5,
}

export class Schemas {
  /** In the order in which they are tried. */
  readonly retentions: readonly RetentionRule[]
  readonly aggregations: readonly AggregationRule[]

  constructor(retentions: readonly RetentionRule[], aggregations: readonly AggregationRule[]) {
    this.retentions = retentions
    this.aggregations = aggregations
  }

  match(path: string): SchemaMatch {
    return {
      retention: this.retentions.find(({ pattern }) => pattern.test(path)) ?? DEFAULT_RETENTION,
      aggregation:
        this.aggregations.find(({ pattern }) => pattern.test(path)) ?? DEFAULT_AGGREGATION,
    }
  }
}

/** The rules of the user's files, each by itself the built-in ones where there is none. */
export function loadSchemas(config: Config, disk: Disk): Result<Schemas, readonly string[]> {
  const { store } = config
  const schemasFile = userFile(config, disk, {
    setting: store.schemas,
    name: 'storage-schemas.conf',
  })
  const aggregationFile = userFile(config, disk, {
    setting: store.aggregation,
    name: 'storage-aggregation.conf',
  })
  const retentions =
    schemasFile === undefined
      ? builtInRetentions(config)
      : readRules(disk, schemasFile, parseStorageSchemas)
  const aggregations =
    aggregationFile === undefined
      ? builtInAggregations(config)
      : readRules(disk, aggregationFile, parseStorageAggregation)
  if (retentions.ok && aggregations.ok) {
    return ok(new Schemas(retentions.value, aggregations.value))
  }
  return err([
    ...(retentions.ok ? [] : retentions.error),
    ...(aggregations.ok ? [] : aggregations.error),
  ])
}

// ── the files ───────────────────────────────────────────────────────────────────────────────────────

type Complaints = readonly string[]

function readRules<T>(
  disk: Disk,
  file: string,
  parse: (text: string, file: string) => Result<T, Complaints>,
): Result<T, Complaints> {
  try {
    return parse(fromUtf8(disk.readFile(file)), file)
  } catch (error) {
    return err([`${file}: cannot be read: ${reason(error)}`])
  }
}

export function parseStorageSchemas(
  text: string,
  file: string,
): Result<RetentionRule[], Complaints> {
  const read = new SectionReader(file)
  const rules: { rule: RetentionRule; priority: number }[] = []
  for (const section of read.sections(text)) {
    const pattern = read.pattern(section)
    const archives = read.value(section, 'retentions', parseRetentions)
    const priority = read.optional(section, 'priority', parsePriority) ?? 0
    if (pattern && archives)
      rules.push({ rule: { name: section.name, pattern, archives }, priority })
  }
  // The sort is stable: rules of one priority stay in the order of the file.
  rules.sort((a, b) => b.priority - a.priority)
  return read.result(rules.map(({ rule }) => rule))
}

export function parseStorageAggregation(
  text: string,
  file: string,
): Result<AggregationRule[], Complaints> {
  const read = new SectionReader(file)
  const rules: AggregationRule[] = []
  for (const section of read.sections(text)) {
    const pattern = read.pattern(section)
    const xFilesFactor = read.optional(section, 'xfilesfactor', parseXFilesFactor) ?? 0.5
    const method = read.optional(section, 'aggregationmethod', parseMethod) ?? 'average'
    if (pattern) rules.push({ name: section.name, pattern, method, xFilesFactor })
  }
  return read.result(rules)
}

/** Reads sections and collects what is wrong with them. */
class SectionReader {
  private readonly file: string
  private readonly complaints: string[]

  constructor(file: string) {
    this.file = file
    this.complaints = []
  }

  sections(text: string): IniSection[] {
    const { sections, problems } = parseIni(text)
    for (const { line, problem } of problems) this.complain(line, problem)
    return sections
  }

  pattern(section: IniSection): PythonRegex | undefined {
    return this.value(section, 'pattern', parsePattern)
  }

  value<T>(section: IniSection, key: string, parse: (text: string) => Result<T>): T | undefined {
    if (!section.values.has(key)) {
      this.complain(section.line, `[${section.name}] has no ${key}`)
      return undefined
    }
    return this.optional(section, key, parse)
  }

  optional<T>(section: IniSection, key: string, parse: (text: string) => Result<T>): T | undefined {
    const given = section.values.get(key)
    if (!given) return undefined
    const parsed = parse(given.text)
    if (parsed.ok) return parsed.value
    this.complain(given.line, `[${section.name}] ${key}: ${parsed.error}`)
    return undefined
  }

  result<T>(rules: T): Result<T, Complaints> {
    return this.complaints.length === 0 ? ok(rules) : err(this.complaints)
  }

  private complain(line: number, problem: string): void {
    this.complaints.push(`${this.file}:${line}: ${problem}`)
  }
}

function parsePattern(text: string): Result<PythonRegex> {
  return text === ''
    ? err('is empty: `.*` fits every name')
    : compilePythonRegex(text, { trusted: true })
}

function parsePriority(text: string): Result<number> {
  return /^-?\d+$/.test(text) ? ok(Number(text)) : err(`${JSON.stringify(text)} is no whole number`)
}

function parseXFilesFactor(text: string): Result<number> {
  const value = text === '' ? NaN : Number(text)
  return value >= 0 && value <= 1
    ? ok(value)
    : err(`${JSON.stringify(text)} is not between 0 and 1`)
}

export function parseMethod(text: string): Result<AggregationMethod> {
  const name = text === 'avg' ? 'average' : text
  const method = AGGREGATION_METHODS.find((known) => known === name)
  return method
    ? ok(method)
    : err(`unknown method ${JSON.stringify(text)}: it must be ${AGGREGATION_METHODS.join(', ')}`)
}

// ── the built-in rules ──────────────────────────────────────────────────────────────────────────────

function builtInRetentions(config: Config): Result<RetentionRule[], Complaints> {
  const { store, hosting } = config
  const rules: RetentionRule[] = []
  const complaints: string[] = []
  const add = (name: string, pattern: PythonRegex, text: string): void => {
    const archives = parseRetentions(text)
    if (archives.ok) rules.push({ name, pattern, archives: archives.value })
    else complaints.push(archives.error)
  }
  add('carbon', /^carbon\./, '60s:90d')
  add('central_server', underHosting(hosting), store.central_retention)
  add('local_server', ANYTHING, store.local_retention)
  return complaints.length === 0 ? ok(rules) : err(complaints)
}

/** Graphite's usual names. A central method other than the average goes before them, as the original's did. */
function builtInAggregations(config: Config): Result<AggregationRule[], Complaints> {
  const { store, hosting } = config
  const central = parseMethod(store.central_aggregation)
  if (!central.ok) {
    const place = config.sources.get('store.central_aggregation')
    return err([`${place}: store.central_aggregation: ${central.error}`])
  }
  const rule = (
    name: string,
    pattern: PythonRegex,
    method: AggregationMethod,
  ): AggregationRule => ({
    name,
    pattern,
    method,
    xFilesFactor: 0.5,
  })
  const usual = [
    rule('min', /\.min(?:;|$)/, 'min'),
    rule('max', /\.max(?:;|$)/, 'max'),
    rule('sum', /\.sum(?:;|$)/, 'sum'),
    rule('count', /\.count(?:;|$)/, 'sum'),
  ]
  return ok(
    central.value === 'average'
      ? usual
      : [rule('central_server', underHosting(hosting), central.value), ...usual],
  )
}

function underHosting(hosting: string): RegExp {
  return new RegExp(`^${hosting.replaceAll(/[\\^$.|?*+(){}[\]/-]/g, '\\$&')}\\.`)
}
