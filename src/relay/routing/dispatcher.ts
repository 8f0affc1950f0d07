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
import type { Counter } from '../../lib/stats.ts'
import { type Cleaner, UNCLEAN } from './cleaning.ts'
import { sameName, viewOf } from '../delivery/copy-bytes.ts'
import { type Interner, type InternerLimits, NOT_INTERNED } from './interner.ts'
import { LineSender, type LineSenderOptions, type SenderCounters } from './line-sender.ts'
import { Names } from './names.ts'
import type { PointNames } from './point-names.ts'
import { appendData } from '../delivery/points-text.ts'
import { type KnownName, type Route, UNNUMBERED } from './route.ts'
import { RouteMaker } from './route-maker.ts'
import type { Router } from './router.ts'

const BLANK = 0x20
const CARRIAGE_RETURN = 0x0d

export interface DispatcherCounters extends SenderCounters {
  /** Lines that are lines; the others are discarded. */
  readonly received: Counter
  readonly discarded: Counter
  /** Points whose name no store would take. */
  readonly badNames: Counter
  /** Lines whose route was known, and routes that had to be made. */
  readonly nameHits: Counter
  readonly nameMisses: Counter
}

export interface DispatcherOptions extends Omit<LineSenderOptions, 'interner'> {
  readonly cleaner: Cleaner
  readonly counters: DispatcherCounters
  readonly lineBytesMax: number
  readonly limits: InternerLimits
}

export class Dispatcher {
  private readonly options: DispatcherOptions
  private readonly names: Names
  private readonly routeMaker: RouteMaker
  private router: Router
  private readonly sender: LineSender
  private scratch: Uint8Array
  private readonly text: ByteWriter
  /** Of the text's bytes. */
  private textView: DataView

  constructor(router: Router, options: DispatcherOptions) {
    this.options = options
    this.router = router
    this.routeMaker = new RouteMaker(options.network, options.counters.badNames)
    const { network, cleaner, limits } = options
    const misses = options.counters.nameMisses
    this.names = new Names({ router, network, cleaner, maker: this.routeMaker, limits, misses })
    this.sender = new LineSender({ ...options, interner: this.names.interner })
    this.scratch = new Uint8Array(4096)
    this.text = new ByteWriter(256)
    this.textView = viewOf(this.text.bytes)
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
    const { cleaner, counters, network, lineBytesMax } = this.options
    const { names, sender } = this
    const { interner, routes } = names
    const { data } = sender
    const view = viewOf(bytes)
    sender.begin(origin)
    sender.use(bytes, view)
    let received = 0
    const receivedBefore = counters.received.value
    const missesBefore = counters.nameMisses.value
    let previous = last
    let at = from
    while (at < to) {
      const start = at
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
        at = this.dispatchUnclean(bytes, view, start)
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
      received++
      sender.send(route, id, start, nameEnd, end)
    }
    sender.end()
    counters.received.value += received
    counters.nameHits.value +=
      counters.received.value - receivedBefore - (counters.nameMisses.value - missesBefore)
    return previous
  }

  /** Takes a point whose name has a route of its own. */
  dispatchPoint(known: KnownName, value: number, timestamp: number): void {
    let { route } = known
    if (route?.epoch !== this.options.network.epoch) {
      route = this.routeMaker.own(known.plan ?? this.router.plan(known.name), known.name)
      known.route = route
    }
    const { name } = known
    if (this.sendPoint(route, UNNUMBERED, value, timestamp)) return
    this.sendText(route, UNNUMBERED, name, 0, name.length, value, timestamp)
  }

  /** Takes a point of another relay, under a number of `of`. */
  dispatchNumbered(of: PointNames, number: number, value: number, timestamp: number): void {
    const { names } = this
    const { interner, routes } = names
    const start = of.start(number)
    const end = of.ends[number]!
    let id = of.interned[number]!
    let route: Route
    if (
      id !== NOT_INTERNED &&
      interner.lengths[id] === end - start &&
      isNamed(interner, id, of.view, start)
    ) {
      interner.used[id] = 1
      route = routes[id]!
      if (route.epoch !== this.options.network.epoch) {
        route = names.remake(of.bytes, start, end, id)
      }
    } else {
      const isClean = this.options.cleaner.nameEnd(of.bytes, start) === end
      // Not interned: what is, lines are taken for clean by.
      if (!isClean) return this.dispatchPoint(of.apart(number), value, timestamp)
      route = names.route(of.bytes, of.view, start, end)
      id = of.interned[number] = names.id
    }
    if (this.sendPoint(route, id, value, timestamp)) return
    this.sendText(route, id, of.bytes, start, end, value, timestamp)
  }

  /** False when the point has to be sent as text. */
  private sendPoint(route: Route, id: number, value: number, timestamp: number): boolean {
    const { onlyPoints, blackholed, targets, isCommon } = route
    if (!onlyPoints) return false
    if (blackholed) this.options.counters.blackholed.value++
    else {
      const number = isCommon ? id : UNNUMBERED
      for (let i = 0; i < targets!.length; i++) {
        const { gatherer, ids } = targets![i]!
        gatherer.appendPoint(ids!.get(number), timestamp, value)
      }
    }
    return true
  }

  /** A point for plain destinations, or through validate and aggregate: as the line that it would be. */
  private sendText(
    route: Route,
    id: number,
    name: Uint8Array,
    start: number,
    end: number,
    value: number,
    timestamp: number,
  ): void {
    const { text, sender } = this
    text.reset()
    const at = text.skip(end - start) - start
    for (let i = start; i < end; i++) text.bytes[at + i] = name[i]!
    appendData(text, value, timestamp)
    if (this.textView.buffer !== text.bytes.buffer) this.textView = viewOf(text.bytes)
    sender.begin('')
    sender.use(text.bytes, this.textView)
    sender.send(route, id, 0, end - start, text.length - 1)
    sender.end()
  }

  // ── lines that need cleaning ────────────────────────────────────────────────────────────────────

  /**
   * Cleans the line at `start` and dispatches it; returns where the next one starts. A carriage return ends
   * a line too, as carbon-c-relay has it; what lies between it and the newline counts as no line of its own.
   */
  private dispatchUnclean(bytes: Uint8Array, view: DataView, start: number): number {
    const { cleaner, counters, lineBytesMax } = this.options
    this.sender.end()
    let from = start
    for (let end = start; ; end++) {
      const byte = bytes[end]
      if (byte !== NEWLINE && byte !== CARRIAGE_RETURN) continue
      if (end === start || end - from > lineBytesMax) counters.discarded.value++
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
        this.sender.use(bytes, view)
        return end + 1
      }
      from = end + 1
    }
  }

  private dispatchClean(line: Uint8Array, length: number): void {
    const { names, sender } = this
    const { cleaner, counters } = this.options
    const view = viewOf(line)
    const nameEnd = line.indexOf(BLANK)
    cleaner.nameEnd(line, 0)
    counters.received.value++
    const route = names.route(line, view, 0, nameEnd)
    sender.use(line, view)
    sender.send(route, names.id, 0, nameEnd, length)
    sender.end()
  }
}

function isNamed(interner: Interner, id: number, line: DataView, start: number): boolean {
  const { arena, starts, lengths } = interner
  const length = lengths[id]!
  return length > 0 && sameName(arena, starts[id]!, line, start, length)
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
