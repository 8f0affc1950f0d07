/**
 * Arguments that are times or intervals, read by the grammar of `from` and `until`; or a refusal that says why not.
 */

import { parseAtTime, parseOffset } from '../at-time.ts'
import { RenderError } from '../render-series.ts'
import type { FunctionCall } from './function.ts'

/** A point in time, by the request's now and time zone. */
export function timeOf(call: FunctionCall, text: string): number {
  const time = parseAtTime(text, call)
  if (!time.ok) throw new RenderError(time.error)
  return time.value
}

/** Seconds, negative into the past. */
export function offsetOf(interval: string): number {
  const offset = parseOffset(interval)
  if (!offset.ok)
    throw new RenderError(`cannot parse interval ${JSON.stringify(interval)}: ${offset.error}`)
  return offset.value
}

/** Seconds of an interval of at least one, its sign left out. */
export function intervalSeconds(text: string): number {
  const seconds = Math.abs(offsetOf(text))
  if (seconds < 1) throw new RenderError(`interval ${JSON.stringify(text)} must be at least 1 s`)
  return seconds
}
