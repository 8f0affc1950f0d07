/** `bun run schemas test NAME…`: which rules a name gets, and why: each rule that was tried before it fits. */

import { type Config, EXIT_CONFIG } from '../../config.ts'
import type { Disk } from '../../lib/disk.ts'
import { err } from '../../lib/result.ts'
import type { PythonRegex } from '../../lib/python-regex.ts'
import { toUtf8 } from '../../lib/bytes.ts'
import { canonicalPath, isValidPath, NODE_BYTES_MAX, PATH_BYTES_MAX } from '../../metric/path.ts'
import { showRetentions } from '../../metric/retention.ts'
import { loadSchemas, type Schemas } from '../index/schemas.ts'
import { asksForHelp, wrongCommand } from './usage.ts'

const USAGE = `usage: bun run schemas test NAME…    which rules a name gets of storage-schemas.conf and
                                     storage-aggregation.conf, and why`

export function runSchemaCommand(words: readonly string[], config: Config, disk: Disk): number {
  const [command, ...names] = words
  if (command !== 'test' || names.length === 0 || asksForHelp(words)) {
    return wrongCommand(words, USAGE)
  }
  const schemas = loadSchemas(config, disk)
  if (!schemas.ok) {
    for (const complaint of schemas.error) console.error(complaint)
    return EXIT_CONFIG
  }
  let wrong = 0
  for (const name of names) {
    const canonical = isValidPath(toUtf8(name)) ? canonicalPath(name) : err(whyInvalid(name))
    if (canonical.ok)
      for (const line of explainSchemas(schemas.value, canonical.value)) console.log(line)
    else {
      wrong++
      console.error(canonical.error)
    }
  }
  return wrong === 0 ? 0 : 1
}

function whyInvalid(name: string): string {
  const limits = `1 to ${PATH_BYTES_MAX} bytes, nodes of at most ${NODE_BYTES_MAX}, no blanks`
  return `no series can be called ${JSON.stringify(name)}: ${limits}`
}

/** A few lines about one path. */
function explainSchemas(schemas: Schemas, path: string): string[] {
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
  const kept = showRetentions(retention.archives)
  const whyKept = tried(schemas.retentions, retention)
  const whyMethod = tried(schemas.aggregations, aggregation)
  return [
    path,
    `  retention   [${retention.name}] ${kept} (${whyKept})`,
    `  aggregation [${aggregation.name}] ${method}, xFilesFactor ${xFilesFactor} (${whyMethod})`,
  ]
}
