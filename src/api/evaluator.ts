/**
 * Targets to series: parses, fetches in as few store queries as possible, calls functions.
 *
 * This is the seam to the HTTP side; see `evaluateTargets`.
 */

import type { Clock } from '../lib/clock.ts'
import type { RenderSeries, SeriesSource } from './render-series.ts'

export interface RenderContext {
  /** Unix seconds; the range is (from, until]. */
  readonly from: number
  readonly until: number
  readonly now: number
  /** IANA name, already checked. */
  readonly timeZone: string
  /** The request's default; 0 unless it says otherwise. */
  readonly xFilesFactor: number
  /** `template[name]=value` of the request. */
  readonly template: ReadonlyMap<string, string>
  readonly source: SeriesSource
  readonly clock: Clock
  /** The client went away, or the request is cancelled for another reason. */
  readonly signal: AbortSignal
  /** On `clock.monotonicMs()`; later than this evaluation fails with 504. */
  readonly deadlineMs: number
  /** Points that all intermediate series of the request may have together, counted as they are made. */
  readonly pointsMax: number
}

/**
 * The series of all targets, target after target. Throws `RenderError` for anything that is wrong with the
 * targets, and when a limit, the deadline or the signal ends the work.
 */
export async function evaluateTargets(
  _targets: readonly string[],
  _context: RenderContext,
): Promise<RenderSeries[]> {
  return []
}
