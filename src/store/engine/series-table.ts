/**
 * What the engine knows of every series, by id, in columns: its rule, its seat in the lane's head, when it
 * was last seen. Fourteen bytes a series. Paths are the index's business; the engine logs them only.
 *
 * A series whose rule changed has a history: which rule held until when.
 */

import { assert } from '../../lib/assert.ts'
import type { AggregationMethod } from '../../metric/consolidation.ts'
import { archiveSeconds } from '../../metric/retention.ts'
import type { SeriesRule } from '../engine.ts'
import { type Head, NO_SEAT } from './head.ts'
import { type Lane, sameArchives } from './lane.ts'

export const NO_RULE = 0xffff
const IDLE_SECONDS = 3_600
const RULES_MAX = NO_RULE

/** A rule that is in use, with its lane. */
export interface KnownRule extends SeriesRule {
  readonly number: number
  readonly lane: Lane
  readonly method: AggregationMethod
  readonly pinned: boolean
}

export interface PastRule {
  readonly rule: KnownRule
  /** Unix time up to which it held. */
  readonly until: number
}

/** A rule that will hold. */
interface ComingRule {
  readonly rule: KnownRule
  readonly from: number
}

export class SeriesTable {
  /** Series id → number of its rule, NO_RULE when it is unknown or removed. */
  ruleOf: Uint16Array<ArrayBuffer> = new Uint16Array(0)
  /** Series id → seat in its lane's head, NO_SEAT when it has none. */
  seatOf: Uint32Array<ArrayBuffer> = new Uint32Array(0)
  lastSeen: Uint32Array<ArrayBuffer> = new Uint32Array(0)
  readonly rules: KnownRule[] = []
  /** Ids given so far: one more than the highest. */
  length = 0
  /** Series that are there. */
  count = 0
  readonly past = new Map<number, PastRule[]>()
  readonly coming = new Map<number, ComingRule>()
  private readonly laneFor: (rule: SeriesRule) => Lane
  /** The rule that was asked for last, and its entry: most series come with the rule of the one before. */
  private lastRule: SeriesRule | undefined
  private lastKnown: KnownRule | undefined

  constructor(laneFor: (rule: SeriesRule) => Lane) {
    this.laneFor = laneFor
  }

  has(id: number): boolean {
    return id < this.length && this.ruleOf[id] !== NO_RULE
  }

  rule(id: number): KnownRule | undefined {
    return id < this.length ? this.rules[this.ruleOf[id]!] : undefined
  }

  add(id: number, rule: SeriesRule): void {
    if (this.has(id)) assert(false, `series ${id} is defined already`)
    this.give(id)
    this.ruleOf[id] = this.known(rule).number
    this.seatOf[id] = NO_SEAT
    this.lastSeen[id] = 0
    this.count++
  }

  /** Of a series that nobody defined it says that its id was given. */
  remove(id: number): void {
    this.give(id)
    const rule = this.rule(id)
    if (!rule) return
    this.leaveSeat(id, rule)
    this.ruleOf[id] = NO_RULE
    this.past.delete(id)
    this.coming.delete(id)
    this.count--
  }

  /** From `from` on `rule` is in force. */
  schedule(id: number, rule: SeriesRule, from: number): void {
    if (this.has(id)) this.coming.set(id, { rule: this.known(rule), from })
  }

  /** The rule that held, or holds, at a time; `rule` is the present one. */
  ruleAt(id: number, time: number, rule: KnownRule): KnownRule {
    const past = this.past.get(id)?.find(({ until }) => time < until)
    return past?.rule ?? rule
  }

  /** The scheduled rule is in force from `from` on. The series must have nothing in its old lane's head. */
  switchRule(id: number, from: number): void {
    const before = this.rule(id)
    const coming = this.coming.get(id)
    this.coming.delete(id)
    if (!before || !coming) return
    const past = this.past.get(id) ?? []
    past.push({ rule: before, until: from })
    this.past.set(id, past)
    const { lane } = coming.rule
    lane.switchedUntil = Math.max(lane.switchedUntil, from)
    if (before.lane !== lane) this.leaveSeat(id, before)
    this.ruleOf[id] = coming.rule.number
  }

  /** Gives the series, which has none, a seat in the head of its lane. */
  takeSeat(id: number, head: Head): number {
    const seat = head.takeSeat(id)
    this.seatOf[id] = seat
    return seat
  }

  leaveSeat(id: number, rule: KnownRule): void {
    const seat = this.seatOf[id]!
    if (seat === NO_SEAT) return
    rule.lane.head.giveBackSeat(seat)
    this.seatOf[id] = NO_SEAT
  }

  /** Takes the seats of series that were silent for so long that the head has nothing of them. */
  leaveIdleSeats(now: number): void {
    for (let id = 0; id < this.length; id++) {
      if (this.seatOf[id] === NO_SEAT) continue
      const rule = this.rule(id)
      if (!rule) continue
      const { head } = rule.lane
      const idle = Math.max(IDLE_SECONDS, 2 * head.rows * head.step)
      if (now - this.lastSeen[id]! > idle && head.isSilent(this.seatOf[id]!))
        this.leaveSeat(id, rule)
    }
  }

  /** Forgets rules under which nothing is kept any more. */
  forgetPast(now: number): void {
    for (const [id, past] of this.past) {
      const kept = past.filter(
        ({ rule, until }) => now - until < archiveSeconds(rule.archives.at(-1)!),
      )
      if (kept.length === 0) this.past.delete(id)
      else if (kept.length < past.length) this.past.set(id, kept)
    }
  }

  /** The rule's entry, made when it is new. */
  known(rule: SeriesRule): KnownRule {
    if (rule !== this.lastRule || !this.lastKnown) {
      this.lastKnown = this.find(rule)
      this.lastRule = rule
    }
    return this.lastKnown
  }

  private find(rule: SeriesRule): KnownRule {
    const { method, archives, pinned = false } = rule
    const xFilesFactor = Math.fround(rule.xFilesFactor)
    const found = this.rules.find(
      (other) =>
        other.method === method &&
        other.pinned === pinned &&
        other.xFilesFactor === xFilesFactor &&
        sameArchives(other.archives, archives),
    )
    if (found) return found
    assert(this.rules.length < RULES_MAX, 'more than 65,535 different rules')
    const lane = this.laneFor(rule)
    const number = this.rules.length
    const added = { number, method, pinned, xFilesFactor, archives: lane.archives, lane }
    this.rules.push(added)
    return added
  }

  private give(id: number): void {
    if (id >= this.ruleOf.length) this.grow(id + 1)
    if (id >= this.length) this.length = id + 1
  }

  private grow(needed: number): void {
    const capacity = Math.max(1024, needed, Math.ceil(this.ruleOf.length * 1.5))
    const { ruleOf, seatOf, lastSeen } = this
    this.ruleOf = new Uint16Array(capacity).fill(NO_RULE)
    this.ruleOf.set(ruleOf)
    this.seatOf = new Uint32Array(capacity).fill(NO_SEAT)
    this.seatOf.set(seatOf)
    this.lastSeen = new Uint32Array(capacity)
    this.lastSeen.set(lastSeen)
  }
}
