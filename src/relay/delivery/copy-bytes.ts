/**
 * Copies and compares short runs of bytes, four or eight at a time: `TypedArray.set` costs a view and a call, as much
 * as a line does this way, and single bytes take twice as long.
 */

const SHORT_BYTES_MAX = 192

/** Copies `source[start, end)` to `target` at `at`; returns where it ends there. */
export function copyBytes(
  target: DataView,
  at: number,
  source: DataView,
  start: number,
  end: number,
): number {
  if (end - start > SHORT_BYTES_MAX) return copyLong(target, at, source, start, end)
  let to = at
  let from = start
  for (const last = end - 3; from < last; from += 4, to += 4) {
    target.setInt32(to, source.getInt32(from, true), true)
  }
  for (; from < end; from++, to++) target.setInt8(to, source.getInt8(from))
  return to
}

function copyLong(
  target: DataView,
  at: number,
  source: DataView,
  start: number,
  end: number,
): number {
  const bytes = new Uint8Array(source.buffer, source.byteOffset + start, end - start)
  new Uint8Array(target.buffer, target.byteOffset, target.byteLength).set(bytes, at)
  return at + end - start
}

/** Whether `length` bytes are the same; both must have as many. */
export function sameBytes(
  a: DataView,
  aStart: number,
  b: DataView,
  bStart: number,
  length: number,
): boolean {
  let i = 0
  for (const last = length - 3; i < last; i += 4) {
    if (a.getInt32(aStart + i, true) !== b.getInt32(bStart + i, true)) return false
  }
  for (; i < length; i++) if (a.getInt8(aStart + i) !== b.getInt8(bStart + i)) return false
  return true
}

/**
 * As `sameBytes`, eight bytes at a time as doubles, for a name of `a` that holds no byte below a blank: it is never
 * a zero, of which there are two that are equal. Never true for another name; false for the same one where eight of its
 * bytes make no number, which differs from itself: the caller looks the name up then.
 */
export function sameName(
  a: DataView,
  aStart: number,
  b: DataView,
  bStart: number,
  length: number,
): boolean {
  if (length < 8) return sameBytes(a, aStart, b, bStart, length)
  const last = length - 8
  for (let i = 0; i < last; i += 8) {
    if (a.getFloat64(aStart + i, true) !== b.getFloat64(bStart + i, true)) return false
  }
  return a.getFloat64(aStart + last, true) === b.getFloat64(bStart + last, true)
}

export function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
