/**
 * The tables that are configured, from api.redis, api.postgres and api.postgres_queries, and the one that a
 * question is for.
 */

import type { Config } from '../../config.ts'
import type { Clock } from '../../lib/clock.ts'
import { reason } from '../../lib/log.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { type AliasQuestion, RenderError } from '../render-series.ts'
import type { AliasTable } from './alias-table.ts'
import { type AliasQuery, compileAliasQuery } from './postgres-query.ts'
import { PostgresTable } from './postgres-table.ts'
import { RedisTable } from './redis-table.ts'

export class AliasTables {
  readonly #redis: AliasTable | undefined
  readonly #databases: ReadonlyMap<string, AliasTable>

  constructor(redis: AliasTable | undefined, databases: ReadonlyMap<string, AliasTable>) {
    this.#redis = redis
    this.#databases = databases
  }

  /** Throws `RenderError` when there is none. */
  tableOf(question: AliasQuestion): AliasTable {
    if (question.table === 'redis') {
      if (this.#redis) return this.#redis
      throw new RenderError('aliasByRedis(): no Redis server is set up: EMON_REDIS')
    }
    const database = this.#databases.get(question.database)
    if (database) return database
    const name = JSON.stringify(question.database)
    throw new RenderError(`aliasByPostgres(): no database ${name} is set up: EMON_POSTGRES`)
  }

  close(): void {
    this.#redis?.close()
    for (const database of this.#databases.values()) database.close()
  }
}

/** The tables, or every complaint about their settings; nothing is connected yet. */
export function openAliasTables(
  { api }: Config,
  clock: Clock,
): Result<AliasTables, readonly string[]> {
  const complaints: string[] = []
  const attempt = <T>(setting: string, open: () => T): T | undefined => {
    try {
      return open()
    } catch (error) {
      complaints.push(`${setting}: ${reason(error)}`)
      return undefined
    }
  }
  const timing = { clock, timeoutMs: api.lookup_timeout * 1000 }
  const url = api.redis
  const redis =
    url === undefined
      ? undefined
      : attempt('api.redis', () => {
          if (!/^[a-z+]+:\/\//.test(url)) throw new Error('must be redis://host:port')
          return new RedisTable(url, timing)
        })
  const queries = parseQueries(api.postgres_queries ?? '', complaints)
  const databases = new Map<string, AliasTable>()
  for (const [name, address] of parseDatabases(api.postgres ?? '', complaints)) {
    const options = { ...timing, name, url: address, queries: queries.get(name) ?? new Map() }
    const table = attempt(`api.postgres: ${name}`, () => new PostgresTable(options))
    if (table) databases.set(name, table)
  }
  for (const name of queries.keys()) {
    if (databases.has(name)) continue
    complaints.push(`api.postgres_queries: there is no database ${name} in api.postgres`)
  }
  return complaints.length > 0 ? err(complaints) : ok(new AliasTables(redis, databases))
}

/** `NAME=postgres://…`, separated by blanks. */
function parseDatabases(text: string, complaints: string[]): [name: string, url: string][] {
  const databases: [string, string][] = []
  for (const part of text.split(/\s+/).filter(Boolean)) {
    const parts = /^([\w-]+)=(postgres(?:ql)?:\/\/.+)$/.exec(part)
    if (parts) databases.push([parts[1]!, parts[2]!])
    else {
      // What it is instead may hold a password.
      complaints.push(
        `api.postgres: entry ${databases.length + 1} must be NAME=postgres://user:password@host/database`,
      )
    }
  }
  return databases
}

/** `DATABASE.KEY=SELECT …`, one a line. */
function parseQueries(
  text: string,
  complaints: string[],
): ReadonlyMap<string, ReadonlyMap<string, AliasQuery>> {
  const databases = new Map<string, Map<string, AliasQuery>>()
  for (const line of text.split('\n').filter((one) => one.trim() !== '')) {
    const parts = /^\s*([\w-]+)\.([\w-]+)\s*=(.+)$/.exec(line)
    const query = parts ? compileAliasQuery(parts[3]!) : err('must be DATABASE.KEY=SELECT …')
    if (!query.ok) complaints.push(`api.postgres_queries: ${line.trim()}: ${query.error}`)
    else {
      const [, database, key] = parts!
      const queries = databases.get(database!) ?? new Map<string, AliasQuery>()
      databases.set(database!, queries.set(key!, query.value))
    }
  }
  return databases
}
