/**
 * A checkpoint: what the log holds goes to the windows' files, so that the log can be thrown away.
 *
 * ```
 * 1 cut      a new segment starts with the senders' sequences and the head's open slots; older slots freeze
 * 2 write    frozen rows and late points become extents; definitions go to the series log
 * 3 sync     extents, series log, the new segment
 * 4 manifest names the new state and the segment; then older segments are removed, frozen rows thaw
 * ```
 *
 * Points that come meanwhile are in the new segment. A crash before 4 finds the old manifest and all
 * segments. A checkpoint that failed (disk full) goes on from where it was when it is tried again.
 */

import { ByteWriter } from '../lib/bytes.ts'
import type { Core } from './core.ts'
import { parseSegmentName, segmentPath, walDir } from './filenames.ts'
import { writeFrozen, writeLate } from './flush.ts'
import type { Senders } from './senders.ts'
import { FLUSH_SLOTS_MIN, type Lane } from './lane.ts'
import { applySeriesRecord } from './replay.ts'
import type { TimeSlice } from './time-slice.ts'
import { appendRow, appendSenders, appendSwitch } from './wal-format.ts'

export class Checkpoints {
  private readonly core: Core
  private readonly senders: Senders
  /** The segment that the one in progress started with. */
  private cut: number | undefined

  constructor(core: Core, senders: Senders) {
    this.core = core
    this.senders = senders
  }

  /** `everything`: open slots are written too, not carried over (before sealing, at the end). */
  async run(slice: TimeSlice, everything = false): Promise<void> {
    const { core } = this
    this.cut ??= this.startSegment(everything)
    for (const lane of core.lanes) {
      await writeLate(core, lane, slice)
      await writeFrozen(core, lane, slice)
    }
    await core.seriesLog.save(core.table.count, () => core.takeGeneration())
    await core.syncExtents()
    await core.wal.sync()
    for (const lane of core.lanes) lane.head.thaw()
    core.firstSegment = this.cut
    this.cut = undefined
    switchRules(core)
    core.saveManifest()
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
      // So that the head takes those slots again once it has moved on.
      if (finest.late.aheadFrom < Infinity) await writeLate(this.core, lane, slice)
      freeze(lane, false)
      await writeFrozen(this.core, lane, slice)
      head.thaw()
      // Nor do points that came meanwhile keep later ones out of it.
      if (finest.late.aheadFrom < Infinity) await writeLate(this.core, lane, slice)
    }
  }

  private startSegment(everything: boolean): number {
    const { core } = this
    core.wal.rotate()
    for (const lane of core.lanes) freeze(lane, everything)
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

/** Rules whose time has come are put in force once the old lane's head has nothing older. */
function switchRules(core: Core): void {
  const { table } = core
  for (const [id, { from }] of table.coming) {
    const head = table.rule(id)?.lane.head
    if (!head || head.top * head.step < from || head.from * head.step < from) continue
    const records = new ByteWriter(32)
    appendSwitch(records, id, head.from * head.step)
    core.wal.append(records)
    applySeriesRecord(core, records.copy())
  }
}

/** Closed slots freeze when there are enough of them; the others are carried over. */
function freeze(lane: Lane, everything: boolean): void {
  const { head } = lane
  if (head.frozen !== head.from) return
  const { top } = head
  const closed = everything ? top : top - lane.openSlots
  if (closed - head.from >= (everything ? 1 : FLUSH_SLOTS_MIN)) head.freeze(closed)
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
