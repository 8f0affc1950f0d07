/**
 * From memory to the windows' files: the head's frozen rows, and what came late. Both may be done again
 * after a failure: what went in before is overwritten by the same values.
 */

import type { Core } from './core.ts'
import { seriesAnExtent } from './extent-writer.ts'
import type { Lane, Level } from './lane.ts'
import type { LatePoints } from './late.ts'
import { putSlots, putUnder } from './rollup.ts'
import { SlotMatrix } from '../files/slot-matrix.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'

/** Writes the head's slots below `frozen`, once; `thaw` is the caller's, once they are safe. */
export async function writeFrozen(core: Core, lane: Lane, slice: TimeSlice): Promise<void> {
  const { head, finest } = lane
  if (head.isFrozenWritten) return
  for (let from = head.from; from < head.frozen;) {
    const windowEnd = (Math.floor(from / finest.windowSlots) + 1) * finest.windowSlots
    const to = Math.min(head.frozen, windowEnd)
    await writeRows(core, lane, { from, to }, slice)
    from = to
  }
  head.isFrozenWritten = true
}

/** Slots [from, to), all of one window, group by group. */
async function writeRows(
  core: Core,
  lane: Lane,
  range: { from: number; to: number },
  slice: TimeSlice,
): Promise<void> {
  const { head } = lane
  const { from, to } = range
  if (!isAnyUsed(lane, from, to)) return
  const seats = head.seatsByIdOrder()
  const most = seriesAnExtent(to - from)
  const values = new Float64Array(most * (to - from))
  for (let first = 0; first < seats.length; first += most) {
    if (slice.isOver()) await slice.rest()
    const ids = new Uint32Array(most)
    let count = 0
    for (let i = first; i < Math.min(seats.length, first + most); i++) {
      const seat = seats[i]!
      const id = head.idAt(seat)
      if (head.gather(seat, from, to, values, count * (to - from)) > 0) ids[count++] = id
    }
    if (count === 0) continue
    await putSlots(core, lane, 0, new SlotMatrix(ids.subarray(0, count), from, to, values), slice)
  }
}

function isAnyUsed(lane: Lane, from: number, to: number): boolean {
  for (let slot = from; slot < to; slot++) if (lane.head.isUsed(slot)) return true
  return false
}

/** Writes what came late to any level of the lane, and what was imported; over what the head froze. */
export async function writeLate(core: Core, lane: Lane, slice: TimeSlice): Promise<void> {
  await writeFrozen(core, lane, slice)
  await finishLate(core, lane, slice)
  for (const level of lane.levels) level.beginWriting()
  await finishLate(core, lane, slice)
}

/** Writes what an earlier call took and could not write. */
export async function finishLate(core: Core, lane: Lane, slice: TimeSlice): Promise<void> {
  for (const [depth, level] of lane.levels.entries()) {
    if (level.loading)
      await eachGroup(core, level, level.loading, slice, (matrix) =>
        putUnder(core, lane, depth, matrix, slice),
      )
    level.loading = undefined
  }
  for (const [depth, level] of lane.levels.entries()) {
    if (level.writing)
      await eachGroup(core, level, level.writing, slice, (matrix) =>
        putSlots(core, lane, depth, matrix, slice),
      )
    level.endWriting()
  }
}

/** Groups the points by window and by neighbouring ids; each group is one matrix. */
async function eachGroup(
  core: Core,
  level: Level,
  points: LatePoints,
  slice: TimeSlice,
  put: (matrix: SlotMatrix) => void | Promise<void>,
): Promise<void> {
  const order = core.lateOrder.sort(points, level.windowSlots)
  let memory = new Float64Array(0)
  for (let start = 0; start < order.length;) {
    if (slice.isOver()) await slice.rest()
    const group = findGroup(points, order, start, level.windowSlots)
    const values = group.ids.length * (group.to - group.from)
    if (values > memory.length) memory = new Float64Array(values)
    const matrix = SlotMatrix.within(memory, group.ids, group.from, group.to)
    fill(matrix, points, order, { start, end: group.end })
    await put(dropUnknown(core, matrix))
    start = group.end
  }
}

const VALUES_A_GROUP = 16_384

/** Points up to `end` in the order, of these series and slots. */
interface LateGroup {
  readonly ids: Uint32Array
  readonly from: number
  readonly to: number
  readonly end: number
}

/** The next points of one window: as many series as make a handy matrix. */
function findGroup(
  points: LatePoints,
  order: Uint32Array,
  start: number,
  windowSlots: number,
): LateGroup {
  const { ids, slots } = points
  const window = Math.floor(slots[order[start]!]! / windowSlots)
  const found: number[] = []
  let from = Infinity
  let to = 0
  let end = start
  for (; end < order.length; end++) {
    const at = order[end]!
    const slot = slots[at]!
    if (Math.floor(slot / windowSlots) !== window) break
    const isNew = ids[at] !== found.at(-1)
    const width = Math.max(to, slot + 1) - Math.min(from, slot)
    if (isNew && found.length >= 64 && (found.length + 1) * width > VALUES_A_GROUP) break
    if (isNew) found.push(ids[at]!)
    if (slot < from) from = slot
    if (slot >= to) to = slot + 1
  }
  return { ids: Uint32Array.from(found), from, to, end }
}

function fill(
  matrix: SlotMatrix,
  { ids, slots, values }: LatePoints,
  order: Uint32Array,
  { start, end }: { start: number; end: number },
): void {
  let k = -1
  for (let i = start; i < end; i++) {
    const at = order[i]!
    if (k < 0 || matrix.ids[k] !== ids[at]) k++
    matrix.set(k, slots[at]!, values[at]!)
  }
  matrix.complete()
}

/** Removed series leave no trace; their columns are emptied, which leaves them out. */
function dropUnknown(core: Core, matrix: SlotMatrix): SlotMatrix {
  for (let k = 0; k < matrix.count; k++) {
    if (!core.table.has(matrix.ids[k]!))
      matrix.values.fill(NaN, k * matrix.width, (k + 1) * matrix.width)
  }
  return matrix
}
