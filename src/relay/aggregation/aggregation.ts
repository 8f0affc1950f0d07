/**
 * One aggregate rule at work: points of a bucket of time become one value for each output name.
 *
 * ```
 *   every 10, expire 25            buckets that are open at 12:00:37
 *   ──┬─────────┬─────────┬─────────┬─────────┬──▶
 *     12:00:10  :20       :30       :40       :50      12:00:10 is emitted at 12:00:35, start + expire
 * ```
 *
 * Points for buckets that have been emitted, or that lie further ahead than carbon-c-relay keeps room for,
 * are refused. Limits: VALUES_MAX values a percentile and bucket, OUTPUTS_MAX outputs a rule, names of PATH_BYTES_MAX.
 */

import { PATH_BYTES_MAX } from '../../metric/path.ts'
import type { AggregateRule, Computation } from '../config/routing.ts'
import { Bucket } from './bucket.ts'

const OUTPUTS_MAX = 1_000_000
const VALUES_MAX = 100_000

/** An output of a rule: the name that a computation writes to. */
export interface Output {
  readonly id: number
  readonly computation: number
  readonly name: string
  /** Start of the newest bucket that has it. */
  newest: number
  /** False once it has been forgotten; a new one has to be asked for. */
  live: boolean
}

/** What a rule is told by: the same text means the same buckets, over reloads and restarts. */
export type RuleParameters = Pick<
  AggregateRule,
  'intervalSeconds' | 'expireSeconds' | 'timestampAt'
> & {
  readonly computations: readonly Computation[]
  readonly expressions: readonly string[]
  /** Names of clusters. */
  readonly sendTo: readonly string[] | 'blackhole' | undefined
}

export class Aggregation {
  readonly rule: RuleParameters
  /** By bucket start. */
  readonly buckets: Map<number, Bucket>
  /** By id; undefined where one was forgotten. */
  readonly outputs: (Output | undefined)[]
  private readonly idsByName: readonly Map<string, number>[]
  private readonly freeIds: number[]
  private readonly fresh: Output[]
  /** By start: emitted, and open as far as the journal knows. */
  readonly closing: Map<number, Bucket>
  private closedUpTo: number
  /** How many buckets carbon-c-relay keeps: which points are too far ahead follows from it. */
  private readonly bucketCount: number
  private recent: Bucket | undefined

  constructor(rule: RuleParameters) {
    this.rule = rule
    this.buckets = new Map()
    this.outputs = []
    this.idsByName = rule.computations.map(() => new Map())
    this.freeIds = []
    this.fresh = []
    this.closing = new Map()
    this.closedUpTo = -Infinity
    this.bucketCount = Math.ceil(rule.expireSeconds / rule.intervalSeconds) + 2
    this.recent = undefined
  }

  /** Nothing is open, and the journal knows. */
  get isEmpty(): boolean {
    return this.buckets.size === 0 && this.closing.size === 0
  }

  /** The output of that name, made at the first call; undefined when there are too many or it is none. */
  output(computation: number, name: string): Output | undefined {
    if (name === '' || name.length > PATH_BYTES_MAX) return undefined
    const known = this.idsByName[computation]!.get(name)
    if (known !== undefined) return this.outputs[known]
    const id = this.nextId()
    if (id === OUTPUTS_MAX) return undefined
    const output = this.restoreOutput(id, computation, name)
    this.fresh.push(output)
    return output
  }

  /** An output under an id that the journal gave. */
  restoreOutput(id: number, computation: number, name: string): Output {
    const output: Output = { id, computation, name, newest: -Infinity, live: true }
    while (this.outputs.length < id) {
      this.freeIds.push(this.outputs.length)
      this.outputs.push(undefined)
    }
    this.outputs[id] = output
    this.idsByName[computation]!.set(name, id)
    return output
  }

  /** The open bucket that takes a point of that time; undefined when none does. */
  bucketFor(timestamp: number, now: number): Bucket | undefined {
    const { intervalSeconds, expireSeconds } = this.rule
    const start = Math.floor(timestamp / intervalSeconds) * intervalSeconds
    if (start + expireSeconds <= now || start <= this.closedUpTo) return undefined
    if (this.recent?.start === start) return this.recent
    const oldest = Math.floor((now - expireSeconds) / intervalSeconds) * intervalSeconds
    if (start >= oldest + this.bucketCount * intervalSeconds) return undefined
    this.recent = this.openBucket(start)
    return this.recent
  }

  openBucket(start: number): Bucket {
    let bucket = this.buckets.get(start)
    if (!bucket) {
      bucket = new Bucket(start)
      this.buckets.set(start, bucket)
    }
    return bucket
  }

  /** The journal says that it was emitted. */
  forgetBucket(start: number): void {
    this.buckets.delete(start)
    if (start > this.closedUpTo) this.closedUpTo = start
    this.forgetIdle()
  }

  /** Adds a value; false when the output can take no more. */
  add(bucket: Bucket, output: Output, value: number): boolean {
    const row = output.id
    bucket.reserve(row)
    const { counts, first } = bucket
    const count = counts[row]! + 1
    switch (this.rule.computations[output.computation]!.function) {
      case 'count':
        break
      case 'sum':
      case 'average':
        first[row] = first[row]! + value
        break
      case 'max':
        if (count === 1 || value > first[row]!) first[row] = value
        break
      case 'min':
        if (count === 1 || value < first[row]!) first[row] = value
        break
      case 'variance':
      case 'stddev': {
        const before = value - first[row]!
        first[row] = first[row]! + before / count
        bucket.second[row] = bucket.second[row]! + before * (value - first[row]!)
        break
      }
      case 'median':
      case 'percentile':
        if (count > VALUES_MAX) return false
        this.keep(bucket, row, value)
    }
    counts[row] = count
    if (bucket.start > output.newest) output.newest = bucket.start
    bucket.markChanged(row)
    return true
  }

  /** When the oldest bucket is to be emitted; Infinity when none is open. */
  nextDue(): number {
    let oldest = Infinity
    for (const start of this.buckets.keys()) if (start < oldest) oldest = start
    return oldest + this.rule.expireSeconds
  }

  /**
   * Calls `emit` with results of a bucket, at most `rowsMax` rows further than the last time, and closes it
   * after the last; answers the rows that were gone through. From the first call on it takes no more points.
   * Its outputs keep their ids until `settle`, so that a journal that still has the bucket can name them.
   */
  emit(
    bucket: Bucket,
    rowsMax: number,
    emit: (name: string, value: number, timestamp: number, isCounted: boolean) => void,
  ): number {
    const timestamp = this.timestamp(bucket)
    const { counts, emittedRows, countedRows } = bucket
    if (bucket.start > this.closedUpTo) this.closedUpTo = bucket.start
    const end = Math.min(emittedRows + rowsMax, counts.length)
    for (let row = emittedRows; row < end; row++) {
      if (counts[row] === 0) continue
      const output = this.outputs[row]!
      emit(output.name, this.result(bucket, output), timestamp, row < countedRows)
    }
    bucket.emittedRows = end
    if (end === counts.length) this.close(bucket)
    return end - emittedRows
  }

  /** The journal knows that this bucket is closed. */
  settle(start: number): void {
    this.closing.delete(start)
    this.forgetIdle()
  }

  /** Outputs made since the last call. */
  takeFresh(): readonly Output[] {
    return this.fresh.splice(0)
  }

  /** Ids that the journal gave out may still be among the free ones. */
  private nextId(): number {
    for (;;) {
      const id = this.freeIds.pop()
      if (id === undefined) return this.outputs.length
      if (this.outputs[id] === undefined) return id
    }
  }

  private keep(bucket: Bucket, row: number, value: number): void {
    const list = bucket.lists.get(row)
    if (list) list.push(value)
    else bucket.lists.set(row, [value])
  }

  private close(bucket: Bucket): void {
    this.buckets.delete(bucket.start)
    this.closing.set(bucket.start, bucket)
    if (this.recent === bucket) this.recent = undefined
  }

  private timestamp(bucket: Bucket): number {
    const { timestampAt, intervalSeconds } = this.rule
    if (timestampAt === 'start') return bucket.start
    return (
      bucket.start + (timestampAt === 'end' ? intervalSeconds : Math.floor(intervalSeconds / 2))
    )
  }

  private result(bucket: Bucket, output: Output): number {
    const row = output.id
    const count = bucket.counts[row]!
    const computation = this.rule.computations[output.computation]!
    switch (computation.function) {
      case 'count':
        return count
      case 'sum':
      case 'max':
      case 'min':
        return bucket.first[row]!
      case 'average':
        return bucket.first[row]! / count
      case 'variance':
        return bucket.second[row]! / count
      case 'stddev':
        return Math.sqrt(bucket.second[row]! / count)
      case 'median':
      case 'percentile':
        return nearestRank(bucket.lists.get(row)!, computation.percentile)
    }
  }

  /** Outputs that no open bucket has. */
  private forgetIdle(): void {
    let oldest = Infinity
    for (const start of this.buckets.keys()) if (start < oldest) oldest = start
    for (const start of this.closing.keys()) if (start < oldest) oldest = start
    for (const output of this.outputs) {
      if (!output || output.newest >= oldest) continue
      output.live = false
      this.outputs[output.id] = undefined
      this.idsByName[output.computation]!.delete(output.name)
      this.freeIds.push(output.id)
    }
  }
}

/** The value at rank (int)(p/100·n + 0.9), as carbon-c-relay counts, but of properly sorted values. */
function nearestRank(values: readonly number[], percentile: number): number {
  const sorted = Float64Array.from(values).sort()
  const rank = Math.floor((percentile / 100) * sorted.length + 0.9)
  return sorted[Math.max(rank, 1) - 1]!
}
