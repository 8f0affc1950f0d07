/**
 * Frames of points as lines, and lines as a frame of points: for what was queued or spooled in one form
 * when the peer turns out to speak the other.
 */

import { ByteWriter, NEWLINE, toUtf8 } from '../../lib/bytes.ts'
import { PointsBlock } from '../../ipc/points-block.ts'
import { FRAME_POINTS_MAX, PointsColumns } from '../../ipc/points-format.ts'
import { NameTable, type OutgoingFrame } from '../../ipc/points-sender.ts'
import { emptyLineFields, scanLine } from '../../metric/line.ts'
import { BAD_TIME, latin1, parseTimestamp, parseValue } from '../../metric/number.ts'
import type { Batch } from './spool-format.ts'

const BLANK = 0x20
const INFINITE = toUtf8('inf')
const MINUS_INFINITE = toUtf8('-inf')

/** The payload of a POINTS frame, `name value timestamp\n` each. */
export function pointsToLines(payload: Uint8Array, names: NameTable): Uint8Array {
  const columns = new PointsColumns()
  columns.decode(payload)
  const out = new ByteWriter(columns.count * 64)
  const { ids, values, timestamps } = columns
  for (let i = 0; i < columns.count; i++) {
    out.raw(names.name(ids[i]!))
    appendData(out, values[i]!, timestamps[i]!)
  }
  return out.copy()
}

/** ` value timestamp\n`. Infinities are written as carbon reads them. */
export function appendData(dst: ByteWriter, value: number, timestamp: number): void {
  dst.u8(BLANK)
  if (Number.isFinite(value)) dst.decimal(value)
  else dst.raw(value > 0 ? INFINITE : MINUS_INFINITE)
  dst.u8(BLANK)
  dst.decimal(timestamp)
  dst.u8(NEWLINE)
}

/**
 * A batch of lines as one frame under the same sequence; `names` gets the names that are new to it.
 * Lines that are no points are left out: `onDropped` is told how many.
 */
export class LinesToPoints {
  private readonly ids = new Map<string, number>()
  private readonly names = new NameTable()
  private readonly onDropped: (points: number) => void

  constructor(onDropped: (points: number) => void) {
    this.onDropped = onDropped
  }

  convert(batch: Batch, limits: { now: number; latest: number }): OutgoingFrame {
    const { bytes } = batch
    const points = new PointsBlock(Math.min(batch.count, FRAME_POINTS_MAX))
    const fields = emptyLineFields()
    for (let start = 0; start < bytes.length;) {
      const found = bytes.indexOf(NEWLINE, start)
      const end = found < 0 ? bytes.length : found
      if (scanLine(bytes, start, end, fields)) {
        const value = parseValue(bytes, fields.valueStart, fields.valueEnd)
        const time = parseTimestamp(bytes, fields.timeStart, fields.timeEnd, limits)
        if (!Number.isNaN(value) && time !== BAD_TIME && points.hasRoom) {
          points.push(this.id(bytes, fields.nameStart, fields.nameEnd), time, value)
        }
      }
      start = end + 1
    }
    this.onDropped(batch.count - points.length)
    const { sequence } = batch
    const { names } = this
    return { sequence, payload: points.close(sequence), names, nameCount: names.count }
  }

  private id(bytes: Uint8Array, start: number, end: number): number {
    const name = latin1(bytes, start, end)
    let id = this.ids.get(name)
    if (id === undefined) {
      id = this.names.add(bytes.subarray(start, end))
      this.ids.set(name, id)
    }
    return id
  }
}
