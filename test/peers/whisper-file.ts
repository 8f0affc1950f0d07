/**
 * Whisper files for tests: written as a whole, and read by whisper.py's rules of fetch.
 *
 * ```
 * file    := u32 method, u32 max retention, f32 xFilesFactor, u32 archives, archive…, points…
 * archive := u32 offset, u32 step, u32 count          all big endian
 * point   := u32 timestamp, f64 value                 at slot (timestamp − base) / step, base is in slot 0
 * ```
 */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

export interface WhisperArchive {
  readonly step: number
  readonly count: number
  /** Timestamps are multiples of the step. */
  readonly points: readonly (readonly [timestamp: number, value: number])[]
}

const HEADER_BYTES = 16
const ARCHIVE_BYTES = 12
const POINT_BYTES = 12

export async function writeWhisper(
  path: string,
  archives: readonly WhisperArchive[],
): Promise<void> {
  const bytes = archives.reduce(
    (sum, { count }) => sum + ARCHIVE_BYTES + count * POINT_BYTES,
    HEADER_BYTES,
  )
  const view = new DataView(new ArrayBuffer(bytes))
  view.setUint32(0, 1)
  view.setUint32(4, Math.max(...archives.map(({ step, count }) => step * count)))
  view.setFloat32(8, 0)
  view.setUint32(12, archives.length)
  let offset = HEADER_BYTES + archives.length * ARCHIVE_BYTES
  for (const [i, { step, count, points }] of archives.entries()) {
    const header = HEADER_BYTES + i * ARCHIVE_BYTES
    view.setUint32(header, offset)
    view.setUint32(header + 4, step)
    view.setUint32(header + 8, count)
    const base = points[0]?.[0] ?? 0
    for (const [timestamp, value] of points) {
      const slot = ((timestamp - base) / step) % count
      view.setUint32(offset + slot * POINT_BYTES, timestamp)
      view.setFloat64(offset + slot * POINT_BYTES + 4, value)
    }
    offset += count * POINT_BYTES
  }
  await mkdir(dirname(path), { recursive: true })
  await Bun.write(path, view.buffer as ArrayBuffer)
}

export interface WhisperRange {
  readonly from: number
  readonly until: number
  readonly now: number
}

export interface WhisperValues {
  readonly start: number
  readonly step: number
  readonly values: Float64Array
}

/** Undefined when the range lies outside of what the file can hold. */
export function fetchWhisper(view: DataView, range: WhisperRange): WhisperValues | undefined {
  const { now } = range
  const oldest = now - view.getUint32(4)
  if (range.from > now || range.until < oldest) return undefined
  const from = Math.max(range.from, oldest)
  const until = Math.min(range.until, now)
  const archives = view.getUint32(12)
  for (let i = 0; i < archives; i++) {
    const header = HEADER_BYTES + i * ARCHIVE_BYTES
    const step = view.getUint32(header + 4)
    const count = view.getUint32(header + 8)
    if (step * count < now - from && i < archives - 1) continue
    const start = from - (from % step) + step
    const end = until - (until % step) + step
    const length = Math.max((end - start) / step, 1)
    return {
      start,
      step,
      values: readPoints(view, view.getUint32(header), { start, step, count, length }),
    }
  }
  return undefined
}

/** A slot counts only when it holds the timestamp that is asked for. */
function readPoints(
  view: DataView,
  offset: number,
  { start, step, count, length }: { start: number; step: number; count: number; length: number },
): Float64Array {
  const values = new Float64Array(length).fill(NaN)
  const base = view.getUint32(offset)
  if (base === 0) return values
  for (let i = 0; i < length; i++) {
    const timestamp = start + i * step
    const slot = ((((timestamp - base) / step) % count) + count) % count
    const at = offset + slot * POINT_BYTES
    if (view.getUint32(at) === timestamp) values[i] = view.getFloat64(at + 4)
  }
  return values
}
