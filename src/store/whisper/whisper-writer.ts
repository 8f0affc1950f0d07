/**
 * Writes a plain Whisper file that every implementation reads (whisper-format.ts). The base of each ring is
 * its oldest known slot, because a first slot without a time means an empty archive.
 */

import type { FetchedSlots } from '../engine.ts'
import {
  ARCHIVE_INFO_BYTES,
  FILE_BYTES_MAX,
  HEADER_BYTES,
  METHOD_CODES,
  modulo,
  POINT_BYTES,
  type WhisperSeries,
} from './whisper-format.ts'

/** The whole file. Slots outside the last `count` of an archive must not be given. */
export function encodeWhisper(series: WhisperSeries): Uint8Array {
  const { archives, method, xFilesFactor, slots } = series
  let offset = HEADER_BYTES + archives.length * ARCHIVE_INFO_BYTES
  const total = archives.reduce((bytes, { count }) => bytes + count * POINT_BYTES, offset)
  if (total > FILE_BYTES_MAX) throw new RangeError(`a Whisper file of ${total} bytes`)
  const bytes = new Uint8Array(total)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, METHOD_CODES[method])
  view.setUint32(4, Math.max(...archives.map(({ step, count }) => step * count)))
  view.setFloat32(8, xFilesFactor)
  view.setUint32(12, archives.length)
  archives.forEach(({ step, count }, i) => {
    const info = HEADER_BYTES + i * ARCHIVE_INFO_BYTES
    view.setUint32(info, offset)
    view.setUint32(info + 4, step)
    view.setUint32(info + 8, count)
    writeRing(view, { offset, count }, slots[i]!)
    offset += count * POINT_BYTES
  })
  return bytes
}

function writeRing(
  view: DataView,
  { offset, count }: { offset: number; count: number },
  { start, step, values }: FetchedSlots,
): void {
  const first = values.findIndex((value) => value === value)
  if (first < 0) return
  for (let i = first; i < values.length; i++) {
    const value = values[i]!
    if (value !== value) continue
    const at = offset + modulo(i - first, count) * POINT_BYTES
    view.setUint32(at, start + i * step)
    view.setFloat64(at + 4, value)
  }
}
