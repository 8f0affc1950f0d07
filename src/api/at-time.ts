/** The from/until grammar (graphite-web render/attime.py). */

import { err, type Result } from '../lib/result.ts'

export interface AtTimeContext {
  /** Unix seconds. */
  readonly now: number
  /** IANA name. */
  readonly timeZone: string
}

/** `-1h`, `now`, `noon yesterday`, `20260101`, `1767225600` → Unix seconds. */
export function parseAtTime(text: string, _context: AtTimeContext): Result<number> {
  return err(`cannot parse time ${JSON.stringify(text)}`)
}
