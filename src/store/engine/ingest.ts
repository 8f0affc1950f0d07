/**
 * The hot path: columns of points into the head. A point costs three loads and a store; what depends on
 * time and rule is looked up once for a run of points that share both.
 *
 * A point that the head does not take is late, or far ahead: it goes to the finest archive that still
 * covers its slot (late.ts), and is dropped and counted when none does.
 */

import type { Core } from './core.ts'
import { NO_SEAT, SEAT_MASK, SEAT_SHIFT } from './head.ts'
import { NO_RULE, type KnownRule } from './series-table.ts'
import type { PointColumns } from '../files/wal-format.ts'

/** Seconds that the head may be ahead of the wall clock: no more than senders' clocks differ. */
const HEAD_AHEAD_MAX = 60
/** An empty head goes back to meet points that are this much older than the newest. */
const HEAD_BACK_MAX = 300
const OUTSIDE = -1
const CHUNK_SHIFT = SEAT_SHIFT

export class Ingest {
  private readonly core: Core
  /** Newest time up to `newestMax` since it was last asked for. */
  private newestSeen = 0
  private newestMax = Infinity

  constructor(core: Core) {
    this.core = core
  }

  /** Applies points that are in the log. Times were checked; `now` decides which archives still cover them. */
  apply(points: PointColumns, now: number): void {
    this.place(points, now)
    this.core.counters.points.value += points.count
  }

  /** As `apply`, for points that were counted before. */
  place({ ids, timestamps, values, count }: PointColumns, now: number): void {
    const { table, counters } = this.core
    const { ruleOf, seatOf, lastSeen, rules, length } = table
    let time = -1
    let ruleNumber = -1
    let rule: KnownRule | undefined
    let chunks: Float64Array[] = []
    let base = OUTSIDE
    let mayBePast = false
    for (let i = 0; i < count; i++) {
      const id = ids[i]!
      const number = id < length ? ruleOf[id]! : NO_RULE
      if (timestamps[i] !== time || number !== ruleNumber) {
        time = timestamps[i]!
        ruleNumber = number
        rule = rules[number]
        base = rule ? this.aim(rule, time, now) : OUTSIDE
        chunks = rule?.lane.head.chunks ?? chunks
        mayBePast = rule !== undefined && time < rule.lane.switchedUntil
      }
      const value = values[i]!
      if (value !== value) {
        counters.droppedValue.value++
        continue
      }
      if (base === OUTSIDE || (mayBePast && this.isOfPastLane(rule!, id, time))) {
        if (rule) this.addLate(rule, id, time, value, now)
        else counters.droppedUnknown.value++
        continue
      }
      let seat = seatOf[id]!
      if (seat === NO_SEAT) seat = table.takeSeat(id, rule!.lane.head)
      chunks[seat >> SEAT_SHIFT]![base + (seat & SEAT_MASK)] = value
      if (time > lastSeen[id]!) lastSeen[id] = time
    }
  }

  /** A head has little room left, or had none for a point that was not late. */
  get isHeadFull(): boolean {
    return this.core.lanes.some(({ head }) => head.isFull)
  }

  /** A head has no room for what comes. */
  get isHeadOver(): boolean {
    return this.core.lanes.some(({ head }) => head.isOver)
  }

  /** The newest time since the last call, 0 when no point came. The next call leaves out what is after `nextMax`. */
  takeNewest(nextMax: number): number {
    const newest = this.newestSeen
    this.newestSeen = 0
    this.newestMax = nextMax
    return newest
  }

  /** Whether a series that came to this lane with a new rule had another one then. */
  private isOfPastLane(rule: KnownRule, id: number, time: number): boolean {
    return this.core.table.ruleAt(id, time, rule).lane !== rule.lane
  }

  /** Where the head has the slot of `time`, as an offset into each chunk; OUTSIDE when it has not. */
  private aim(rule: KnownRule, time: number, now: number): number {
    const { core } = this
    if (time > core.newest) core.newest = time
    if (time > this.newestSeen && time <= this.newestMax) this.newestSeen = time
    const { head, finest } = rule.lane
    const slot = Math.floor(time / head.step)
    // After a long silence the head may lie where nothing is kept any more.
    if (slot >= finest.late.aheadFrom || now - slot * head.step >= finest.retention) return OUTSIDE
    let row = head.aim(slot)
    if (row < 0) {
      if (!this.mayMove(rule, slot, time)) return OUTSIDE
      row = head.aim(slot)
    }
    return row < 0 ? OUTSIDE : row << CHUNK_SHIFT
  }

  /** Moves an empty head to where the points are; says when a full one needs a checkpoint. */
  private mayMove(rule: KnownRule, slot: number, time: number): boolean {
    const { core } = this
    const { head, finest } = rule.lane
    const isAhead = slot >= head.from + head.rows
    if (isAhead && time > core.guard.latestNow + HEAD_AHEAD_MAX) return false
    if (head.frozen !== head.from || head.top !== head.from) {
      if (isAhead) head.isFull = head.isOver = true
      return false
    }
    if (isAhead) head.skipTo(slot - rule.lane.openSlots)
    else if (
      time > core.newest - HEAD_BACK_MAX &&
      finest.late.length === 0 &&
      (finest.windowOf(slot)?.state ?? 'open') === 'open'
    )
      head.moveTo(slot)
    else return false
    return true
  }

  private addLate(rule: KnownRule, id: number, time: number, value: number, now: number): void {
    const { counters, table } = this.core
    const { lane } = table.past.size === 0 ? rule : table.ruleAt(id, time, rule)
    for (const level of lane.levels) {
      const slot = Math.floor(time / level.step)
      if (now - slot * level.step >= level.retention) continue
      level.late.push(id, slot, value)
      if (level === lane.finest && slot >= lane.head.from + lane.head.rows) {
        level.late.aheadFrom = Math.min(level.late.aheadFrom, slot)
        lane.aheadUntil = Math.max(lane.aheadUntil, time)
      }
      counters.late.value++
      if (time > table.lastSeen[id]!) table.lastSeen[id] = time
      return
    }
    counters.droppedOld.value++
  }
}
