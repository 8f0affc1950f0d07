/**
 * The names that pass through, each with its route: by its way when it has one (way.ts), else by a plan of its
 * own. What goes nowhere is interned when it comes a second time: names that come once, as those of a sender gone
 * wrong, cost no more than the question where they go, and take no other name's place.
 */

import { copyOf } from '../../lib/bytes.ts'
import { hashName, Interner, type InternerLimits, NOT_INTERNED } from './interner.ts'
import type { Network } from './network.ts'
import type { AggregateStep, Step } from './plan.ts'
import type { CommonRoute, Route } from './route.ts'
import type { RouteMaker } from './route-maker.ts'
import type { Router } from './router.ts'
import { SeenOnce } from './seen-once.ts'
import type { Way } from './way.ts'

/** Longer names are not interned. */
const INTERNED_BYTES_MAX = 4096

export class Names {
  readonly interner: Interner
  /** By the interner's id. */
  readonly routes: (Route | undefined)[]
  router: Router
  /** The id that `enter` gave. */
  entered: number
  private readonly network: Network
  private readonly maker: RouteMaker
  private readonly dropped: SeenOnce
  private hash: number

  constructor(router: Router, network: Network, maker: RouteMaker, limits: InternerLimits) {
    this.routes = []
    this.interner = new Interner(limits, (id) => (this.routes[id] = undefined))
    this.router = router
    this.entered = NOT_INTERNED
    this.network = network
    this.maker = maker
    this.dropped = new SeenOnce()
    this.hash = 0
  }

  /** The id of the name `line[start, end)`; NOT_INTERNED: `enter` it. */
  find(line: DataView, start: number, end: number): number {
    if (end - start > INTERNED_BYTES_MAX) return NOT_INTERNED
    this.hash = hashName(line, start, end)
    return this.interner.find(line, start, end, this.hash)
  }

  /** The route of a clean name that `find` did not find; `entered` is the id that it has from now on, if any. */
  enter(bytes: Uint8Array, line: DataView, start: number, end: number): Route {
    const { hash } = this
    this.entered = NOT_INTERNED
    if (end - start > INTERNED_BYTES_MAX) return this.ownRoute(bytes, start, end)
    const way = this.router.way(bytes, start, end)
    const common = way && this.common(way, bytes, start, end)
    if (common?.route.targets?.length === 0 && !this.dropped.again(hash)) return common.route
    const id = this.interner.add(line, start, end, hash)
    if (id === NOT_INTERNED) return this.ownRoute(bytes, start, end)
    this.entered = id
    return this.keepRoute(common, bytes, start, end, id)
  }

  /** Another route for a name whose own is not in force any more. */
  remake(bytes: Uint8Array, start: number, end: number, id: number): Route {
    const way = this.router.way(bytes, start, end)
    return this.keepRoute(way && this.common(way, bytes, start, end), bytes, start, end, id)
  }

  private keepRoute(
    common: CommonRoute | undefined,
    bytes: Uint8Array,
    start: number,
    end: number,
    id: number,
  ): Route {
    const { maker, interner } = this
    const { forms, aggregates } = this.router
    let route: Route
    if (
      common &&
      (forms.length === 0 || interner.keepForms(id, forms.view, forms.length)) &&
      maker.define(common, bytes, start, end, forms, id)
    ) {
      route = aggregates.length === 0 ? common.route : withAggregates(common.route, aggregates)
    } else route = this.ownRoute(bytes, start, end)
    this.routes[id] = route
    return route
  }

  private ownRoute(bytes: Uint8Array, start: number, end: number): Route {
    const name = copyOf(bytes.subarray(start, end))
    return this.maker.own(this.router.plan(name), name)
  }

  /** What the names of a way share; `bytes[start, end)` is one of them. */
  private common(way: Way, bytes: Uint8Array, start: number, end: number): CommonRoute | undefined {
    const known = way.common
    if (known?.route.epoch === this.network.epoch) return known
    const name = copyOf(bytes.subarray(start, end))
    const made = this.maker.common(this.router.plan(name), name)
    way.common = made
    return made
  }
}

/** The way's route, but for what the name's points become in aggregations. */
function withAggregates(route: Route, aggregates: readonly AggregateStep[]): Route {
  let next = 0
  const { steps, targets } = route.program!
  const own = steps.map((step): Step => (step.kind === 'aggregate' ? aggregates[next++]! : step))
  return { ...route, program: { steps: own, targets } }
}
