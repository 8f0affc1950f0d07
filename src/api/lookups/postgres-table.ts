/**
 * aliasByPostgres: what configured queries of one database answer, read only, over at most two connections.
 *
 * A query that is slow is ended by the server itself (statement_timeout). A server that says nothing at all
 * loses its connections, and the next question makes new ones. Bun's client is loaded only where there is a database.
 */

import type { SQL } from 'bun'
import { RenderError } from '../render-series.ts'
import {
  type AliasRow,
  type AliasTable,
  inTime,
  tableError,
  type TableTiming,
} from './alias-table.ts'
import type { AliasQuery } from './postgres-query.ts'

const CONNECTIONS_MAX = 2
const IDLE_SECONDS = 60
/** What the server may take longer than its own limit on a query. */
const GRACE_MS = 500

/** Classes of SQLSTATE that say that the question is wrong: unknown to it, its data, a write, its syntax. */
const QUESTION_RE = /^(?:0A|22|25|42)/

export interface PostgresTableOptions extends TableTiming {
  /** As aliasByPostgres calls it. */
  readonly name: string
  readonly url: string
  readonly queries: ReadonlyMap<string, AliasQuery>
}

export class PostgresTable implements AliasTable {
  readonly #options: PostgresTableOptions
  #pool: SQL | undefined

  /** Throws for a URL that is none. */
  constructor(options: PostgresTableOptions) {
    this.#options = options
    this.#pool = this.#open()
  }

  /** Nodes that the query does not take follow the alias. */
  async lookUp(key: string, rows: readonly AliasRow[]): Promise<readonly (string | undefined)[]> {
    const { name, queries } = this.#options
    const query = queries.get(key)
    if (!query) {
      throw new RenderError(`aliasByPostgres(): no query ${JSON.stringify(key)} is set up`)
    }
    const { nodeCount } = query
    const given = rows[0]?.length ?? nodeCount
    if (given < nodeCount) {
      throw new RenderError(
        `aliasByPostgres(): query ${JSON.stringify(key)} takes ${nodeCount} nodes, not ${given}`,
      )
    }
    const aliases = await this.#ask(`the database ${JSON.stringify(name)}`, query, rows)
    return rows.map((row, i) => {
      const alias = aliases.get(i + 1)
      return alias === undefined ? undefined : [alias, ...row.slice(nodeCount)].join('.')
    })
  }

  close(): void {
    if (this.#pool) this.#giveUp(this.#pool)
  }

  async #ask(server: string, query: AliasQuery, rows: readonly AliasRow[]) {
    this.#pool ??= this.#open()
    const pool = this.#pool
    const columns = Array.from({ length: query.nodeCount }, (_, i) => rows.map((row) => row[i]!))
    const { clock, timeoutMs } = this.#options
    const aliases = new Map<number, string>()
    try {
      const asked = pool.unsafe(
        query.sql,
        columns.map((column) => pool.array(column, 'TEXT')),
      )
      const timing = { clock, timeoutMs: timeoutMs + GRACE_MS }
      const answers = (await inTime(asked.values(), server, timing)) as [number, string | null][]
      for (const [place, alias] of answers) {
        if (alias !== null && alias !== '') aliases.set(place, alias)
      }
      return aliases
    } catch (error) {
      if (error instanceof Bun.SQL.PostgresError && error.code === 'ERR_POSTGRES_SERVER_ERROR') {
        if (QUESTION_RE.test(error.errno ?? '')) {
          throw new RenderError(`aliasByPostgres(): ${server} refuses: ${error.message}`)
        }
      } else this.#giveUp(pool)
      throw tableError(server, error)
    }
  }

  #open(): SQL {
    const { url, timeoutMs } = this.#options
    return new Bun.SQL({
      url,
      adapter: 'postgres',
      max: CONNECTIONS_MAX,
      connectionTimeout: Math.ceil(timeoutMs / 1000),
      idleTimeout: IDLE_SECONDS,
      connection: {
        application_name: 'emon-api',
        default_transaction_read_only: 'on',
        statement_timeout: timeoutMs,
      },
    })
  }

  /** Gives connections back, what is still asked over them included. */
  #giveUp(pool: SQL): void {
    if (this.#pool === pool) this.#pool = undefined
    pool.close({ timeout: 0 }).catch(() => {})
  }
}
