/**
 * A checkpoint: what the log holds goes to the windows' files, so that the log can be thrown away.
 *
 * ```
 * 1 cut      a new segment starts with the senders' sequences and the head's open slots; older slots freeze
 * 2 write    frozen rows, then late points become extents; coarser slots over them are made anew; definitions go to
 *            the series log
 * 3 sync     extents, series log, the new segment
 * 4 manifest names the new state and the segment; then older segments are removed, frozen rows thaw
 * ```
 *
 * Points that come meanwhile are in the new segment. A crash before 4 finds the old manifest and all
 * segments. A checkpoint that failed (disk full) goes on from where it was when it is tried again.
 *
 * What is written lies over what was written before, so the order is that of arrival: late points that an
 * earlier call could not write, then what the head froze, then what came late for those slots.
 */

import { ByteWriter } from '../../lib/bytes.ts'
import { nowSeconds } from '../../lib/clock.ts'
import type { Core } from './core.ts'
import type { Ingest } from './ingest.ts'
import { parseSegmentName, segmentPath, walDir } from '../files/filenames.ts'
import { finishLate, writeFrozen, writeLate } from './flush.ts'
import type { Senders } from './senders.ts'
import { FLUSH_SLOTS_MIN, type Lane } from './lane.ts'
import { applySeriesRecord } from './replay.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'
import { recomputeTouched } from './recompute-touched.ts'
import { appendSwitch } from '../files/series-records.ts'
import { appendRow, appendSenders } from '../files/wal-format.ts'

export class Checkpoints {
  private readonly core: Core
  private readonly ingest: Ingest
  private readonly senders: Senders
  /** The segment that the one in progress started with. */
  private cut: number | undefined

  constructor(core: Core, parts: { ingest: Ingest; senders: Senders }) {
    this.core = core
    this.ingest = parts.ingest
    this.senders = parts.senders
  }

  /** `everything`: open slots are written too, not carried over (before sealing, at the end). */
  async run(slice: TimeSlice, everything = false): Promise<void> {
    const { core } = this
    if (this.cut === undefined) {
      for (const lane of core.lanes) await finishLate(core, lane, slice)
      this.cut = this.startSegment(everything)
    }
    for (const lane of core.lanes) {
      await writeLate(core, lane, slice)
      await recomputeTouched(core, lane, slice)
    }
    await core.seriesLog.save(core.table.count, () => core.takeGeneration())
    await core.syncExtents()
    for (const lane of core.lanes) lane.head.thaw()
    core.firstSegment = this.cut
    this.cut = undefined
    switchRules(this.core, this.ingest)
    await core.saveManifest()
    this.removeSegments()
  }

  /**
   * Writes out the rows of heads that are full, without a sync: the log keeps those points until the next
   * checkpoint. For points that come faster than the clock goes.
   */
  async spill(slice: TimeSlice): Promise<void> {
    for (const lane of this.core.lanes) {
      const { head, finest } = lane
      if (!head.isFull || head.frozen !== head.from) continue
      await finishLate(this.core, lane, slice)
      // So that the head takes those slots again once it has moved on.
      if (finest.late.aheadFrom < Infinity) await writeLate(this.core, lane, slice)
      freeze(this.core, lane, false)
      await writeFrozen(this.core, lane, slice)
      head.thaw()
      // Nor do points that came meanwhile keep later ones out of it.
      if (finest.late.aheadFrom < Infinity) await writeLate(this.core, lane, slice)
    }
  }

  private startSegment(everything: boolean): number {
    const { core } = this
    core.wal.rotate()
    for (const lane of core.lanes) freeze(core, lane, everything)
    const records = new ByteWriter(1 << 16)
    appendSenders(records, this.senders.written())
    for (const lane of core.lanes) appendOpenRows(lane, records)
    core.wal.append(records)
    return core.wal.segment
  }

  private removeSegments(): void {
    const { disk, dir, firstSegment } = this.core
    for (const name of disk.list(walDir(dir))) {
      const segment = parseSegmentName(name)
      if (segment !== undefined && segment < firstSegment) disk.remove(segmentPath(dir, segment))
    }
  }
}

/** Rules whose time has come are put in force once the old lane's head has nothing older, its files nothing newer. */
function switchRules(core: Core, ingest: Ingest): void {
  const { table } = core
  for (const [id, { from }] of table.coming) {
    const lane = table.rule(id)?.lane
    if (!lane) continue
    const { head } = lane
    const headFrom = head.from * head.step
    if (head.top * head.step < from || headFrom < from || headFrom <= lane.aheadUntil) continue
    const records = new ByteWriter(32)
    appendSwitch(records, id, headFrom)
    core.wal.append(records)
    applySeriesRecord({ core, ingest }, records.copy())
  }
}

/** Closed slots freeze when there are enough of them, or when their window is rolled up; the rest is carried over. */
function freeze(core: Core, lane: Lane, everything: boolean): void {
  const { head, finest } = lane
  if (head.frozen !== head.from) return
  const { top } = head
  // While points fill the head they say what has passed, those too that found no row any more, and not the clock.
  const latest = head.isFull ? lane.aheadUntil : nowSeconds(core.clock)
  const passed = Math.max(top, Math.floor(latest / head.step))
  const closed = everything ? top : Math.min(top, passed - lane.openSlots)
  const isRolledUp = (finest.windowOf(head.from)?.state ?? 'open') !== 'open'
  const least = everything || isRolledUp ? 1 : FLUSH_SLOTS_MIN
  if (closed - head.from >= least) head.freeze(closed)
  // What is there lies too far back for those who come now.
  else if (head.isFull) head.freeze(top)
}

function appendOpenRows(lane: Lane, dst: ByteWriter): void {
  const { head } = lane
  const seats = head.seatsByIdOrder()
  const ids = new Uint32Array(seats.length)
  const values = new Float64Array(seats.length)
  for (let slot = head.frozen; slot < head.top; slot++) {
    if (!head.isUsed(slot)) continue
    const count = head.gatherRow(slot, seats, ids, values)
    if (count > 0) appendRow(dst, { timestamp: slot * head.step, ids, values, count })
  }
}
