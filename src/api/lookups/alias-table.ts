/**
 * Outside tables that name series: a Redis server for aliasByRedis, PostgreSQL databases for aliasByPostgres.
 *
 * A table is asked for many rows at once and answers an alias for each. It holds no request longer than
 * `api.lookup_timeout`, and connects with its first question. It fails with `RenderError`: 400 for what the
 * question is, 503 for what the server is.
 */

import type { Clock } from '../../lib/clock.ts'
import { reason } from '../../lib/log.ts'
import { RenderError } from '../render-series.ts'

export interface AliasTable {
  /** The alias of each row under `key` (a Redis hash, the name of a query); undefined where there is none. */
  lookUp(key: string, rows: readonly AliasRow[]): Promise<readonly (string | undefined)[]>
  close(): void
}

/** What one series is looked up by. */
export type AliasRow = readonly string[]

/** Longer aliases are cut: a path is no longer either. */
export const ALIAS_CHARACTERS_MAX = 1_024

export interface TableTiming {
  readonly clock: Clock
  readonly timeoutMs: number
}

/** What `asked` answers, or a 503 once it is late; `server` is what the text calls the one that was asked. */
export async function inTime<T>(
  asked: Promise<T>,
  server: string,
  { clock, timeoutMs }: TableTiming,
): Promise<T> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const timer = clock.after(timeoutMs, () =>
    reject(new RenderError(`${server} did not answer within ${timeoutMs / 1000} s`, 503)),
  )
  try {
    return await Promise.race([asked, late])
  } finally {
    timer.cancel()
  }
}

/** Why a table could not be asked, as the client is told. */
export function tableError(server: string, error: unknown): RenderError {
  if (error instanceof RenderError) return error
  return new RenderError(`${server} cannot be asked: ${reason(error)}`, 503)
}
