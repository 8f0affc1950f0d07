/**
 * A query for one alias, as `api.postgres_queries` has it, made into one that answers any number of them:
 *
 *   SELECT owner FROM hosts WHERE name = $1
 *
 * runs once for each row of nodes, in LATERAL beside an unnested array for each `$n`. `$n` is a text; a column of
 * another type wants a cast, `$1::int`. Of several answers the first counts.
 */

import { err, ok, type Result } from '../../lib/result.ts'
import { ALIAS_CHARACTERS_MAX } from './alias-table.ts'

export interface AliasQuery {
  /** Takes `nodeCount` arrays of texts; answers rows of (place from 1, alias). */
  readonly sql: string
  readonly nodeCount: number
}

const NODES_MAX = 8

/** Texts and names in quotes, which are left alone; and parameters. */
const TOKEN_RE = /'(?:[^']|'')*'|"(?:[^"]|"")*"|\$(\d+)/g

export function compileAliasQuery(text: string): Result<AliasQuery> {
  let nodeCount = 0
  let wrong: string | undefined
  const single = text.replace(/[\s;]+$/, '').replaceAll(TOKEN_RE, (token, digits?: string) => {
    if (digits === undefined) return token
    const node = Number(digits)
    if (node < 1 || node > NODES_MAX) wrong ??= token
    nodeCount = Math.max(nodeCount, node)
    return `emon_asked.node${node}`
  })
  if (wrong !== undefined) return err(`${wrong} must be one of $1 to $${NODES_MAX}`)
  if (!/^\s*(?:select|with)\b/i.test(single)) return err('must be a SELECT')
  if (nodeCount === 0) return err('must use $1, the first of the nodes')
  const nodes = Array.from({ length: nodeCount }, (_, i) => i + 1)
  const sql =
    `SELECT emon_asked.place::int, left(emon_found.alias::text, ${ALIAS_CHARACTERS_MAX}) ` +
    `FROM unnest(${nodes.map((node) => `$${node}::text[]`).join(', ')}) WITH ORDINALITY ` +
    `AS emon_asked (${nodes.map((node) => `node${node}`).join(', ')}, place), ` +
    `LATERAL (SELECT * FROM (\n${single}\n) AS emon_answer LIMIT 1) AS emon_found (alias)`
  return ok({ sql, nodeCount })
}
