/**
 * Coarser slots that are to be made anew, because a finer slot under them came late to a window that is rolled up
 * already. They are noted when the late points are written, and made anew together with the next checkpoint, before its
 * manifest: a sealed column is then decoded once for all that came to it, not once for every few megabytes.
 *
 * Until that manifest the log has the points, so what was noted need not survive a crash. Limit: beyond half a million
 * they are made anew at once.
 */

import type { Core } from './core.ts'
import type { Lane, Level } from './lane.ts'
import { recompute } from './rollup.ts'
import type { KnownSlots } from '../files/slot-matrix.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'

const TOUCHED_MAX = 512 * 1024
const VALUES_A_GROUP = 65_536
const SERIES_MIN = 64

/** Makes anew what was noted in a lane; or only where that has become too much. */
export async function recomputeTouched(
  core: Core,
  lane: Lane,
  slice: TimeSlice,
  least = 1,
): Promise<void> {
  for (const [depth, level] of lane.levels.entries()) {
    const { touched } = level
    if (touched.length < least) continue
    const order = core.lateOrder.sort(touched, level.windowSlots / level.ratio)
    for (let start = 0; start < order.length;) {
      if (slice.isOver()) await slice.rest()
      const end = groupEnd(level, order, start)
      await recompute(core, lane, depth, finerSlots(level, order, { start, end }), slice)
      start = end
    }
    touched.clear()
  }
}

/** So that what is noted stays small. */
export function recomputeMany(core: Core, lane: Lane, slice: TimeSlice): Promise<void> {
  return recomputeTouched(core, lane, slice, TOUCHED_MAX)
}

/** Where in the order another window begins, or enough series have been met. */
function groupEnd(
  { touched, windowSlots, ratio }: Level,
  order: Uint32Array,
  start: number,
): number {
  const { ids, slots } = touched
  const coarseSlots = windowSlots / ratio
  const window = Math.floor(slots[order[start]!]! / coarseSlots)
  let series = 0
  let id = -1
  let from = Infinity
  let to = 0
  for (let i = start; i < order.length; i++) {
    const at = order[i]!
    const slot = slots[at]!
    if (Math.floor(slot / coarseSlots) !== window) return i
    const width = (Math.max(to, slot + 1) - Math.min(from, slot)) * ratio
    if (ids[at] !== id) {
      if (series >= SERIES_MIN && (series + 1) * width > VALUES_A_GROUP) return i
      series++
      id = ids[at]!
    }
    from = Math.min(from, slot)
    to = Math.max(to, slot + 1)
  }
  return order.length
}

/** The touched slots [start, end) of the order as finer ones: of each the first. */
function finerSlots(
  { touched, ratio }: Level,
  order: Uint32Array,
  { start, end }: { start: number; end: number },
): KnownSlots {
  const found: number[] = []
  let first = Infinity
  let last = 0
  for (let i = start; i < end; i++) {
    const at = order[i]!
    const id = touched.ids[at]!
    if (id !== found.at(-1)) found.push(id)
    first = Math.min(first, touched.slots[at]!)
    last = Math.max(last, touched.slots[at]!)
  }
  const from = first * ratio
  const to = (last + 1) * ratio
  const known = new Uint8Array(found.length * (to - from))
  let k = -1
  for (let i = start; i < end; i++) {
    const at = order[i]!
    if (k < 0 || found[k] !== touched.ids[at]) k++
    known[k * (to - from) + touched.slots[at]! * ratio - from] = 1
  }
  return { ids: Uint32Array.from(found), from, to, known }
}
