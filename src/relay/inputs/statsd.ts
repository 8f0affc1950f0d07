/**
 * A StatsD server's state between flushes, and what a flush makes of it (Etsy's stats.js and
 * backends/graphite.js): counters as count and rate, gauges, timers (timer-summary.ts), sets, and the server's own
 * three counters.
 *
 * `legacyNamespace` names are Etsy's default: `stats.NAME` (rate), `stats_counts.NAME`, `stats.timers.…`;
 * the other: `stats.counters.NAME.count|rate`. Idle counters go on as 0, timers as count 0, gauges with their
 * last value, unless `deleteIdle` says so for their kind.
 *
 * Limits: `namesMax` names over all types, of at most 1,024 bytes. A timer keeps `TIMER_VALUES_MAX` values for its
 * percentiles, and all timers and sets `KEPT_BYTES_MAX` between two flushes; a timer's further values still count in
 * its count.
 */

import { latin1, parseValue } from '../../metric/number.ts'
import { parseSample, type Sample, splitSamples } from './statsd-line.ts'
import { type Shape, StatsdShapes } from './statsd-shapes.ts'
import { type Histogram, summarize } from './timer-summary.ts'

export const TIMER_VALUES_MAX = 100_000
export const KEPT_BYTES_MAX = 64 * 1024 * 1024
const NAME_BYTES_MAX = 1024
const IDLE_RE = /^(?:(counter|timer|set)|gauge (\S+)) (\S+)$/
const PLUS = 0x2b
const MINUS = 0x2d
const VALUE_BYTES = 8
/** What a set takes for a member beside its characters. */
const MEMBER_BYTES = 64

export interface StatsdSettings {
  readonly flushSeconds: number
  /** 90 → `upper_90`; −10 → `lower_top10`: of the greatest tenth. */
  readonly percentiles: readonly number[]
  /** The first whose text is in a timer's name counts its values. */
  readonly histograms: readonly Histogram[]
  readonly legacyNamespace: boolean
  readonly deleteIdle: ReadonlySet<StatsdKind>
}

export type StatsdKind = 'counters' | 'timers' | 'gauges' | 'sets'

/** Takes a point of a flush. */
export type EmitPoint = (name: string, value: number, timestamp: number) => void

interface Timer {
  values: number[]
  /** With each value's rate. */
  count: number
}

export class Statsd {
  readonly counters: Map<string, number>
  readonly gauges: Map<string, number>
  readonly timers: Map<string, Timer>
  readonly sets: Map<string, Set<string>>
  /** Change them between flushes: what has been gathered goes out as it was meant to. */
  settings: StatsdSettings
  private readonly namesMax: number
  samples: number
  badLines: number
  /** Since the last flush: datagrams or pieces of a connection, and lines in them. */
  packetsReceived: number
  linesReceived: number
  private badLinesFlushed: number
  /** Events and service checks. */
  ignored: number
  /** Samples of names beyond the limits. */
  refused: number
  /** Values of timers and members of sets beyond theirs. */
  left: number
  /** Bytes of values and members since the last flush. */
  private keptBytes: number
  private readonly shapes: StatsdShapes

  constructor(settings: StatsdSettings, namesMax: number) {
    this.settings = settings
    this.namesMax = namesMax
    this.counters = new Map()
    this.gauges = new Map()
    this.timers = new Map()
    this.sets = new Map()
    this.samples = 0
    this.badLines = 0
    this.packetsReceived = 0
    this.linesReceived = 0
    this.badLinesFlushed = 0
    this.ignored = 0
    this.refused = 0
    this.left = 0
    this.keptBytes = 0
    this.shapes = new StatsdShapes()
  }

  /**
   * Takes one line, without its newline and blanks at its end; points that are not gathered go to `emit`. False: it
   * counted for nothing.
   */
  take(bytes: Uint8Array, start: number, end: number, emit: EmitPoint): boolean {
    const { shapes } = this
    if (end > start) this.linesReceived++
    const shape = shapes.find(bytes, start, end)
    if (shape && this.gatherOne(shape, bytes, shapes.valueStart, shapes.valueEnd)) {
      this.samples++
      return true
    }
    if (start === end) return false
    const line = latin1(bytes, start, end)
    if (line.startsWith('_e{') || line.startsWith('_sc|')) {
      this.ignored++
      return false
    }
    const sample = parseSample(line)
    if (!sample) return this.takeSeveral(line, emit)
    if (!shape) shapes.learn(sample)
    return this.takeSample(sample, emit)
  }

  private takeSeveral(line: string, emit: EmitPoint): boolean {
    let counted = false
    for (const one of splitSamples(line) ?? [line]) {
      const sample = parseSample(one)
      if (sample) counted = this.takeSample(sample, emit) || counted
      else this.badLines++
    }
    return counted
  }

  private takeSample(sample: Sample, emit: EmitPoint): boolean {
    this.samples++
    if (sample.timestamp === undefined && sample.type !== 'value') return this.gather(sample)
    this.passOn(sample, emit)
    return false
  }

  /** Sends everything gathered since the last flush and begins anew. */
  flush(timestamp: number, emit: EmitPoint): void {
    const { legacyNamespace, deleteIdle } = this.settings
    const to = { timestamp, emit }
    const own = [
      ['statsd.bad_lines_seen', this.badLines - this.badLinesFlushed],
      ['statsd.packets_received', this.packetsReceived],
      ['statsd.metrics_received', this.linesReceived],
    ] as const
    for (const [key, value] of own) this.emitCounter(key, value, to)
    this.badLinesFlushed = this.badLines
    this.packetsReceived = 0
    this.linesReceived = 0
    for (const [key, value] of this.counters) {
      this.emitCounter(key, value, to)
      this.counters.set(key, 0)
    }
    for (const [key, timer] of this.timers) {
      this.emitTimer(key, timer, to)
      this.timers.set(key, { values: [], count: 0 })
    }
    for (const [key, value] of this.gauges) emit(named('stats.gauges.', key, ''), value, timestamp)
    for (const [key, members] of this.sets) {
      emit(named('stats.sets.', key, '.count'), members.size, timestamp)
      this.sets.set(key, new Set())
    }
    const count = own.length + this.names
    emit(legacyNamespace ? 'statsd.numStats' : 'stats.statsd.numStats', count, timestamp)
    for (const kind of deleteIdle) this[kind].clear()
    this.keptBytes = 0
  }

  /** What outlives a flush, in its order: names with nothing new, and gauges. `restore` takes the lines. */
  *idleLines(): Generator<string> {
    for (const key of this.counters.keys()) yield `counter ${key}`
    for (const key of this.timers.keys()) yield `timer ${key}`
    for (const [key, value] of this.gauges) yield `gauge ${value} ${key}`
    for (const key of this.sets.keys()) yield `set ${key}`
  }

  restore(line: string): void {
    const [, type, value, key = ''] = IDLE_RE.exec(line) ?? []
    const name = detached(key)
    if (type === 'counter') this.counters.set(name, 0)
    else if (type === 'timer') this.timers.set(name, { values: [], count: 0 })
    else if (type === 'set') this.sets.set(name, new Set())
    else if (value !== undefined) this.gauges.set(name, Number(value))
  }

  /** Nobody has sent anything yet. */
  get isUnused(): boolean {
    return this.samples === 0 && this.badLines === 0 && this.names === 0
  }

  /** One number more of a name that is known; false where it is not that simple. */
  private gatherOne(shape: Shape, bytes: Uint8Array, start: number, end: number): boolean {
    const { type, key, rate } = shape
    const value = parseValue(bytes, start, end)
    if (!Number.isFinite(value)) return false
    switch (type) {
      case 'counter': {
        const sum = this.counters.get(key)
        if (sum === undefined) return false
        this.counters.set(key, sum + value / rate)
        return true
      }
      case 'gauge': {
        const isChange = bytes[start] === PLUS || bytes[start] === MINUS
        if (isChange || !this.gauges.has(key)) return false
        this.gauges.set(key, value)
        return true
      }
      case 'timer': {
        // Whether it may be negative depends on how the type is written.
        const timer = bytes[start] === MINUS ? undefined : this.timers.get(key)
        if (timer) this.time(timer, value, rate)
        return timer !== undefined
      }
      default:
        return false
    }
  }

  private gather(sample: Sample): boolean {
    const { type, values, rate } = sample
    let key = sample.name + sample.tags
    const map = this.mapOf(type)
    const isNew = !map.has(key)
    if (isNew && (this.names >= this.namesMax || key.length > NAME_BYTES_MAX)) {
      this.refused++
      return false
    }
    if (isNew) key = detached(key)
    switch (type) {
      case 'counter': {
        let sum = this.counters.get(key) ?? 0
        for (const value of values) sum += Number(value) / rate
        this.counters.set(key, sum)
        return true
      }
      case 'gauge':
        return this.gatherGauge(key, sample)
      case 'set': {
        let members = this.sets.get(key)
        if (!members) this.sets.set(key, (members = new Set()))
        for (const value of values) {
          if (!members.has(value) && this.keep(MEMBER_BYTES + value.length)) {
            members.add(detached(value))
          }
        }
        return true
      }
      default:
        return this.gatherTimer(key, sample)
    }
  }

  private gatherGauge(key: string, { values, relative }: Sample): boolean {
    let level = this.gauges.get(key) ?? 0
    for (const value of values) level = relative ? level + Number(value) : Number(value)
    this.gauges.set(key, level)
    return true
  }

  private gatherTimer(key: string, { values, rate }: Sample): boolean {
    let timer = this.timers.get(key)
    if (!timer) this.timers.set(key, (timer = { values: [], count: 0 }))
    for (const value of values) this.time(timer, Number(value), rate)
    return true
  }

  private time(timer: Timer, value: number, rate: number): void {
    if (timer.values.length >= TIMER_VALUES_MAX) this.left++
    else if (this.keep(VALUE_BYTES)) timer.values.push(value)
    timer.count += 1 / rate
  }

  /** Whether there is room for so much more. */
  private keep(bytes: number): boolean {
    if (this.keptBytes + bytes > KEPT_BYTES_MAX) {
      this.left++
      return false
    }
    this.keptBytes += bytes
    return true
  }

  private get names(): number {
    return this.counters.size + this.gauges.size + this.timers.size + this.sets.size
  }

  private mapOf(type: Sample['type']): Map<string, unknown> {
    if (type === 'counter') return this.counters
    if (type === 'gauge') return this.gauges
    return type === 'set' ? this.sets : this.timers
  }

  private passOn(sample: Sample, emit: EmitPoint): void {
    const { type, name, tags, values, rate, timestamp } = sample
    const key = name + tags
    const time = timestamp ?? -1
    for (const value of values) {
      if (type === 'counter') this.emitCounter(key, Number(value) / rate, { timestamp: time, emit })
      else if (type === 'gauge') emit(named('stats.gauges.', key, ''), Number(value), time)
      else emit(named('stats.values.', key, ''), Number(value), time)
    }
  }

  private emitCounter(key: string, value: number, to: Flush): void {
    const rate = value / this.settings.flushSeconds
    if (this.settings.legacyNamespace) {
      to.emit(named('stats.', key, ''), rate, to.timestamp)
      to.emit(named('stats_counts.', key, ''), value, to.timestamp)
    } else {
      to.emit(named('stats.counters.', key, '.rate'), rate, to.timestamp)
      to.emit(named('stats.counters.', key, '.count'), value, to.timestamp)
    }
  }

  private emitTimer(key: string, timer: Timer, to: Flush): void {
    const { flushSeconds, percentiles, histograms } = this.settings
    const put = (suffix: string, value: number): void =>
      to.emit(named('stats.timers.', key, `.${suffix}`), value, to.timestamp)
    put('count', timer.count)
    put('count_ps', timer.count / flushSeconds)
    const bins = histograms.find(({ inName }) => key.includes(inName))?.bins ?? []
    if (timer.values.length > 0) summarize(timer.values, { percentiles, bins }, put)
  }
}

interface Flush {
  readonly timestamp: number
  readonly emit: EmitPoint
}

/** `PREFIX name SUFFIX ;tags`. */
function named(prefix: string, key: string, suffix: string): string {
  const tags = key.indexOf(';')
  return tags < 0 ? prefix + key + suffix : prefix + key.slice(0, tags) + suffix + key.slice(tags)
}

/** A copy with memory of its own: a part of a text keeps all of it. */
function detached(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}
