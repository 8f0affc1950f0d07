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

import { ByteWriter, NEWLINE } from '../../lib/bytes.ts'
import { type Clock, nowSeconds } from '../../lib/clock.ts'
import type { Counter } from '../../lib/stats.ts'
import { LineData } from '../../metric/line-data.ts'
import { latin1, parseTimestamp, parseValue } from '../../metric/number.ts'
import { type Cleaner, UNCLEAN } from './cleaning.ts'
import { sameBytes, viewOf } from '../delivery/copy-bytes.ts'
import { type Interner, type InternerLimits, NOT_INTERNED } from './interner.ts'
import { formLength, formStart } from './name-forms.ts'
import { Names } from './names.ts'
import type { Network } from './network.ts'
import type { AggregateStep, Plan, ValidateStep } from './plan.ts'
import { appendData } from '../delivery/points-text.ts'
import { type Route, type Target, TargetKind, UNNUMBERED } from './route.ts'
import { RouteMaker } from './route-maker.ts'
import type { Router } from './router.ts'

const BLANK = 0x20
const CARRIAGE_RETURN = 0x0d
const SEMICOLON = 0x3b

export interface DispatcherCounters {
  readonly received: Counter
  readonly discarded: Counter
  readonly blackholed: Counter
  /** Points that were dropped because their value or time is none. */
  readonly badValues: Counter
  readonly badTimes: Counter
  /** Points whose name no store would take. */
  readonly badNames: Counter
  /** Lines that a validate rule ended. */
  readonly invalid: Counter
  /** Lines whose route was known, and routes that had to be made. */
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
  readonly limits: InternerLimits
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
  private readonly names: Names
  private readonly routeMaker: RouteMaker
  private router: Router
  private readonly limits: { now: number; latest: number }
  private scratch: Uint8Array
  /** The address that the lines of the present call come from. */
  private origin: string
  /** Of the bytes whose lines are being sent. */
  private view: DataView
  /** Of the name whose line is being sent: the interner's id, or UNNUMBERED. */
  private number: number
  private readonly text: ByteWriter
  /** Of the line that is being sent. */
  private readonly data: LineData

  constructor(router: Router, options: DispatcherOptions) {
    this.options = options
    this.router = router
    this.routeMaker = new RouteMaker(options.network, options.counters.badNames)
    const { network, cleaner, limits } = options
    const misses = options.counters.nameMisses
    this.names = new Names({ router, network, cleaner, maker: this.routeMaker, limits, misses })
    this.limits = { now: 0, latest: 0 }
    this.scratch = new Uint8Array(4096)
    this.origin = ''
    this.view = viewOf(this.scratch)
    this.number = UNNUMBERED
    this.text = new ByteWriter(256)
    this.data = new LineData()
  }

  get namesInterned(): number {
    return this.names.interner.count
  }

  get namesEvicted(): number {
    return this.names.interner.evicted
  }

  /** From now on lines take this router's ways. */
  use(router: Router): void {
    this.router = router
    this.names.router = router
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
    const { limits, names, data } = this
    const { interner, routes } = names
    limits.now = nowSeconds(clock)
    limits.latest = limits.now + maxFutureSeconds()
    let received = 0
    const missesBefore = counters.nameMisses.value
    let previous = last
    let at = from
    while (at < to) {
      const start = at
      received++
      let id = interner.successors[previous]!
      let nameEnd = start + interner.lengths[id]!
      if (bytes[nameEnd] === BLANK && isNamed(interner, id, view, start)) interner.used[id] = 1
      else {
        id = NOT_INTERNED
        nameEnd = cleaner.nameEnd(bytes, start)
      }
      let end = -1
      if (nameEnd !== UNCLEAN) {
        end = data.read(bytes, view, nameEnd)
        if (end < 0) end = plainDataEnd(bytes, nameEnd)
      }
      if (end < 0) {
        at = this.dispatchUnclean(bytes, start)
        continue
      }
      at = end + 1
      if (end - start > lineBytesMax) {
        counters.discarded.value++
        continue
      }
      let route: Route
      if (id === NOT_INTERNED) {
        route = names.route(bytes, view, start, nameEnd)
        id = names.id
        if (id !== NOT_INTERNED) interner.successors[previous] = id
      } else {
        route = routes[id]!
        if (route.epoch !== network.epoch) route = names.remake(bytes, start, nameEnd, id)
      }
      if (id !== NOT_INTERNED) previous = id
      this.number = route.isCommon ? id : UNNUMBERED
      if (route.targets) this.send(route.targets, bytes, start, nameEnd, end)
      else this.runSteps(route, bytes, start, nameEnd, end)
      if (route.blackholed) counters.blackholed.value++
    }
    this.endRuns()
    counters.received.value += received
    counters.nameHits.value += received - (counters.nameMisses.value - missesBefore)
    return previous
  }

  /** Takes a point whose name, value and time are known: another relay's, or one of our own making. */
  dispatchPoint(known: KnownName, value: number, timestamp: number): void {
    const { network, counters } = this.options
    let { route } = known
    if (route?.epoch !== network.epoch) {
      route = this.routeMaker.own(known.plan ?? this.router.plan(known.name), known.name)
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

  // ── lines that need cleaning ────────────────────────────────────────────────────────────────────

  /**
   * Cleans the line at `start` and dispatches it; returns where the next one starts. A carriage return ends
   * a line too, as carbon-c-relay has it.
   */
  private dispatchUnclean(bytes: Uint8Array, start: number): number {
    const { cleaner, counters, lineBytesMax } = this.options
    const { view } = this
    this.endRuns()
    let from = start
    for (let end = start; ; end++) {
      const byte = bytes[end]
      if (byte !== NEWLINE && byte !== CARRIAGE_RETURN) continue
      if (end - from > lineBytesMax) counters.discarded.value++
      else if (end > from) {
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
    const { cleaner, counters } = this.options
    const { names } = this
    const view = viewOf(line)
    const nameEnd = line.indexOf(BLANK)
    cleaner.nameEnd(line, 0)
    const route = names.route(line, view, 0, nameEnd)
    this.view = view
    this.data.forget()
    this.number = route.isCommon ? names.id : UNNUMBERED
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
      else if (kind === TargetKind.extended) {
        gatherer.endRun(view)
        gatherer.appendLine(target.name, 0, target.name.byteLength, view, start, end + 1)
      } else if (kind === TargetKind.rewritten) {
        const { interner } = this.names
        const { arena } = interner
        const formAt = formStart(arena, interner.formsStart(this.number), target.form)
        const formEnd = formAt + formLength(arena, formAt)
        gatherer.endRun(view)
        gatherer.appendLine(arena, formAt, formEnd, view, nameEnd, end + 1)
      } else if (kind === TargetKind.renamed) {
        gatherer.endRun(view)
        gatherer.appendLine(target.name, 0, target.name.byteLength, view, nameEnd, end + 1)
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
      else if (!step.expression.test(validated(step, bytes, start, nameEnd, end))) {
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
  const { arena, starts, lengths } = interner
  const length = lengths[id]!
  return length > 0 && sameBytes(arena, starts[id]!, line, start, length)
}

/** A line's data, with tags in front when they count as data. */
function validated(
  { withTags }: ValidateStep,
  bytes: Uint8Array,
  start: number,
  nameEnd: number,
  end: number,
): string {
  let at = withTags ? start : nameEnd
  while (at < nameEnd && bytes[at] !== SEMICOLON) at++
  return latin1(bytes, at + 1, end)
}

/**
 * The newline that ends the line whose name ends at `blank`, when what is between is as it should be:
 * something after the blank, single blanks, none at the end, no control bytes. Else −1.
 */
function plainDataEnd(bytes: Uint8Array, blank: number): number {
  if (bytes[blank] !== BLANK) return -1
  for (let at = blank + 1; ; at++) {
    const word = at
    while (bytes[at]! > BLANK) at++
    if (at === word) return -1
    if (bytes[at] !== BLANK) return bytes[at] === NEWLINE ? at : -1
  }
}

/** The next blank, or `end`. */
function valueEnd(bytes: Uint8Array, start: number, end: number): number {
  let at = start
  while (at < end && bytes[at] !== BLANK) at++
  return at
}
