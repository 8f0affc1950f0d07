/** Writes a matrix of slots to a window, as extents of about 4,096 values each. */

import type { Core } from './core.ts'
import type { Lane } from './lane.ts'
import type { SlotMatrix } from '../files/slot-matrix.ts'
import type { Window } from './window.ts'

const VALUES_AN_EXTENT = 4_096
const SERIES_MIN = 64
const SERIES_MAX = 1_024

/** How many series with so many slots make one extent. */
export function seriesAnExtent(slots: number): number {
  return Math.min(SERIES_MAX, Math.max(SERIES_MIN, Math.floor(VALUES_AN_EXTENT / slots)))
}

/** Appends what is known in the matrix, all of it within the window; series with nothing are left out. */
export function writeMatrix(
  core: Core,
  lane: Lane,
  depth: number,
  window: Window,
  matrix: SlotMatrix,
): void {
  const { width, values, from } = matrix
  const ids = new Uint32Array(matrix.count)
  let count = 0
  for (let k = 0; k < matrix.count; k++) {
    if (!hasAny(values, k * width, width)) continue
    if (count !== k) values.copyWithin(count * width, k * width, (k + 1) * width)
    ids[count++] = matrix.ids[k]!
  }
  if (count === 0) return
  const { extents, encoder } = core
  extents.reset()
  const most = seriesAnExtent(width)
  for (let k = 0; k < count; k += most) {
    const part = ids.subarray(k, Math.min(count, k + most))
    const columns = {
      ids: part,
      count: part.length,
      firstSlot: from,
      slots: width,
      values: values.subarray(k * width, (k + part.length) * width),
      averagedOf: averagedOf(core, lane, depth, part),
      collectedStep: depth === 0 ? lane.finest.step : 0,
    }
    encoder.encode(extents, columns)
  }
  core.extentFile(lane, lane.levels[depth]!, window).append(extents)
  window.lastAppendMs = core.clock.monotonicMs()
}

function hasAny(values: Float64Array, at: number, width: number): boolean {
  for (let i = at; i < at + width; i++) if (values[i] === values[i]) return true
  return false
}

/** Of how many finer slots a level's values are averages, by series; 1 where they are none. */
export function averagedOf(
  core: Core,
  lane: Lane,
  depth: number,
  ids: Uint32Array,
): (position: number) => number {
  if (depth === 0) return () => 1
  const ratio = lane.ratio(lane.sourceOf(depth), depth)
  return (position) => {
    const method = core.table.rule(ids[position]!)?.method
    return method === 'average' || method === 'avg_zero' ? ratio : 1
  }
}
