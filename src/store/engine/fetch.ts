/**
 * Fetching: Whisper's choice of one archive (whisper.py fetch), then every layer of it.
 *
 * The range is (from, until]: both bounds are rounded up to the next step. The archive is the finest that
 * reaches back from `now` to `from`; it is never stitched with another. A series whose rule changed is read
 * under the rule of each time and shown at the step of the present one.
 */

import { aggregate, countKnown, meetsXFilesFactor } from '../../metric/consolidation.ts'
import { type Archive, archiveSeconds } from '../../metric/retention.ts'
import { type Core, FETCH_VALUES } from './core.ts'
import type { FetchedSlots, FetchPlan, FetchRange, SlotSpan } from '../engine.ts'
import type { Lane } from './lane.ts'
import { readLevel } from './rollup.ts'
import type { KnownRule, PastRule } from './series-table.ts'
import { SlotMatrix } from '../files/slot-matrix.ts'
import { TimeSlice } from '../../lib/time-slice.ts'

export interface ChosenSlots {
  readonly depth: number
  readonly step: number
  /** Slots [first, end). */
  readonly first: number
  readonly end: number
}

/** Undefined when nothing of the range is kept. */
export function chooseSlots(
  archives: readonly Archive[],
  range: FetchRange,
): ChosenSlots | undefined {
  const { now } = range
  const longest = archiveSeconds(archives.at(-1)!)
  if (range.from > range.until || range.from > now || range.until < now - longest) return undefined
  const from = Math.max(range.from, now - longest)
  const until = Math.min(range.until, now)
  const found = archives.findIndex((archive) => archiveSeconds(archive) >= now - from)
  const depth = found < 0 ? archives.length - 1 : found
  const { step } = archives[depth]!
  const first = Math.floor(from / step) + 1
  const end = Math.floor(until / step) + 1
  return { depth, step, first, end: end === first ? end + 1 : end }
}

export function planSlots(core: Core, ids: Uint32Array, range: FetchRange): FetchPlan {
  const byLane = new Map<Lane, SlotSpan | undefined>()
  const spans = new Map<string, SlotSpan>()
  let slots = 0
  for (let i = 0; i < ids.length; i++) {
    const rule = core.table.rule(ids[i]!)
    if (!rule) continue
    if (!byLane.has(rule.lane)) {
      const chosen = chooseSlots(rule.archives, range)
      const span = chosen && spanOf(chosen)
      byLane.set(rule.lane, span)
      if (span) spans.set(`${span.start} ${span.step} ${span.count}`, span)
    }
    slots += byLane.get(rule.lane)?.count ?? 0
  }
  return { spans: [...spans.values()], slots }
}

function spanOf({ first, end, step }: ChosenSlots): SlotSpan {
  return { start: first * step, step, count: end - first }
}

/** Slots are valid until the promise that `each` returned is settled, or until it returned nothing. */
export async function fetchSlots(
  core: Core,
  ids: Uint32Array,
  range: FetchRange,
  each: (index: number, slots: FetchedSlots | undefined) => void | Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const slice = new TimeSlice(core.clock)
  for (let start = 0; start < ids.length;) {
    signal?.throwIfAborted()
    const batch = takeBatch(core, ids, start, range)
    const memory = core.slotMemory.take(batch.values)
    try {
      await readBatch(core, ids, batch, memory, slice, signal)
      for (let i = start; i < batch.end; i++) {
        const wait = each(i, batch.results[i - start])
        if (wait) await wait
        else if (slice.isOver()) await slice.rest()
        else continue
        signal?.throwIfAborted()
      }
    } finally {
      core.slotMemory.giveBack(memory)
    }
    start = batch.end
  }
}

/** Series that are read together, [start, end) of the caller's ids. */
interface Batch {
  readonly start: number
  readonly end: number
  readonly values: number
  readonly groups: readonly Group[]
  /** By position in the batch. */
  readonly results: (FetchedSlots | undefined)[]
}

/** Positions in the caller's ids that are read together. */
interface Group {
  readonly lane: Lane
  readonly chosen: ChosenSlots
  readonly indexes: number[]
}

function takeBatch(core: Core, ids: Uint32Array, start: number, range: FetchRange): Batch {
  const groups = new Map<Lane, Group>()
  let values = 0
  let end = start
  for (; end < ids.length; end++) {
    const rule = core.table.rule(ids[end]!)
    if (!rule) continue
    let group = groups.get(rule.lane)
    if (!group) {
      const chosen = chooseSlots(rule.archives, range)
      if (!chosen) continue
      group = { lane: rule.lane, chosen, indexes: [] }
      groups.set(rule.lane, group)
    }
    const width = group.chosen.end - group.chosen.first
    if (values > 0 && values + width > FETCH_VALUES) break
    group.indexes.push(end)
    values += width
  }
  const results = Array.from({ length: end - start }, () => undefined)
  return { start, end, values, groups: [...groups.values()], results }
}

async function readBatch(
  core: Core,
  ids: Uint32Array,
  batch: Batch,
  memory: Float64Array,
  slice: TimeSlice,
  signal: AbortSignal | undefined,
): Promise<void> {
  let used = 0
  for (const { lane, chosen, indexes } of batch.groups) {
    signal?.throwIfAborted()
    const sorted = Uint32Array.from(new Set(indexes.map((index) => ids[index]!))).sort()
    const matrix = SlotMatrix.within(memory.subarray(used), sorted, chosen.first, chosen.end)
    const { width, count, values } = matrix
    used += count * width
    if (slice.isOver()) await slice.rest()
    await readLevel(core, lane, chosen.depth, matrix, slice)
    await readPast(core, lane, chosen, matrix, slice)
    matrix.complete()
    for (const index of indexes) {
      const at = matrix.indexOf(ids[index]!) * width
      const { step } = chosen
      batch.results[index - batch.start] = {
        start: chosen.first * step,
        step,
        values: values.subarray(at, at + width),
      }
    }
    if (slice.isOver()) await slice.rest()
  }
}

/** What the matrix's series had under earlier rules. */
async function readPast(
  core: Core,
  lane: Lane,
  chosen: ChosenSlots,
  matrix: SlotMatrix,
  slice: TimeSlice,
): Promise<void> {
  if (core.table.past.size === 0) return
  for (let k = 0; k < matrix.count; k++) {
    let since = 0
    for (const past of core.table.past.get(matrix.ids[k]!) ?? []) {
      if (past.rule.lane !== lane)
        await readPastRule(core, chosen, { matrix, k, past, since }, slice)
      since = past.until
    }
  }
}

/** The same step where the earlier rule has it, else a finer one rolled up, else a coarser one's slots. */
async function readPastRule(
  core: Core,
  { step }: ChosenSlots,
  want: { matrix: SlotMatrix; k: number; past: PastRule; since: number },
  slice: TimeSlice,
): Promise<void> {
  const { matrix, k, past, since } = want
  const { lane } = past.rule
  const from = Math.max(matrix.from * step, since)
  const until = Math.min(matrix.to * step, past.until)
  if (from >= until) return
  const depth = depthForStep(lane, step)
  const old = lane.levels[depth]!.step
  const ids = matrix.ids.slice(k, k + 1)
  const found = new SlotMatrix(ids, Math.floor(from / old), Math.ceil(until / old))
  await readLevel(core, lane, depth, found, slice)
  if (old >= step) {
    for (let slot = found.from; slot < found.to; slot++) {
      const value = found.values[slot - found.from]!
      const at = (slot * old) / step
      if (value === value && at >= matrix.from && at < matrix.to && Number.isInteger(at))
        matrix.set(k, at, value)
    }
  } else rollUpInto(matrix, k, found, { ratio: step / old, rule: past.rule })
}

/** The coarsest level whose step divides `step`, else the first coarser one. */
function depthForStep(lane: Lane, step: number): number {
  let depth = -1
  for (let i = 0; i < lane.levels.length; i++) if (step % lane.levels[i]!.step === 0) depth = i
  if (depth >= 0) return depth
  const coarser = lane.levels.findIndex((level) => level.step > step)
  return coarser < 0 ? lane.levels.length - 1 : coarser
}

function rollUpInto(
  matrix: SlotMatrix,
  k: number,
  found: SlotMatrix,
  { ratio, rule }: { ratio: number; rule: KnownRule },
): void {
  for (let slot = matrix.from; slot < matrix.to; slot++) {
    const from = slot * ratio - found.from
    if (from < 0 || from + ratio > found.width) continue
    const known = countKnown(found.values, from, from + ratio)
    if (meetsXFilesFactor(known, ratio, rule.xFilesFactor))
      matrix.set(k, slot, aggregate(rule.method, found.values, from, from + ratio))
  }
}
