/**
 * Folding: all layers of a window become one block, and what they hold is rolled up to the next level if it
 * was not yet. The same work seals a window whose time has passed and folds an overlay that has grown.
 *
 * Layers are fixed when a fold starts; what comes meanwhile, between two groups of series, goes to a new file
 * behind them. If the window is rolled up by it, coarser slots over that are computed at once, and a group that
 * comes later leaves them as they are. Series that were removed are left out. When the block is whole and synced
 * the manifest names it instead of the layers; a crash before that leaves the window as it was, or, if a
 * checkpoint came in between, `rolling`.
 */

import { BlockFile } from '../files/block-reader.ts'
import { BlockWriter } from '../files/block-writer.ts'
import type { Core } from './core.ts'
import { ByteWriter } from '../../lib/bytes.ts'
import { averagedOf } from './extent-writer.ts'
import { ExtentEncoder } from '../files/extent-format.ts'
import { blockFileName } from '../files/filenames.ts'
import type { Lane } from './lane.ts'
import { rollUpForGood } from './rollup.ts'
import { SlotMatrix } from '../files/slot-matrix.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'
import type { ExtentSource, Window } from './window.ts'

/** Series that are read together, and at most in one extent of a block … */
const SERIES_A_GROUP = 256
/** … of which so many may be busy: many, because columns are told by others; few, because they are read together. */
const BUSY_AN_EXTENT = 96

export interface FoldOptions {
  readonly lane: Lane
  readonly depth: number
  readonly window: Window
  readonly slice: TimeSlice
  /** Roll it up for good: its time has passed. Otherwise it stays open, with a block as its first layer. */
  readonly settle: boolean
  /** Called between groups, to let what is due come first. */
  readonly breathe: () => Promise<void>
}

export async function foldWindow(core: Core, options: FoldOptions): Promise<void> {
  const { lane, depth, window } = options
  const level = lane.levels[depth]!
  const sources = window.sources
  const kept = { block: window.block, extents: [...window.extents] }
  core.addExtentFile(lane, level, window)
  if (options.settle && window.state === 'open') window.state = 'rolling'
  const block = await writeBlock(core, options, sources)
  try {
    await core.syncExtents()
  } catch (error) {
    if (block) core.discard(block, false)
    throw error
  }
  window.block = block
  window.extents = window.extents.filter((file) => !kept.extents.includes(file))
  if (options.settle) window.state = 'settled'
  // What was made for those who come late is not needed when nobody came.
  const empty = window.extents.filter((file) => file.index.length === 0)
  window.extents = window.extents.filter((file) => file.index.length > 0)
  await core.saveManifest()
  for (const file of empty) core.discard(file, false)
  const damaged = new Set(window.damagedFiles)
  window.damagedFiles.clear()
  window.retire(() => {
    for (const file of kept.block ? [kept.block, ...kept.extents] : kept.extents)
      core.discard(file, damaged.has(file.path))
  })
}

async function writeBlock(
  core: Core,
  options: FoldOptions,
  sources: readonly ExtentSource[],
): Promise<BlockFile | undefined> {
  const { lane, depth, window, slice, breathe } = options
  const level = lane.levels[depth]!
  const known = await window.readIds(sources, slice)
  const ids = known.filter((id) => core.table.has(id))
  if (ids.length === 0) return undefined
  const generation = core.takeGeneration()
  const path = `${core.levelDir(lane, level)}/${blockFileName(window.start, generation)}`
  const writer = new BlockWriter(core.disk, path, level.step)
  const encoder = new ExtentEncoder()
  const memory = core.slotMemory.take(Math.min(SERIES_A_GROUP, ids.length) * window.slots)
  try {
    for (let at = 0; at < ids.length; at += SERIES_A_GROUP) {
      const group = ids.subarray(at, at + SERIES_A_GROUP)
      const matrix = SlotMatrix.within(
        memory,
        group,
        window.firstSlot,
        window.firstSlot + window.slots,
      )
      await window.read(matrix, slice, sources)
      matrix.complete()
      await appendGroup(core, options, matrix, { writer, encoder })
      if (options.settle && !window.settled) await rollUpForGood(core, lane, depth, matrix, slice)
      if (slice.isOver()) await slice.rest()
      await breathe()
    }
    const bytes = await writer.finish()
    return new BlockFile(core.disk, path, { generation, bytes, pool: core.pool })
  } catch (error) {
    writer.abandon()
    throw error
  } finally {
    core.slotMemory.giveBack(memory)
  }
}

async function appendGroup(
  core: Core,
  { lane, depth, slice }: FoldOptions,
  matrix: SlotMatrix,
  { writer, encoder }: { writer: BlockWriter; encoder: ExtentEncoder },
): Promise<void> {
  const { width, values } = matrix
  const extent = new ByteWriter(1 << 16)
  for (let start = 0; start < matrix.count;) {
    const ids = matrix.ids.subarray(start)
    const columns = {
      ids,
      count: ids.length,
      firstSlot: matrix.from,
      slots: width,
      values: values.subarray(start * width),
      averagedOf: averagedOf(core, lane, depth, ids),
      collectedStep: depth === 0 ? lane.finest.step : 0,
    }
    encoder.begin(columns, true)
    let count = 0
    while (count < ids.length && encoder.busyColumns < BUSY_AN_EXTENT) {
      encoder.add(columns, count++)
      if (slice.isOver()) await slice.rest()
    }
    extent.reset()
    encoder.finish(extent, { ...columns, count })
    writer.append(extent)
    start += count
  }
}
