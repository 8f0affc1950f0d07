/**
 * Reads Whisper files, plain ones here and go-whisper's compressed ones in whisper-compressed-reader.ts.
 *
 * A slot counts if its time lies on the step, it stands where the ring wants it, and it is no older than the
 * archive reaches back from the newest slot of the file (not from now: an old tree can be read at any time).
 * NaN was possible in Whisper and is no value here. What does not hold together is a `CorruptionError`.
 */

import { CorruptionError } from '../../lib/corruption.ts'
import type { AggregationMethod } from '../../metric/consolidation.ts'
import type { Archive } from '../../metric/retention.ts'
import { isCompressedWhisper, readCompressedWhisper } from './whisper-compressed-reader.ts'
import {
  ARCHIVE_INFO_BYTES,
  ARCHIVES_MAX,
  HEADER_BYTES,
  METHOD_CODE_MAX,
  METHOD_CODES,
  modulo,
  POINT_BYTES,
  slotsOf,
  type WhisperPoints,
  type WhisperSeries,
} from './whisper-format.ts'

/** `file` is for messages only. */
export function readWhisper(bytes: Uint8Array, file: string): WhisperSeries {
  return isCompressedWhisper(bytes)
    ? readCompressedWhisper(bytes, file)
    : readPlainWhisper(bytes, file)
}

export interface WhisperHeader {
  readonly archives: readonly Archive[]
  /** Where each archive begins. */
  readonly offsets: readonly number[]
  readonly method: AggregationMethod
  readonly xFilesFactor: number
}

/** The header of a plain file. */
export function readWhisperHeader(bytes: Uint8Array, file: string): WhisperHeader {
  if (bytes.length < HEADER_BYTES) throw new CorruptionError(file, 0, 'shorter than a header')
  const view = viewOf(bytes)
  const count = view.getUint32(12)
  const end = HEADER_BYTES + count * ARCHIVE_INFO_BYTES
  if (count === 0 || count > ARCHIVES_MAX || bytes.length < end) {
    throw new CorruptionError(file, 12, `it cannot have ${count} archives`)
  }
  const archives: Archive[] = []
  const offsets: number[] = []
  for (let at = HEADER_BYTES; at < end; at += ARCHIVE_INFO_BYTES) {
    const offset = view.getUint32(at)
    const step = view.getUint32(at + 4)
    const slots = view.getUint32(at + 8)
    if (step === 0 || slots === 0) throw new CorruptionError(file, at, 'an archive without slots')
    archives.push({ step, count: slots })
    offsets.push(offset)
  }
  const method = methodOf(view.getUint32(0), file)
  return { archives, offsets, method, xFilesFactor: view.getFloat32(8) }
}

function readPlainWhisper(bytes: Uint8Array, file: string): WhisperSeries {
  const { archives, offsets, method, xFilesFactor } = readWhisperHeader(bytes, file)
  const rings = archives.map((archive, i) => readRing(bytes, archive, offsets[i]!, file))
  const newest = rings.reduce((latest, ring) => Math.max(latest, newestOf(ring)), 0)
  const slots = archives.map(({ step, count }, i) =>
    slotsOf(newerThan(rings[i]!, newest - step * count), step),
  )
  return { archives, method, xFilesFactor, slots }
}

/** The slots of one ring that hold together. */
function readRing(
  bytes: Uint8Array,
  { step, count }: Archive,
  offset: number,
  file: string,
): WhisperPoints {
  if (offset + count * POINT_BYTES > bytes.length) {
    throw new CorruptionError(file, bytes.length, `the ${step} s archive is cut short`)
  }
  const view = viewOf(bytes)
  const base = view.getUint32(offset)
  const timestamps = new Float64Array(base === 0 ? 0 : count)
  const values = new Float64Array(timestamps.length)
  let length = 0
  for (let i = 0; i < timestamps.length; i++) {
    const at = offset + i * POINT_BYTES
    const timestamp = view.getUint32(at)
    if (timestamp === 0 || timestamp % step !== 0) continue
    if (modulo((timestamp - base) / step, count) !== i) continue
    const value = view.getFloat64(at + 4)
    if (Number.isNaN(value)) continue
    timestamps[length] = timestamp
    values[length++] = value
  }
  return { timestamps: timestamps.subarray(0, length), values: values.subarray(0, length) }
}

function newestOf({ timestamps }: WhisperPoints): number {
  let newest = 0
  for (let i = 0; i < timestamps.length; i++) newest = Math.max(newest, timestamps[i]!)
  return newest
}

function newerThan({ timestamps, values }: WhisperPoints, oldest: number): WhisperPoints {
  return {
    timestamps: timestamps.filter((timestamp) => timestamp > oldest),
    values: values.filter((_, i) => timestamps[i]! > oldest),
  }
}

function methodOf(code: number, file: string): AggregationMethod {
  if (code > METHOD_CODE_MAX) return 'average'
  for (const [method, number] of Object.entries(METHOD_CODES)) {
    if (number === code) return method as AggregationMethod
  }
  throw new CorruptionError(file, 0, `unknown aggregation method ${code}`)
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
