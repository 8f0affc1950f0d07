/** What each record of the logs does, when it is written and again when it is replayed. */

import { toUtf8 } from '../../lib/bytes.ts'
import type { Core } from './core.ts'
import { type Head, NO_SEAT } from './head.ts'
import type { Ingest } from './ingest.ts'
import type { Level } from './lane.ts'
import type { OpeningNames } from '../index/opening-names.ts'
import type { Senders } from './senders.ts'
import {
  decodeDefine,
  decodeRedefine,
  decodeRemove,
  decodeRename,
  decodeSwitch,
  DefineReader,
} from '../files/series-records.ts'
import {
  decodeFollow,
  decodeLoad,
  decodePoints,
  decodeRow,
  decodeSenders,
  eachRecord,
  type LoadRecord,
  NO_SENDER,
  type PointColumns,
  type PointsRecord,
  RECORD_HEADER_BYTES,
  RecordType,
} from '../files/wal-format.ts'

export interface SeriesTarget {
  readonly core: Core
  readonly ingest: Ingest
}

export interface ReplayTarget extends SeriesTarget {
  readonly senders: Senders
  readonly names: OpeningNames
  readonly defined: DefineReader
}

/** One record of the log. */
export function replayRecord(target: ReplayTarget, type: number, payload: Uint8Array): void {
  const { core, ingest, senders } = target
  switch (type) {
    case RecordType.points:
      return replayPoints(target, decodePoints(payload))
    case RecordType.pointsBefore:
      return replayPoints(target, decodePoints(payload, core.now))
    case RecordType.row: {
      const { ids, values, count, timestamp } = decodeRow(payload)
      const timestamps = new Uint32Array(count).fill(timestamp)
      // It was in the head: its archive covered it, however long ago that is.
      return ingest.apply({ ids, timestamps, values, count }, timestamp)
    }
    case RecordType.follow:
      return eachRecord(decodeFollow(payload).records, (inner, body) =>
        replayRecord(target, inner, body),
      )
    case RecordType.senders:
      for (const [sender, sequence] of decodeSenders(payload)) senders.note(sender, sequence)
      return
    case RecordType.load:
      return applyLoad(core, decodeLoad(payload))
    default:
      core.seriesLog.add(type, payload)
      replaySeries(target, type, payload)
  }
}

function replayPoints({ ingest, senders }: ReplayTarget, points: PointsRecord): void {
  if (points.sender !== NO_SENDER) senders.note(points.sender, points.sequence)
  ingest.apply(points, points.now)
}

/** A record about a series, from the log or from the series log. */
export function replaySeries(target: ReplayTarget, type: number, payload: Uint8Array): void {
  const { core, names, defined } = target
  if (type === RecordType.define) {
    defined.read(payload)
    const { id, rule } = defined
    if (!core.table.has(id)) core.table.add(id, rule)
    names.put(id, payload, defined.pathFrom, defined.pathTo)
    return
  }
  applySeries(target, type, payload)
  if (type === RecordType.rename) {
    const { id, path } = decodeRename(payload)
    const bytes = toUtf8(path)
    if (names.has(id)) names.put(id, bytes, 0, bytes.length)
  } else if (type === RecordType.remove) names.remove(decodeRemove(payload))
}

/** Applies one whole record, and keeps it for the series log. */
export function applySeriesRecord(target: SeriesTarget, record: Uint8Array): void {
  const type = record[RECORD_HEADER_BYTES]!
  const payload = record.subarray(RECORD_HEADER_BYTES + 1)
  target.core.seriesLog.add(type, payload)
  applySeries(target, type, payload)
}

function applySeries(target: SeriesTarget, type: number, payload: Uint8Array): void {
  const { core } = target
  const { table } = core
  switch (type) {
    case RecordType.define: {
      const { id, ...rule } = decodeDefine(payload)
      table.add(id, rule)
      return
    }
    case RecordType.remove: {
      const id = decodeRemove(payload)
      table.remove(id)
      for (const { levels } of core.lanes) {
        for (const level of levels) {
          level.late.forget(id)
          level.loaded.forget(id)
        }
      }
      return
    }
    case RecordType.redefine: {
      const { id, from, rule } = decodeRedefine(payload)
      table.schedule(id, rule, from)
      return
    }
    case RecordType.switch: {
      const { id, from } = decodeSwitch(payload)
      return switchRule(target, id, from)
    }
    default:
  }
}

/**
 * Puts a series' coming rule in force; what the old lane's head has from then on moves with it. What it has of
 * before then is in files, but for a replay after a crash that came before the manifest: it stays there as late.
 */
function switchRule({ core, ingest }: SeriesTarget, id: number, from: number): void {
  const { table } = core
  const rule = table.rule(id)
  if (!rule || !table.coming.has(id)) return
  const { head, finest } = rule.lane
  const points = pointsInHead(head, id, table.seatOf[id]!)
  table.switchRule(id, from)
  if (table.rule(id)!.lane === rule.lane) return
  const { timestamps, values, count } = points
  let moved = 0
  while (moved < count && timestamps[moved]! < from) {
    finest.late.push(id, timestamps[moved]! / head.step, values[moved]!)
    moved++
  }
  const later = {
    ids: points.ids.subarray(moved),
    timestamps: timestamps.subarray(moved),
    values: values.subarray(moved),
    count: count - moved,
  }
  ingest.place(later, core.now)
}

/** What a series has in the head, in the order of time. */
function pointsInHead(head: Head, id: number, seat: number): PointColumns {
  const { from, top: to } = head
  const width = seat === NO_SEAT ? 0 : to - from
  const values = new Float64Array(width)
  if (width > 0) head.gather(Uint32Array.of(seat), { from, to }, values, new Uint32Array(1))
  const timestamps = new Uint32Array(width)
  let count = 0
  for (let i = 0; i < width; i++) {
    if (values[i] !== values[i]) continue
    timestamps[count] = (from + i) * head.step
    values[count++] = values[i]!
  }
  return { ids: new Uint32Array(count).fill(id), timestamps, values, count }
}
/** Puts slots as they are into the archive of their step. */
export function applyLoad(core: Core, load: LoadRecord): void {
  const lane = core.table.rule(load.id)?.lane
  const level = lane?.levels.find(({ step }) => step === load.step)
  if (!lane || !level || load.values.length === 0) return
  for (const finer of lane.levels.slice(0, lane.levels.indexOf(level)))
    noteRolledUp(core, finer, load)
  const { values } = load
  const first = Math.floor(load.start / load.step)
  const lastStart = level.windowStart(first + values.length - 1)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value !== value) continue
    level.loaded.push(load.id, first + i, value)
    if (level.windowOf(first + i)) continue
    // Points of today may follow in the last window, and have to be rolled up.
    const window = level.openWindow(first + i)
    if (window.start < lastStart) window.state = 'settled'
  }
}

/** There are coarser slots over the level's windows now: what comes for those makes them be computed again. */
function noteRolledUp(core: Core, level: Level, { start, step, values }: LoadRecord): void {
  const from = Math.max(start, core.now - level.retention)
  const end = start + values.length * step
  for (let at = level.windowStart(from / level.step); at < end; at += level.windowSeconds) {
    const window = level.openWindow(at / level.step)
    if (window.state === 'open') window.state = 'rolling'
  }
}
