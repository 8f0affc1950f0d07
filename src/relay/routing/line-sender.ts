/**
 * Takes lines along their routes: appends them to the destinations' batches, as they are, under another name or as
 * points, validates them and gives them to aggregations. The hot path's second half; nothing is allocated per line
 * but where a destination wants a prefix, or a rule the data as text.
 */

import { type Clock, nowSeconds } from '../../lib/clock.ts'
import type { Counter } from '../../lib/stats.ts'
import { LineData } from '../../metric/line-data.ts'
import { latin1, parseTimestamp, parseValue } from '../../metric/number.ts'
import { viewOf } from '../delivery/copy-bytes.ts'
import type { Interner } from './interner.ts'
import { formLength, formStart } from './name-forms.ts'
import type { Network } from './network.ts'
import type { AggregateStep, ValidateStep } from './plan.ts'
import { type Program, type Route, type Target, TargetKind, UNNUMBERED } from './route.ts'

const BLANK = 0x20
const SEMICOLON = 0x3b

export interface SenderCounters {
  /** Lines that went nowhere, also because of a validate rule. */
  readonly blackholed: Counter
  /** Points that were dropped because their value or time is none. */
  readonly badValues: Counter
  readonly badTimes: Counter
  /** Lines that a validate rule ended. */
  readonly invalid: Counter
}

export interface LineSenderOptions {
  readonly clock: Clock
  readonly network: Network
  readonly interner: Interner
  readonly counters: SenderCounters
  /** As it is now. */
  readonly maxFutureSeconds: () => number
  readonly aggregate: (step: AggregateStep, value: number, timestamp: number, now: number) => void
  readonly logInvalid: (line: string) => void
}

export class LineSender {
  /** Of the line that is sent next, where whoever sends it has read it. */
  readonly data: LineData
  private readonly options: LineSenderOptions
  private readonly limits: { now: number; latest: number }
  /** What the lines lie in. */
  private bytes: Uint8Array
  private view: DataView
  /** The address that they come from. */
  private origin: string
  /** Of the name whose line is being sent, where its route has columns. */
  private number: number

  constructor(options: LineSenderOptions) {
    this.options = options
    this.data = new LineData()
    this.limits = { now: 0, latest: 0 }
    this.bytes = new Uint8Array(0)
    this.view = viewOf(this.bytes)
    this.origin = ''
    this.number = UNNUMBERED
  }

  /** Lines that are sent from now on came at this time. */
  begin(origin: string): void {
    const { clock, maxFutureSeconds } = this.options
    this.limits.now = nowSeconds(clock)
    this.limits.latest = this.limits.now + maxFutureSeconds()
    this.origin = origin
  }

  /** Lines that are sent from now on lie in `bytes`, until `end`. */
  use(bytes: Uint8Array, view: DataView): void {
    this.bytes = bytes
    this.view = view
    this.data.forget()
  }

  /** The bytes are not needed any more. */
  end(): void {
    const { view } = this
    for (const { gatherer } of this.options.network.destinations) gatherer.endRun(view)
  }

  /** The line `[start, end)`, with its newline at `end`, whose name ends at `nameEnd` and has that interner's id. */
  send(route: Route, id: number, start: number, nameEnd: number, end: number): void {
    this.number = route.isCommon ? id : UNNUMBERED
    const { point, targets, program } = route
    // What every line for a store alone goes through is short enough to be compiled into the dispatcher's loop.
    if (point) this.sendPoint(point, nameEnd, end)
    else if (targets) this.sendTo(targets, start, nameEnd, end)
    else this.run(program!, start, nameEnd, end)
  }

  private sendTo(targets: readonly Target[], start: number, nameEnd: number, end: number): void {
    const { view } = this
    for (let i = 0; i < targets.length; i++) {
      const target = targets[i]!
      const { gatherer, kind, name } = target
      if (kind === TargetKind.line) gatherer.extendRun(view, start, end + 1)
      else if (kind === TargetKind.point) this.sendPoint(target, nameEnd, end)
      else if (kind === TargetKind.prefixed) {
        gatherer.appendPrefixed(this.origin, name, view, nameEnd, end + 1)
      } else {
        gatherer.endRun(view)
        if (kind === TargetKind.rewritten) this.sendForm(target, nameEnd, end)
        else {
          const from = kind === TargetKind.extended ? start : nameEnd
          gatherer.appendLine(name, 0, name.byteLength, view, from, end + 1)
        }
      }
    }
  }

  private sendPoint({ gatherer, ids }: Target, nameEnd: number, end: number): void {
    const { data } = this
    if (this.readPoint(nameEnd, end)) {
      gatherer.appendPoint(ids!.get(this.number), data.time, data.value)
    }
  }

  private sendForm({ gatherer, form }: Target, nameEnd: number, end: number): void {
    const { interner } = this.options
    const { arena } = interner
    const start = formStart(arena, interner.formsStart(this.number), form)
    const formEnd = start + formLength(arena, start)
    gatherer.appendLine(arena, start, formEnd, this.view, nameEnd, end + 1)
  }

  private run({ steps, targets }: Program, start: number, nameEnd: number, end: number): void {
    let goes = false
    for (let i = 0; i < steps.length;) {
      const step = steps[i]!
      if (step.kind !== 'validate') goes = true
      if (step.kind === 'send') this.sendTo(targets[i]!, start, nameEnd, end)
      else if (step.kind === 'aggregate') this.aggregate(step, nameEnd, end)
      else if (!step.expression.test(this.validated(step, start, nameEnd, end))) {
        if (step.onFailure === 'log') this.options.logInvalid(latin1(this.bytes, start, end))
        if (step.failTo === steps.length) this.options.counters.invalid.value++
        i = step.failTo
        continue
      }
      i++
    }
    if (!goes) this.options.counters.blackholed.value++
  }

  private aggregate(step: AggregateStep, nameEnd: number, end: number): void {
    if (!this.readPoint(nameEnd, end)) return
    const { data } = this
    this.options.aggregate(step, data.value, data.time, this.limits.now)
  }

  /** Value and time of the line, in `data`; false when one of them is none, counted. */
  private readPoint(nameEnd: number, end: number): boolean {
    const { data } = this
    if (data.end !== end) this.parse(nameEnd, end)
    const { value, time } = data
    if (value === value && time >= 1 && time <= this.limits.latest) return true
    this.countNone(value)
    return false
  }

  private countNone(value: number): void {
    const { badValues, badTimes } = this.options.counters
    if (value !== value) badValues.value++
    else badTimes.value++
  }

  /** For what is not as plain as `LineData` reads it. */
  private parse(nameEnd: number, end: number): void {
    const { bytes, data, limits } = this
    const blank = this.valueEnd(nameEnd + 1, end)
    const timeEnd = blank < end ? this.valueEnd(blank + 1, end) : end
    const time = blank < end ? parseTimestamp(bytes, blank + 1, timeEnd, limits) : limits.now
    data.put(parseValue(bytes, nameEnd + 1, blank), time, end)
  }

  /** A line's data, with tags in front when they count as data. */
  private validated(
    { withTags }: ValidateStep,
    start: number,
    nameEnd: number,
    end: number,
  ): string {
    const { bytes } = this
    let at = withTags ? start : nameEnd
    while (at < nameEnd && bytes[at] !== SEMICOLON) at++
    return latin1(bytes, at + 1, end)
  }

  /** The next blank, or `end`. */
  private valueEnd(start: number, end: number): number {
    const { bytes } = this
    let at = start
    while (at < end && bytes[at] !== BLANK) at++
    return at
  }
}
