/**
 * The hot path: whole lines in, each to where its name's route says.
 *
 * For a line the work is: compare its name with the one that followed the last name before (else hash and
 * look up), run over its data once, and append to each destination. Nothing is allocated per line; routes
 * are made once a name and epoch. Lines that go on unchanged are not even copied one by one: neighbours
 * for the same destination are copied as one run.
 *
 * A line that is not plain, `name value time` with single blanks, goes through the cleaner first
 * (relay.md §2.3) and then takes the same way.
 */

import { ByteWriter, copyOf, NEWLINE } from '../../lib/bytes.ts'
import { type Clock, nowSeconds } from '../../lib/clock.ts'
import type { Counter } from '../../lib/stats.ts'
import { LineData } from '../../metric/line-data.ts'
import { latin1, parseTimestamp, parseValue } from '../../metric/number.ts'
import type { Cleaner } from './cleaning.ts'
import { sameBytes, viewOf } from '../delivery/copy-bytes.ts'
import { hashName, Interner, NOT_INTERNED } from './interner.ts'
import type { CommonRoute, Network } from './network.ts'
import type { AggregateStep, Plan } from './plan.ts'
import { appendData } from '../delivery/points-text.ts'
import { type Route, type Target, TargetKind, UNNUMBERED } from './route.ts'
import { NO_WAY, type Router } from './router.ts'

const BLANK = 0x20
const CARRIAGE_RETURN = 0x0d
/** Longer names are not interned. */
const INTERNED_BYTES_MAX = 4096

export interface DispatcherCounters {
  readonly received: Counter
  readonly discarded: Counter
  readonly blackholed: Counter
  /** Points that were dropped because their value or time is none. */
  readonly badValues: Counter
  readonly badTimes: Counter
  /** Lines that a validate rule ended. */
  readonly invalid: Counter
  readonly nameHits: Counter
  readonly nameMisses: Counter
}

export interface DispatcherOptions {
  readonly clock: Clock
  readonly network: Network
  readonly cleaner: Cleaner
  readonly counters: DispatcherCounters
  /** As it is now. */
  readonly maxFutureSeconds: () => number
  readonly lineBytesMax: number
  readonly aggregate: (step: AggregateStep, value: number, timestamp: number, now: number) => void
  readonly logInvalid: (line: string) => void
  readonly limits: { readonly namesMax: number; readonly bytesMax: number }
}

/** A name that comes with its points apart, and the way that was found for it. */
export interface KnownName {
  readonly name: Uint8Array
  route: Route | undefined
  /** Its own way, past the rules. */
  readonly plan?: Plan | undefined
}

export class Dispatcher {
  private readonly options: DispatcherOptions
  private readonly interner: Interner
  private readonly routes: (Route | undefined)[]
  /** By the router's number of a way, where all names of the way share a route. */
  private ways: (CommonRoute | undefined)[]
  private router: Router
  private readonly limits: { now: number; latest: number }
  private scratch: Uint8Array
  /** The address that the lines of the present call come from. */
  private origin: string
  /** Of the bytes whose lines are being sent. */
  private view: DataView
  /** The interner's number of the name whose line is being sent, or UNNUMBERED. */
  private number: number
  private readonly text: ByteWriter
  /** Of the line that is being sent. */
  private readonly data: LineData

  constructor(router: Router, options: DispatcherOptions) {
    this.options = options
    this.router = router
    this.routes = []
    this.ways = []
    this.interner = new Interner(options.limits, (id) => (this.routes[id] = undefined))
    this.limits = { now: 0, latest: 0 }
    this.scratch = new Uint8Array(4096)
    this.origin = ''
    this.view = viewOf(this.scratch)
    this.number = UNNUMBERED
    this.text = new ByteWriter(256)
    this.data = new LineData()
  }

  get names(): number {
    return this.interner.count
  }

  get namesEvicted(): number {
    return this.interner.evicted
  }

  /** From now on lines take this router's ways. */
  use(router: Router): void {
    this.router = router
    this.ways = []
  }

  /**
   * Takes the lines `bytes[from, to)`, each with its newline. `last` is what the previous call for this
   * sender returned, 0 at first.
   */
  dispatch(bytes: Uint8Array, from: number, to: number, last: number, origin = ''): number {
    this.origin = origin
    const view = viewOf(bytes)
    this.view = view
    const { clock, cleaner, counters, maxFutureSeconds, network, lineBytesMax } = this.options
    const { limits, interner, routes, data } = this
    limits.now = nowSeconds(clock)
    limits.latest = limits.now + maxFutureSeconds()
    let received = 0
    let misses = 0
    let previous = last
    let at = from
    while (at < to) {
      const start = at
      let id = interner.successors[previous]!
      let nameEnd = start + interner.lengths[id]!
      if (bytes[nameEnd] !== BLANK || !isNamed(interner, id, view, start)) {
        nameEnd = start
        while (bytes[nameEnd]! > BLANK) nameEnd++
        id = this.lookUp(bytes, start, nameEnd)
        if (id === NOT_INTERNED) misses++
        else {
          interner.successors[previous] = id
          previous = id
        }
      } else {
        interner.used[id] = 1
        previous = id
      }
      let end = data.read(bytes, view, nameEnd)
      if (end < 0) end = plainDataEnd(bytes, nameEnd)
      received++
      if (end - start > lineBytesMax) {
        counters.discarded.value++
        at = end + 1
        continue
      }
      if (end < 0) {
        at = this.dispatchUnclean(bytes, start)
        continue
      }
      at = end + 1
      let route = id === NOT_INTERNED ? undefined : routes[id]
      if (!route || route.epoch !== network.epoch) {
        misses++
        if (!cleaner.isClean(bytes, start, nameEnd)) {
          this.dispatchUnclean(bytes, start)
          continue
        }
        route = this.makeRoute(bytes, start, nameEnd, id)
        if (id !== NOT_INTERNED) routes[id] = route
      }
      this.number = id === NOT_INTERNED ? UNNUMBERED : id
      if (route.targets) this.send(route.targets, bytes, start, nameEnd, end)
      else this.runSteps(route, bytes, start, nameEnd, end)
      if (route.blackholed) counters.blackholed.value++
    }
    this.endRuns()
    counters.received.value += received
    counters.nameHits.value += received - misses
    counters.nameMisses.value += misses
    return previous
  }

  /** Takes a point whose name, value and time are known: another relay's, or one of our own making. */
  dispatchPoint(known: KnownName, value: number, timestamp: number): void {
    const { network, counters } = this.options
    let { route } = known
    if (route?.epoch !== network.epoch) {
      route = network.route(known.plan ?? this.router.plan(known.name), known.name)
      known.route = route
    }
    if (route.blackholed) counters.blackholed.value++
    this.number = UNNUMBERED
    if (route.onlyPoints) this.sendPoint(route.targets!, value, timestamp)
    else this.dispatchText(route, known.name, value, timestamp)
  }

  /** A point for plain destinations, or through validate and aggregate: as the line that it would be. */
  private dispatchText(route: Route, name: Uint8Array, value: number, timestamp: number): void {
    const { text, limits } = this
    limits.now = nowSeconds(this.options.clock)
    limits.latest = limits.now + this.options.maxFutureSeconds()
    text.reset()
    text.raw(name)
    appendData(text, value, timestamp)
    const end = text.length - 1
    this.view = viewOf(text.bytes)
    this.data.forget()
    if (route.targets) this.send(route.targets, text.bytes, 0, name.length, end)
    else this.runSteps(route, text.bytes, 0, name.length, end)
    this.endRuns()
  }

  // ── names ───────────────────────────────────────────────────────────────────────────────────────

  private lookUp(bytes: Uint8Array, start: number, end: number): number {
    if (end === start || end - start > INTERNED_BYTES_MAX) return NOT_INTERNED
    const hash = hashName(bytes, start, end)
    const id = this.interner.find(bytes, start, end, hash)
    return id === NOT_INTERNED ? this.interner.add(bytes, start, end, hash) : id
  }

  /** The route of the clean name `bytes[start, end)`. */
  private makeRoute(bytes: Uint8Array, start: number, end: number, id: number): Route {
    const { network } = this.options
    const way = this.router.way(bytes, start, end)
    const known = way === NO_WAY ? undefined : this.ways[way]
    if (known?.route.epoch === network.epoch && this.hasIds(known, bytes, start, end, id)) {
      return known.route
    }
    const name = copyOf(bytes.subarray(start, end))
    const plan = this.router.plan(name)
    const route = network.route(plan, name, id)
    const common = way === NO_WAY ? undefined : network.common(plan, route, name)
    if (common) this.ways[way] = common
    return route
  }

  /** Whether the name can go by the common route: where it needs ids for its points it gets them. */
  private hasIds(
    common: CommonRoute,
    bytes: Uint8Array,
    start: number,
    end: number,
    id: number,
  ): boolean {
    if (common.points.length === 0) return true
    return id !== NOT_INTERNED && this.options.network.defineAll(common, bytes, start, end, id)
  }

  // ── lines that need cleaning ────────────────────────────────────────────────────────────────────

  /**
   * Cleans the line at `start` and dispatches it; returns where the next one starts. A carriage return ends
   * a line too, as carbon-c-relay has it.
   */
  private dispatchUnclean(bytes: Uint8Array, start: number): number {
    const { cleaner, counters } = this.options
    const { view } = this
    this.endRuns()
    let from = start
    for (let end = start; ; end++) {
      const byte = bytes[end]
      if (byte !== NEWLINE && byte !== CARRIAGE_RETURN) continue
      if (end > from) {
        if (this.scratch.length < end - from + 2) this.scratch = new Uint8Array(end - from + 4096)
        const line = this.scratch
        const length = cleaner.cleanLine(bytes, from, end, line, 0)
        if (length === 0) counters.discarded.value++
        else {
          line[length] = NEWLINE
          this.dispatchClean(line, length)
        }
      }
      if (byte === NEWLINE) {
        this.view = view
        return end + 1
      }
      from = end + 1
    }
  }

  private dispatchClean(line: Uint8Array, length: number): void {
    const { network, cleaner, counters } = this.options
    const nameEnd = line.indexOf(BLANK)
    const id = this.lookUp(line, 0, nameEnd)
    let route = id === NOT_INTERNED ? undefined : this.routes[id]
    if (!route || route.epoch !== network.epoch) {
      route = this.makeRoute(line, 0, nameEnd, id)
      if (id !== NOT_INTERNED && cleaner.isClean(line, 0, nameEnd)) this.routes[id] = route
    }
    this.view = viewOf(line)
    this.data.forget()
    this.number = id === NOT_INTERNED ? UNNUMBERED : id
    if (route.targets) this.send(route.targets, line, 0, nameEnd, length)
    else this.runSteps(route, line, 0, nameEnd, length)
    if (route.blackholed) counters.blackholed.value++
    this.endRuns()
  }

  // ── sending ─────────────────────────────────────────────────────────────────────────────────────

  /** The line is `bytes[start, end)` with its newline at `end`, its name ends at `nameEnd`. */
  private send(
    targets: readonly Target[],
    bytes: Uint8Array,
    start: number,
    nameEnd: number,
    end: number,
  ): void {
    const { view } = this
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!
      const { gatherer, kind } = target
      if (kind === TargetKind.line) gatherer.extendRun(view, start, end + 1)
      else if (kind === TargetKind.renamed) {
        gatherer.endRun(view)
        gatherer.appendLine(target.name, view, nameEnd, end + 1)
      } else if (kind === TargetKind.extended) {
        gatherer.endRun(view)
        gatherer.appendLine(target.name, view, start, end + 1)
      } else if (kind === TargetKind.prefixed) {
        gatherer.appendPrefixed(this.origin, target.name, view, nameEnd, end + 1)
      } else {
        if (!this.readPoint(bytes, nameEnd, end)) continue
        gatherer.appendPoint(target.ids!.get(this.number), this.data.time, this.data.value)
      }
    }
  }

  private sendPoint(targets: readonly Target[], value: number, timestamp: number): void {
    for (let i = 0; i < targets.length; i++) {
      const { gatherer, ids } = targets[i]!
      gatherer.appendPoint(ids!.get(this.number), timestamp, value)
    }
  }

  /** Value and time of the line, in `data`; false when one of them is none, counted. */
  private readPoint(bytes: Uint8Array, nameEnd: number, end: number): boolean {
    const { data, limits } = this
    const { counters } = this.options
    if (data.end !== end) {
      const blank = valueEnd(bytes, nameEnd + 1, end)
      const time =
        blank >= end
          ? limits.now
          : parseTimestamp(bytes, blank + 1, valueEnd(bytes, blank + 1, end), limits)
      data.put(parseValue(bytes, nameEnd + 1, blank), time, end)
    }
    const { value, time } = data
    if (value !== value) counters.badValues.value++
    else if (time < 1 || time > limits.latest) counters.badTimes.value++
    else return true
    return false
  }

  private runSteps(
    route: Route,
    bytes: Uint8Array,
    start: number,
    nameEnd: number,
    end: number,
  ): void {
    const { steps, targets } = route.program!
    for (let i = 0; i < steps.length;) {
      const step = steps[i]!
      if (step.kind === 'send') this.send(targets[i]!, bytes, start, nameEnd, end)
      else if (step.kind === 'aggregate') this.aggregate(step, bytes, nameEnd, end)
      else if (!step.expression.test(step.prefix + latin1(bytes, nameEnd + 1, end))) {
        if (step.onFailure === 'log') this.options.logInvalid(latin1(bytes, start, end))
        if (step.failTo === steps.length) this.options.counters.invalid.value++
        i = step.failTo
        continue
      }
      i++
    }
  }

  private aggregate(step: AggregateStep, bytes: Uint8Array, nameEnd: number, end: number): void {
    if (!this.readPoint(bytes, nameEnd, end)) return
    this.options.aggregate(step, this.data.value, this.data.time, this.limits.now)
  }

  private endRuns(): void {
    const { view } = this
    for (const { gatherer } of this.options.network.destinations) gatherer.endRun(view)
  }
}

function isNamed(interner: Interner, id: number, line: DataView, start: number): boolean {
  const { arenaView, starts, lengths } = interner
  const length = lengths[id]!
  return length > 0 && sameBytes(arenaView, starts[id]!, line, start, length)
}

/**
 * The newline that ends the line whose name ends at `blank`, when what is between is as it should be:
 * something after the blank, single blanks, none at the end, no control bytes. Else −1.
 */
function plainDataEnd(bytes: Uint8Array, blank: number): number {
  if (bytes[blank] !== BLANK) return -1
  let before = BLANK
  for (let at = blank + 1; ; at++) {
    const byte = bytes[at]!
    if (byte < BLANK) return byte === NEWLINE && before !== BLANK ? at : -1
    if (byte === BLANK && before === BLANK) return -1
    before = byte
  }
}

/** The next blank, or `end`. */
function valueEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && bytes[at] !== BLANK) at++
  return at
}
