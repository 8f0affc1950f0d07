/**
 * Whisper files (whisper.py; go-whisper): the layout and the few facts that reader and writer share.
 *
 * ```
 * u32 method │ u32 longest retention │ f32 xFilesFactor │ u32 archives            all big endian
 * per archive, finest first: u32 offset │ u32 step │ u32 slots
 * per archive, at its offset: slots × (u32 timestamp │ f64 value), zeros where nothing was written
 * ```
 *
 * An archive is a ring. Its *base* is the timestamp in its first slot, 0 when it is empty; the slot of t is
 * `(t − base) / step` modulo the number of slots, and it is valid only if t stands in it.
 */

import type { FetchedSlots, SeriesRule } from '../engine.ts'
import type { AggregationMethod } from '../../metric/consolidation.ts'

export const HEADER_BYTES = 16
export const ARCHIVE_INFO_BYTES = 12
export const POINT_BYTES = 12

/** Offsets are u32, and nobody has more archives than this. */
export const FILE_BYTES_MAX = 0xffff_ffff
export const ARCHIVES_MAX = 64

/**
 * python-whisper's numbers. go-whisper has other methods as 6 (first), 7 (mix) and 8 (percentile), which
 * only its compressed files can hold.
 */
export const METHOD_CODES: Readonly<Record<AggregationMethod, number>> = {
  average: 1,
  sum: 2,
  last: 3,
  max: 4,
  min: 5,
  avg_zero: 6,
  absmax: 7,
  absmin: 8,
}

/** The first number of files from before there were methods is a time. */
export const METHOD_CODE_MAX = 1024

/** One file: how the series is kept, and the slots of each archive, finest first. */
export interface WhisperSeries extends Omit<SeriesRule, 'pinned'> {
  readonly slots: readonly FetchedSlots[]
}

/** Points of one archive in any order. */
export interface WhisperPoints {
  readonly timestamps: Float64Array
  readonly values: Float64Array
}

/** `a` modulo `b`, never negative (JavaScript's `%` is the remainder). */
export function modulo(a: number, b: number): number {
  return ((a % b) + b) % b
}

/** The points as slots in a row, from the oldest to the newest that is there; no slots when there are none. */
export function slotsOf(points: WhisperPoints, step: number): FetchedSlots {
  const { timestamps, values } = points
  let first = Infinity
  let last = -Infinity
  for (let i = 0; i < timestamps.length; i++) {
    const timestamp = timestamps[i]!
    if (timestamp < first) first = timestamp
    if (timestamp > last) last = timestamp
  }
  if (timestamps.length === 0) return { start: 0, step, values: new Float64Array(0) }
  const row = new Float64Array((last - first) / step + 1).fill(NaN)
  for (let i = 0; i < timestamps.length; i++) row[(timestamps[i]! - first) / step] = values[i]!
  return { start: first, step, values: row }
}
