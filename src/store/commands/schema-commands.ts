/** `bun run schemas test NAME…`: which rules a name gets, and why: each rule that was tried before it fits. */

import { type Config, EXIT_CONFIG } from '../../config.ts'
import type { Disk } from '../../lib/disk.ts'
import type { PythonRegex } from '../../lib/python-regex.ts'
import { canonicalPath } from '../../metric/path.ts'
import { formatRetentions } from '../../metric/retention.ts'
import { loadSchemas, type Schemas } from '../index/schemas.ts'
import { wrongCommand } from './usage.ts'

const USAGE = `usage: bun run schemas test NAME…    which rules a name gets of storage-schemas.conf and
                                     storage-aggregation.conf, and why`

export function runSchemaCommand(words: readonly string[], config: Config, disk: Disk): number {
  const [command, ...names] = words
  if (command !== 'test' || names.length === 0) {
    return wrongCommand(words, USAGE)
  }
  const schemas = loadSchemas(config, disk)
  if (!schemas.ok) {
    for (const complaint of schemas.error) console.error(complaint)
    return EXIT_CONFIG
  }
  for (const name of names)
    for (const line of explainSchemas(schemas.value, name)) console.log(line)
  return 0
}

/** A few lines about one name. */
export function explainSchemas(schemas: Schemas, name: string): string[] {
  const canonical = canonicalPath(name)
  const path = canonical.ok ? canonical.value : name
  const { retention, aggregation } = schemas.match(path)
  const tried = (
    rules: readonly { name: string; pattern: PythonRegex }[],
    hit: { name: string },
  ): string => {
    const at = rules.findIndex((rule) => rule === hit)
    const before = (at < 0 ? rules : rules.slice(0, at)).map((rule) => `[${rule.name}]`)
    const why = at < 0 ? 'nothing fits' : `fits /${rules[at]!.pattern.source}/`
    return before.length === 0 ? why : `${why}, not ${before.join(' ')}`
  }
  const { method, xFilesFactor } = aggregation
  const kept = formatRetentions(retention.archives)
  const whyKept = tried(schemas.retentions, retention)
  const whyMethod = tried(schemas.aggregations, aggregation)
  return [
    path,
    `  retention   [${retention.name}] ${kept} (${whyKept})`,
    `  aggregation [${aggregation.name}] ${method}, xFilesFactor ${xFilesFactor} (${whyMethod})`,
  ]
}
