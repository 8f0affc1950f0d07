/**
 * All names in code point order, for listing them page by page: runs are sorted by themselves, then merged
 * two by two, so that a million names never hold the event loop. UTF-8 bytes order as code points do.
 */

import type { ByteTable } from './byte-table.ts'
import type { SlicedWork } from '../../lib/slices.ts'

const RUN = 2_048

/** Ids, all that there are when none are given, in the order of their entries' bytes. Takes `ids` for itself. */
export function* inTextOrder(
  table: ByteTable,
  ids: Uint32Array<ArrayBuffer> = livingIds(table),
): SlicedWork<Uint32Array<ArrayBuffer>> {
  const compare = (a: number, b: number): number => table.compare(a, b)
  for (let start = 0; start < ids.length; start += RUN) {
    ids.subarray(start, start + RUN).sort(compare)
    yield
  }
  let from = ids
  let into = new Uint32Array(ids.length > RUN ? ids.length : 0)
  for (let width = RUN; width < ids.length; width *= 2) {
    for (let start = 0; start < ids.length; start += 2 * width) {
      yield* merge(table, from, into, { start, width })
    }
    ;[from, into] = [into, from]
  }
  // What was removed while this worked has no bytes to compare any more.
  return from.filter((id) => table.has(id))
}

function livingIds(table: ByteTable): Uint32Array<ArrayBuffer> {
  const ids = new Uint32Array(table.size)
  let count = 0
  for (let id = 0; id < table.idLimit; id++) if (table.has(id)) ids[count++] = id
  return ids
}

function* merge(
  table: ByteTable,
  from: Uint32Array,
  into: Uint32Array,
  { start, width }: { start: number; width: number },
): SlicedWork<void> {
  const middle = Math.min(start + width, from.length)
  const end = Math.min(middle + width, from.length)
  let left = start
  let right = middle
  for (let at = start; at < end; at++) {
    const takeLeft =
      left < middle && (right >= end || table.compare(from[left]!, from[right]!) <= 0)
    into[at] = takeLeft ? from[left++]! : from[right++]!
    if ((at & (RUN - 1)) === 0) yield
  }
}
