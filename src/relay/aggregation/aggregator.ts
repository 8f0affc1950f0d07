/**
 * All aggregations (aggregation.ts) of a relay. It has no clock and no disk: `put` and `due` are told what
 * time it is, and aggregator-journal.ts makes its state survive.
 *
 * A reload keeps the buckets of every rule that is still there with the same parameters. A rule that is
 * gone takes no more points and is emitted when its buckets are due. Points of acknowledged frames count
 * once: a frame whose sequence was taken before is not taken again (`takes`).
 *
 * Differences from aggregator.c: a bucket is emitted at start + expire, without a splay; percentiles sort
 * fractions; results have full precision; a tagged name's point is counted with its value.
 */

import { Aggregation, type Output, type RuleParameters } from './aggregation.ts'
import { PART_POINTS, sourceId } from '../../ipc/sources-format.ts'
import type { AggregateStep } from '../routing/plan.ts'
import type { AggregateRule } from '../config/routing.ts'

/** Senders, and sources of each, whose frames are told apart from those that were counted before. */
const SENDERS_MAX = 10_000

/** So that a bucket of very many outputs does not hold up everything else. */
const ROWS_PER_CALL = 16 * PART_POINTS
/** More parts than a bucket has. */
const PARTS_MAX = 2 ** 20

/**
 * Where a result goes: names of clusters, or undefined for the rules from the top. `isCounted`: where it is
 * aggregated itself it has been counted already.
 */
export type Emit = (
  sendTo: RuleParameters['sendTo'],
  name: string,
  value: number,
  timestamp: number,
  isCounted: boolean,
) => void

/** Where results come from: the same, however often they are emitted (ipc/sources-format.ts). */
export interface ResultPart {
  readonly source: string
  readonly sequence: number
}

/** Calls `emitAll`, which emits the part's results. */
export type EmitPart = (part: ResultPart, emitAll: () => void) => void

/** An aggregation with its number in the journal. */
export interface Numbered {
  readonly number: number
  readonly aggregation: Aggregation
  /** Where its results come from. */
  readonly source: string
}

interface Emission {
  readonly now: number
  readonly rowsMax: number
  readonly emit: Emit
  readonly emitPart: EmitPart
}

/** A step's outputs, kept in `AggregateStep.series`. */
interface StepOutputs {
  readonly owner: Aggregation
  readonly outputs: readonly Output[]
}

export class Aggregator {
  /** Points that came, results that went, points that no bucket took (too old, too far ahead, too many). */
  received: number
  sent: number
  dropped: number
  /** Grows with everything that the journal has to know. */
  version: number
  /** The last sequence taken of each sender, the one that was heard of last at the end. */
  readonly sequences: Map<string, number>
  /** As the journal had them. */
  private takenBefore: ReadonlyMap<string, number>
  /** Senders whose sequence changed since the journal looked. */
  readonly changedSenders: Set<string>
  /** In force or not yet empty. */
  all: Numbered[]
  private inForce: Aggregation[]
  private nextNumber: number
  private nextDue: number

  constructor() {
    this.received = 0
    this.sent = 0
    this.dropped = 0
    this.version = 0
    this.sequences = new Map()
    this.takenBefore = new Map()
    this.changedSenders = new Set()
    this.all = []
    this.inForce = []
    this.nextNumber = 0
    this.nextDue = Infinity
  }

  /** Puts rules in force: `AggregateStep.aggregation` counts them. */
  configure(rules: readonly AggregateRule[]): void {
    const before = new Map<string, Numbered[]>()
    for (const numbered of this.all) {
      const key = JSON.stringify(numbered.aggregation.rule)
      before.set(key, [...(before.get(key) ?? []), numbered])
    }
    this.inForce = rules.map((rule) => {
      const parameters = ruleParameters(rule)
      const kept = before.get(JSON.stringify(parameters))?.shift()
      return kept ? kept.aggregation : this.add(parameters).aggregation
    })
    this.dropEmpty()
  }

  /** A new aggregation; the journal gives the number that it knows it by. */
  add(rule: RuleParameters, number = this.nextNumber): Numbered {
    const source = sourceOf(rule, number)
    const numbered = { number, aggregation: new Aggregation(rule), source }
    this.nextNumber = Math.max(this.nextNumber, number + 1)
    this.all.push(numbered)
    this.version++
    return numbered
  }

  /** Whether a frame's points are to be put; false when they were before. */
  takes(sender: string, sequence: number): boolean {
    if (sequence <= (this.sequences.get(sender) ?? 0)) return false
    this.note(sender, sequence)
    return true
  }

  /** Whether an earlier process put a source's points; what this one put, whoever hands them on knows. */
  wasTaken(source: string, sequence: number): boolean {
    return sequence <= (this.takenBefore.get(source) ?? 0)
  }

  /** That sender's points are put, or that source's. */
  note(sender: string, sequence: number): void {
    const before = this.sequences.get(sender) ?? 0
    this.sequences.delete(sender)
    this.sequences.set(sender, Math.max(before, sequence))
    this.changedSenders.add(sender)
    if (this.sequences.size > SENDERS_MAX) this.forgetOldestSender()
    this.version++
  }

  /** Adds a point to each output of the step. `value` is a number, `now` and `timestamp` are Unix seconds. */
  put(step: AggregateStep, value: number, timestamp: number, now: number): void {
    this.received++
    const aggregation = this.inForce[step.aggregation]!
    const bucket = aggregation.bucketFor(timestamp, now)
    if (!bucket) {
      this.dropped++
      return
    }
    const due = bucket.start + aggregation.rule.expireSeconds
    if (due < this.nextDue) this.nextDue = due
    const outputs = this.outputs(step, aggregation)
    let lost = outputs.length === 0
    for (let i = 0; i < outputs.length; i++) {
      if (!aggregation.add(bucket, outputs[i]!, value)) lost = true
    }
    if (lost) this.dropped++
    this.version++
  }

  /** Whether a bucket's time may have come. */
  isDue(now: number): boolean {
    return now >= this.nextDue
  }

  /**
   * Emits buckets whose time has come, the oldest first; true when there is more than one call may take, and
   * it is to be called again soon.
   */
  due(now: number, emit: Emit, emitPart: EmitPart = (_, emitAll) => emitAll()): boolean {
    if (!this.isDue(now)) return false
    let rowsLeft = ROWS_PER_CALL
    let next = Infinity
    for (const numbered of this.all) {
      rowsLeft -= this.emitDue(numbered, { now, rowsMax: rowsLeft, emit, emitPart })
      if (rowsLeft <= 0) return true
      next = Math.min(next, numbered.aggregation.nextDue())
    }
    this.nextDue = next
    return false
  }

  /** Everything came from the journal. */
  restored(): void {
    this.takenBefore = new Map(this.sequences)
    this.nextDue = -Infinity
  }

  /** Forgets aggregations that are not in force and have nothing left. */
  dropEmpty(): void {
    const inForce = new Set(this.inForce)
    this.all = this.all.filter(
      ({ aggregation }) => inForce.has(aggregation) || !aggregation.isEmpty,
    )
  }

  /** Answers how many rows it went through. */
  private emitDue({ aggregation, source }: Numbered, by: Emission): number {
    const { now, rowsMax, emit, emitPart } = by
    const { expireSeconds, sendTo } = aggregation.rule
    const starts = [...aggregation.buckets.keys()].sort((a, b) => a - b)
    let rows = 0
    for (const start of starts) {
      if (start + expireSeconds > now) break
      const bucket = aggregation.buckets.get(start)!
      while (rows < rowsMax && aggregation.buckets.has(start)) {
        const part = bucket.emittedRows / PART_POINTS
        const sequence = start * PARTS_MAX + part + 1
        emitPart({ source, sequence }, () => {
          rows += aggregation.emit(bucket, PART_POINTS, (name, value, timestamp, isCounted) => {
            this.sent++
            emit(sendTo, name, value, timestamp, isCounted)
          })
        })
        this.version++
      }
      if (rows >= rowsMax) break
    }
    return rows
  }

  private forgetOldestSender(): void {
    for (const sender of this.sequences.keys()) {
      this.sequences.delete(sender)
      this.changedSenders.delete(sender)
      return
    }
  }

  private outputs(step: AggregateStep, aggregation: Aggregation): readonly Output[] {
    const known = step.series as StepOutputs | undefined
    if (known?.owner === aggregation && areLive(known.outputs)) return known.outputs
    const outputs: Output[] = []
    for (let i = 0; i < step.outputs.length; i++) {
      const output = aggregation.output(i, step.outputs[i]!)
      if (output) outputs.push(output)
    }
    const made: StepOutputs = { owner: aggregation, outputs }
    step.series = made
    return outputs
  }
}

/** Another rule under the same number is another source: its buckets may begin earlier. */
function sourceOf(rule: RuleParameters, number: number): string {
  return sourceId(`${number} ${JSON.stringify(rule)}`)
}

function areLive(outputs: readonly Output[]): boolean {
  for (let i = 0; i < outputs.length; i++) if (!outputs[i]!.live) return false
  return true
}

function ruleParameters(rule: AggregateRule): RuleParameters {
  const { intervalSeconds, expireSeconds, timestampAt, computations, sendTo } = rule
  const expressions = rule.expressions.map((expression) => expression.source)
  const clusters = typeof sendTo === 'object' ? sendTo.map((cluster) => cluster.name) : sendTo
  const times = { intervalSeconds, expireSeconds, timestampAt }
  return { ...times, computations, expressions, sendTo: clusters }
}
