/**
 * aliasByRedis: fields of hashes, read with HMGET over one connection.
 *
 * The connection is made anew after it broke, and given up when an answer is late, so that nothing queues up
 * behind a server that hangs. Bun's client is loaded only where there is a server, for it takes memory.
 */

import type { RedisClient } from 'bun'
import { RenderError } from '../render-series.ts'
import {
  ALIAS_CHARACTERS_MAX,
  type AliasRow,
  type AliasTable,
  inTime,
  tableError,
  type TableTiming,
} from './alias-table.ts'

const SERVER = 'the Redis server'
/** Fields of one command: others of the server's clients get their turn in between. */
const FIELDS_MAX = 1_000

export class RedisTable implements AliasTable {
  readonly #url: string
  readonly #timing: TableTiming
  #client: RedisClient | undefined

  /** Throws for a URL that is none. */
  constructor(url: string, timing: TableTiming) {
    this.#url = url
    this.#timing = timing
    this.#client = this.#open()
  }

  async lookUp(key: string, rows: readonly AliasRow[]): Promise<readonly (string | undefined)[]> {
    this.#client ??= this.#open()
    const client = this.#client
    try {
      const asked = chunks(rows).map((some) => client.hmget(key, some))
      const found = await inTime(Promise.all(asked), SERVER, this.#timing)
      return found.flat().map((alias) => alias?.slice(0, ALIAS_CHARACTERS_MAX))
    } catch (error) {
      if (isWrongType(error)) {
        throw new RenderError(`aliasByRedis(): key ${JSON.stringify(key)} is not a hash`)
      }
      this.#giveUp(client)
      throw tableError(SERVER, error)
    }
  }

  close(): void {
    if (this.#client) this.#giveUp(this.#client)
  }

  #open(): RedisClient {
    const client = new Bun.RedisClient(this.#url, {
      connectionTimeout: this.#timing.timeoutMs,
      autoReconnect: false,
    })
    client.onclose = () => this.#giveUp(client)
    return client
  }

  #giveUp(client: RedisClient): void {
    if (this.#client === client) this.#client = undefined
    client.close()
  }
}

function chunks(rows: readonly AliasRow[]): string[][] {
  const fields = rows.map(([field]) => field!)
  const count = Math.ceil(fields.length / FIELDS_MAX)
  return Array.from({ length: count }, (_, i) => fields.slice(i * FIELDS_MAX, (i + 1) * FIELDS_MAX))
}

function isWrongType(error: unknown): boolean {
  return error instanceof Error && error.message.startsWith('WRONGTYPE')
}
