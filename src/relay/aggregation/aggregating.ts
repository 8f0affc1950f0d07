/**
 * The aggregator at work: time, journal and the way of its results. Points count once they are in the journal,
 * which is written every 200 ms; a frame of another relay whose points were counted before is not counted
 * again (`beginFrame`).
 */

import { type Clock, nowSeconds, type Timer } from '../../lib/clock.ts'
import { type Disk, isDiskFull } from '../../lib/disk.ts'
import { type Log, reason } from '../../lib/log.ts'
import type { SourceSpan } from '../../ipc/sources-format.ts'
import type { Stats } from '../../lib/stats.ts'
import { Aggregator, type Emit, type EmitPart } from './aggregator.ts'
import { AggregatorJournal } from './aggregator-journal.ts'
import type { AggregateStep } from '../routing/plan.ts'
import type { AggregateRule } from '../config/routing.ts'

const EMIT_MS = 250
const JOURNAL_MS = 200
const SYNC_MS = 1_000

export interface AggregatingOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly dir: string
  readonly emit: Emit
  readonly emitPart: EmitPart
  /** The journal holds more than before. */
  readonly onProgress: () => void
}

export class Aggregating {
  private readonly options: AggregatingOptions
  private readonly aggregator: Aggregator
  private readonly journal: AggregatorJournal
  private readonly emit: Emit
  private timers: Timer[]
  /** False while a frame, or a part of it, goes by whose points were counted before. */
  private counting: boolean
  private countingFrame: boolean
  private emitting: boolean
  private ruleCount: number

  constructor(options: AggregatingOptions) {
    const { disk, dir, log, stats } = options
    disk.makeDir(dir)
    const aggregator = new Aggregator()
    this.options = options
    this.aggregator = aggregator
    this.journal = new AggregatorJournal({
      disk,
      dir,
      corruptDir: `${dir}/corrupt`,
      aggregator,
      onDamage: (text) => log.error(text),
    })
    // What an earlier process counted on the way does not count again.
    this.emit = (sendTo, name, value, timestamp, isCounted) => {
      this.counting = !isCounted
      options.emit(sendTo, name, value, timestamp, isCounted)
      this.counting = true
    }
    this.timers = []
    this.counting = true
    this.countingFrame = true
    this.emitting = true
    this.ruleCount = 0
    stats.total('aggregators.metricsReceived', () => aggregator.received)
    stats.total('aggregators.metricsSent', () => aggregator.sent)
    stats.total('aggregators.metricsDropped', () => aggregator.dropped)
  }

  /** Puts rules in force; buckets of rules that stay are kept. The first call starts the work. */
  configure(rules: readonly AggregateRule[]): void {
    const { clock } = this.options
    this.aggregator.configure(rules)
    this.ruleCount = rules.length
    if (this.timers.length > 0 || (rules.length === 0 && this.aggregator.all.length === 0)) return
    this.timers = [
      clock.every(EMIT_MS, () => this.emitDue()),
      clock.every(JOURNAL_MS, () => this.write()),
      clock.every(SYNC_MS, () => void this.sync()),
    ]
  }

  put(step: AggregateStep, value: number, timestamp: number, now: number): void {
    if (this.counting) this.aggregator.put(step, value, timestamp, now)
  }

  /** The points until `endFrame` are those of one frame. */
  beginFrame(sender: string, sequence: number): void {
    this.countingFrame = this.ruleCount === 0 || this.aggregator.takes(sender, sequence)
    this.counting = this.countingFrame
  }

  /** The points until `endSpan` are those that the frame's sender passes on from another one. */
  beginSpan(sender: string, { source, sequence }: SourceSpan): void {
    if (this.ruleCount === 0 || !this.countingFrame) return
    this.counting = !this.aggregator.wasTaken(`${sender} ${source}`, sequence)
  }

  endSpan(sender: string, { source, sequence, isLast }: SourceSpan): void {
    if (this.ruleCount > 0 && this.counting && isLast) {
      this.aggregator.note(`${sender} ${source}`, sequence)
    }
    this.counting = this.countingFrame
  }

  /** The version that has to be in the journal before the frame is acknowledged. */
  endFrame(): number {
    this.counting = true
    return this.version
  }

  /** Of everything put until now; −1 when nothing is aggregated. */
  get version(): number {
    return this.ruleCount === 0 ? -1 : this.aggregator.version
  }

  get writtenVersion(): number {
    return this.journal.writtenVersion
  }

  get syncedVersion(): number {
    return this.journal.syncedVersion
  }

  /** Results that come from now on would have nowhere to go: what is not due yet waits in the journal. */
  stopEmitting(): void {
    this.emitting = false
    while (this.emitSome());
  }

  /** Call it when everything that was emitted is held. */
  async close(): Promise<void> {
    for (const timer of this.timers) timer.cancel()
    if (this.timers.length > 0) {
      this.write(0)
      await this.sync()
    }
    this.journal.close()
  }

  private emitDue(): void {
    if (!this.emitting) return
    if (this.emitSome()) this.options.clock.after(0, () => this.emitDue())
  }

  /**
   * True when there is more. The journal has all of a bucket before any of it leaves: after a kill the same results
   * come again, and no point of them.
   */
  private emitSome(): boolean {
    const { clock, emitPart } = this.options
    const now = nowSeconds(clock)
    if (!this.aggregator.isDue(now)) return false
    this.write()
    return this.aggregator.due(now, this.emit, emitPart)
  }

  private write(settleMs?: number): void {
    const { clock, onProgress, log } = this.options
    try {
      this.journal.write(clock.nowMs(), settleMs)
      onProgress()
    } catch (error) {
      if (!isDiskFull(error)) throw error
      log.warn('aggregations cannot be journalled', { why: reason(error) })
    }
  }

  private async sync(): Promise<void> {
    const { onProgress, log } = this.options
    try {
      await this.journal.sync()
      onProgress()
    } catch (error) {
      log.warn('aggregations cannot be synced', { why: reason(error) })
    }
  }
}
