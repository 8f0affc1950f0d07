/**
 * Finer slots to coarser ones by Whisper's rule: a coarse slot has a value when the share of its finer
 * slots that are known reaches xFilesFactor (in float32), and the value is the rule's method over those.
 *
 * A coarse slot is rolled up when its finer window is sealed. Before that it is computed when asked for.
 * When a slot of a settled window comes late, its coarse slot is computed again, if all its finer slots are
 * still kept; if that fails xFilesFactor the old value stays.
 *
 * With exact roll-ups (`store.rollup`) the finer slots are the finest archive's as long as it keeps them, so an
 * average weighs every known value alike; where they are gone, the next finer level's, as with Whisper.
 */

import { aggregate, countKnown, meetsXFilesFactor } from '../../metric/consolidation.ts'
import type { Core } from './core.ts'
import { NO_SEAT } from './head.ts'
import type { Lane } from './lane.ts'
import { type KnownSlots, SlotMatrix } from '../files/slot-matrix.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'
import type { Window } from './window.ts'
import { writeMatrix } from './extent-writer.ts'

/**
 * All that is known of the matrix's slots at one level: files, what is on its way to them, the head. What
 * is in memory is taken first, because it may go to a file, and from memory, while files are read.
 */
export async function readLevel(
  core: Core,
  lane: Lane,
  depth: number,
  matrix: SlotMatrix,
  slice: TimeSlice,
): Promise<void> {
  const level = lane.levels[depth]!
  const pending = unsettledSources(lane, depth)
  const recent = readMemory(core, lane, depth, matrix)
  for (const window of level.windowsWithin(matrix.from, matrix.to)) await window.read(matrix, slice)
  if (recent) matrix.overlayAll(recent)
  for (const source of pending) await readUnsettled(core, lane, { ...source, depth, matrix }, slice)
}

/** The layers that are in memory, the newest last; undefined when they have nothing of these slots. */
function readMemory(
  core: Core,
  lane: Lane,
  depth: number,
  matrix: SlotMatrix,
): SlotMatrix | undefined {
  const { late, writing, loaded, loading } = lane.levels[depth]!
  const { head } = lane
  let from = matrix.to
  let to = matrix.from
  if (depth === 0) {
    from = Math.max(matrix.from, head.from)
    to = Math.min(matrix.to, head.from + head.rows)
  }
  const inHead = from < to
  if (!inHead) [from, to] = [matrix.to, matrix.from]
  for (const points of [loading, loaded, writing, late]) {
    const span = points?.span(matrix.from, matrix.to)
    if (!span || span.first >= span.end) continue
    from = Math.min(from, span.first)
    to = Math.max(to, span.end)
  }
  if (from >= to) return undefined
  const recent = new SlotMatrix(matrix.ids, from, to)
  loading?.read(recent)
  loaded.read(recent)
  if (inHead && !head.isFrozenWritten)
    readHead(core, lane, { from: head.from, to: head.frozen }, recent)
  writing?.read(recent)
  if (inHead) readHead(core, lane, { from: head.frozen, to: head.from + head.rows }, recent)
  late.read(recent)
  return recent
}

function readHead(
  core: Core,
  lane: Lane,
  slots: { from: number; to: number },
  matrix: SlotMatrix,
): void {
  const { table } = core
  const { head } = lane
  for (let k = 0; k < matrix.count; k++) {
    const id = matrix.ids[k]!
    if (table.rule(id)?.lane !== lane) continue
    const seat = table.seatOf[id]!
    if (seat !== NO_SEAT) head.read(seat, slots, matrix, k)
  }
}

/** A level of which some windows, by their start, were not rolled up. */
interface UnsettledSource {
  readonly source: number
  readonly starts: Set<number>
}

/** The levels that a level's slots may have to be computed from. */
function unsettledSources(lane: Lane, depth: number): UnsettledSource[] {
  if (depth === 0) return []
  const source = lane.sourceOf(depth)
  const sources = [{ source, starts: unsettledStarts(lane, source) }]
  if (source === depth - 1) return sources
  // Windows from before roll-ups were exact.
  const starts = new Set<number>()
  for (const window of lane.levels[depth - 1]!.windows.values())
    if (!window.settled) starts.add(window.start)
  return [...sources, { source: depth - 1, starts }]
}

/** Computes what was not rolled up yet from a finer level. */
async function readUnsettled(
  core: Core,
  lane: Lane,
  want: UnsettledSource & { depth: number; matrix: SlotMatrix },
  slice: TimeSlice,
): Promise<void> {
  const { source, starts, depth, matrix } = want
  const { windowSlots, step } = lane.levels[source]!
  const ratio = lane.ratio(source, depth)
  for (const start of starts) {
    const first = start / step
    const from = Math.max(matrix.from * ratio, first)
    const to = Math.min(matrix.to * ratio, first + windowSlots)
    if (from >= to) continue
    const fine = new SlotMatrix(matrix.ids, from, to)
    await readLevel(core, lane, source, fine, slice)
    fillCoarse(core, fine, ratio, matrix)
  }
}

/** Starts of the level's windows that hold, or may get from a finer level, slots that nobody rolled up. */
function unsettledStarts(lane: Lane, depth: number): Set<number> {
  const level = lane.levels[depth]!
  const starts = new Set<number>()
  for (const window of level.windows.values()) if (!window.settled) starts.add(window.start)
  let last = -1
  const add = (slot: number): void => {
    const start = level.windowStart(slot)
    if (start === last) return
    last = start
    if (!level.windows.get(start)?.settled) starts.add(start)
  }
  for (const late of [level.late, level.writing]) {
    for (let i = 0; i < (late?.length ?? 0); i++) add(late!.slots[i]!)
  }
  if (depth === 0) {
    const { head } = lane
    const { top } = head
    if (top > head.from) {
      add(head.from)
      add(top - 1)
    }
  } else {
    for (const start of unsettledStarts(lane, lane.sourceOf(depth)))
      add(Math.floor(start / level.step))
  }
  return starts
}

/**
 * Rolls `fine`, whose bounds lie on coarse slots' bounds, up to where `coarse` knows nothing: what was
 * written to a coarser archive itself came when the finer one did not take it any more.
 */
function fillCoarse(core: Core, fine: SlotMatrix, ratio: number, coarse: SlotMatrix): void {
  const { values, width } = fine
  const first = fine.from / ratio
  const slots = width / ratio
  for (let k = 0; k < fine.count; k++) {
    const rule = core.table.rule(fine.ids[k]!)
    if (!rule) continue
    const { method, xFilesFactor } = rule
    for (let slot = 0; slot < slots; slot++) {
      if (coarse.isKnown(k, first + slot)) continue
      const from = k * width + slot * ratio
      const known = countKnown(values, from, from + ratio)
      if (!meetsXFilesFactor(known, ratio, xFilesFactor)) continue
      coarse.set(k, first + slot, aggregate(method, values, from, from + ratio))
    }
  }
}

/** Rolls `fine`, all slots of a window, up into the levels that it feeds, where their files know nothing. */
export async function rollUpForGood(
  core: Core,
  lane: Lane,
  depth: number,
  fine: SlotMatrix,
  slice: TimeSlice,
): Promise<void> {
  for (const target of lane.fedBy(depth)) {
    const coarse = rollUp(core, fine, lane.ratio(depth, target))
    await leaveOutKnown(lane, target, coarse, slice)
    await putCoarse(core, lane, { depth, target }, coarse, slice)
  }
}

/** Empties the slots that the level's files know. */
async function leaveOutKnown(
  lane: Lane,
  depth: number,
  matrix: SlotMatrix,
  slice: TimeSlice,
): Promise<void> {
  const known = new SlotMatrix(matrix.ids, matrix.from, matrix.to)
  for (const window of lane.levels[depth]!.windowsWithin(known.from, known.to))
    await window.read(known, slice)
  for (let i = 0; i < known.values.length; i++)
    if (known.values[i] === known.values[i]) matrix.values[i] = NaN
}

/** Puts what was made of level `depth`, which feeds the levels between it and the last that it feeds itself. */
async function putCoarse(
  core: Core,
  lane: Lane,
  { depth, target }: { depth: number; target: number },
  coarse: SlotMatrix,
  slice: TimeSlice,
): Promise<void> {
  const isLastFed = depth > 0 || target === lane.directDepth
  if (isLastFed) await putSlots(core, lane, target, coarse, slice)
  else putAsIs(core, lane, target, coarse)
}

/** Calls `write` with each window of a level that the matrix has slots of, and those. */
function writeParts(
  lane: Lane,
  depth: number,
  matrix: SlotMatrix,
  write: (window: Window, part: SlotMatrix) => void,
): void {
  const level = lane.levels[depth]!
  for (let from = matrix.from; from < matrix.to;) {
    const windowEnd = (Math.floor(from / level.windowSlots) + 1) * level.windowSlots
    const to = Math.min(matrix.to, windowEnd)
    const part = from === matrix.from && to === matrix.to ? matrix : matrix.part(from, to)
    write(level.openWindow(from), part)
    from = to
  }
}

/** A coarser level's slots of `fine`, which covers whole ones. */
function rollUp(core: Core, fine: SlotMatrix, ratio: number): SlotMatrix {
  const coarse = new SlotMatrix(fine.ids, fine.from / ratio, fine.to / ratio)
  fillCoarse(core, fine, ratio, coarse)
  return coarse
}

/** Puts imported slots under what the level's files know, whichever was written first, and does nothing else. */
export async function putUnder(
  core: Core,
  lane: Lane,
  depth: number,
  matrix: SlotMatrix,
  slice: TimeSlice,
): Promise<void> {
  await leaveOutKnown(lane, depth, matrix, slice)
  putAsIs(core, lane, depth, matrix)
}

/** Puts the known slots of a matrix into the files of one level's windows, and nothing else. */
function putAsIs(core: Core, lane: Lane, depth: number, matrix: SlotMatrix): void {
  writeParts(lane, depth, matrix, (window, part) => writeMatrix(core, lane, depth, window, part))
}

/**
 * Puts the known slots of a matrix into the files of one level's windows, and, where those are rolled up, or are
 * just being, has the coarser slots over them computed again. The matrix is used up.
 */
export async function putSlots(
  core: Core,
  lane: Lane,
  depth: number,
  matrix: SlotMatrix,
  slice: TimeSlice,
): Promise<void> {
  const lates: KnownSlots[] = []
  writeParts(lane, depth, matrix, (window, part) => {
    if (window.state !== 'open') lates.push(part.known())
    writeMatrix(core, lane, depth, window, part)
  })
  for (const late of lates) await recompute(core, lane, depth, late, slice)
}

/** As `putSlots`, but coarser slots over those of windows that are rolled up are only noted (recompute-touched.ts). */
export function putLate(core: Core, lane: Lane, depth: number, matrix: SlotMatrix): void {
  const { touched, ratio } = lane.levels[depth]!
  writeParts(lane, depth, matrix, (window, part) => {
    if (window.state !== 'open' && ratio > 0) touched.note(part, ratio)
    writeMatrix(core, lane, depth, window, part)
  })
}

/** Computes the coarser slots over late slots of a window that is rolled up again, and theirs, down to the coarsest. */
export async function recompute(
  core: Core,
  lane: Lane,
  depth: number,
  late: KnownSlots,
  slice: TimeSlice,
): Promise<void> {
  for (const target of lane.fedBy(depth)) {
    const from = Math.floor(late.from / lane.ratio(depth, target))
    const to = Math.ceil(late.to / lane.ratio(depth, target))
    const whole = Math.max(from, firstWhole(core, lane, depth, target))
    // What the finest archive does not keep any more goes Whisper's way.
    const older = { depth, source: target - 1, target, to: Math.min(to, whole) }
    if (target - depth > 1) {
      const first = Math.max(from, firstWhole(core, lane, target - 1, target))
      await recomputeFrom(core, lane, { ...older, from: first }, late, slice)
    }
    await recomputeFrom(core, lane, { depth, source: depth, target, from: whole, to }, late, slice)
  }
}

/** The first slot of level `target` of which level `source` still keeps all slots. */
function firstWhole(core: Core, lane: Lane, source: number, target: number): number {
  const oldest = core.now - lane.levels[source]!.retention
  return Math.floor(oldest / lane.levels[target]!.step) + 1
}

/** Slots [from, to) of level `target`, made of level `source` because of late slots at level `depth`. */
async function recomputeFrom(
  core: Core,
  lane: Lane,
  span: { depth: number; source: number; target: number; from: number; to: number },
  late: KnownSlots,
  slice: TimeSlice,
): Promise<void> {
  const { depth, source, target, from, to } = span
  if (from >= to) return
  const ratio = lane.ratio(source, target)
  const fine = new SlotMatrix(late.ids, from * ratio, to * ratio)
  await readLevel(core, lane, source, fine, slice)
  const coarse = rollUp(core, fine, ratio)
  keepTouched(coarse, late, lane.ratio(depth, target))
  await putCoarse(core, lane, { depth, target }, coarse, slice)
}
/** Empties the coarse slots over which nothing came. */
function keepTouched(coarse: SlotMatrix, late: KnownSlots, ratio: number): void {
  const width = late.to - late.from
  const touched = new Uint8Array(coarse.count * coarse.width)
  for (let k = 0; k < late.ids.length; k++) {
    for (let i = 0; i < width; i++) {
      if (late.known[k * width + i] === 0) continue
      const slot = Math.floor((late.from + i) / ratio) - coarse.from
      if (slot >= 0 && slot < coarse.width) touched[k * coarse.width + slot] = 1
    }
  }
  for (let i = 0; i < touched.length; i++) if (touched[i] === 0) coarse.values[i] = NaN
}
