/** What each record of the logs does, when it is written and again when it is replayed. */

import { toUtf8 } from '../lib/bytes.ts'
import type { Core } from './core.ts'
import { NO_SEAT } from './head.ts'
import type { Ingest } from './ingest.ts'
import type { OpeningNames } from './opening-names.ts'
import type { Senders } from './senders.ts'
import {
  decodeDefine,
  decodeLoad,
  decodePoints,
  decodeRedefine,
  decodeRemove,
  decodeRename,
  decodeRow,
  decodeSenders,
  decodeSwitch,
  DefineReader,
  type LoadRecord,
  NO_SENDER,
  RECORD_HEADER_BYTES,
  RecordType,
} from './wal-format.ts'

export interface ReplayTarget {
  readonly core: Core
  readonly ingest: Ingest
  readonly senders: Senders
  readonly names: OpeningNames
  readonly defined: DefineReader
}

/** One record of the log. */
export function replayRecord(target: ReplayTarget, type: number, payload: Uint8Array): void {
  const { core, ingest, senders } = target
  switch (type) {
    case RecordType.points: {
      const { sender, sequence, ids, timestamps, values, count } = decodePoints(payload)
      if (sender !== NO_SENDER) {
        if (!senders.isNew(sender, sequence)) return
        senders.note(sender, sequence)
      }
      return ingest.apply(ids, timestamps, values, count)
    }
    case RecordType.row: {
      const { ids, values, count, timestamp } = decodeRow(payload)
      return ingest.apply(ids, new Uint32Array(count).fill(timestamp), values, count)
    }
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
  applySeries(core, type, payload)
  if (type === RecordType.rename) {
    const { id, path } = decodeRename(payload)
    const bytes = toUtf8(path)
    if (names.has(id)) names.put(id, bytes, 0, bytes.length)
  } else if (type === RecordType.remove) names.remove(decodeRemove(payload))
}

/** Applies one whole record, and keeps it for the series log. */
export function applySeriesRecord(core: Core, record: Uint8Array): void {
  const type = record[RECORD_HEADER_BYTES]!
  const payload = record.subarray(RECORD_HEADER_BYTES + 1)
  core.seriesLog.add(type, payload)
  applySeries(core, type, payload)
}

function applySeries(core: Core, type: number, payload: Uint8Array): void {
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
      for (const lane of core.lanes) for (const level of lane.levels) level.late.forget(id)
      return
    }
    case RecordType.redefine: {
      const { id, from, rule } = decodeRedefine(payload)
      table.schedule(id, rule, from)
      return
    }
    case RecordType.switch: {
      const { id, from } = decodeSwitch(payload)
      return switchRule(core, id, from)
    }
    default:
  }
}

/** Puts a series' coming rule in force; what the old lane's head has from then on moves with it. */
function switchRule(core: Core, id: number, from: number): void {
  const { table } = core
  const rule = table.rule(id)
  if (!rule || !table.coming.has(id)) return
  const { head } = rule.lane
  const seat = table.seatOf[id]!
  const first = Math.max(head.from, Math.ceil(from / head.step))
  const count = seat === NO_SEAT ? 0 : Math.max(0, head.top - first)
  const values = new Float64Array(count)
  if (count > 0) head.gather(seat, first, first + count, values, 0)
  table.switchRule(id, from)
  const lane = table.rule(id)!.lane
  if (lane === rule.lane) return
  const { finest } = lane
  for (let i = 0; i < count; i++) {
    const value = values[i]!
    if (value === value)
      finest.late.push(id, Math.floor(((first + i) * head.step) / finest.step), value)
  }
}

/** Puts slots as they are into the archive of their step. */
export function applyLoad(core: Core, load: LoadRecord): void {
  const lane = core.table.rule(load.id)?.lane
  const level = lane?.levels.find(({ step }) => step === load.step)
  if (!lane || !level) return
  const { values } = load
  const first = Math.floor(load.start / load.step)
  const lastStart = level.windowStart(first + values.length - 1)
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!
    if (value !== value) continue
    level.late.push(load.id, first + i, value)
    if (level.windowOf(first + i)) continue
    // Points of today may follow in the last window, and have to be rolled up.
    const window = level.openWindow(first + i)
    window.settled ||= window.start < lastStart
  }
}
