/**
 * The names that pass through, each with its route: by its way when it has one (way.ts), else by a plan of its
 * own. Names that are not interned are routed anew each time.
 */

import { copyOf } from '../../lib/bytes.ts'
import { hashName, Interner, type InternerLimits, NOT_INTERNED } from './interner.ts'
import type { Network } from './network.ts'
import type { AggregateStep, Step } from './plan.ts'
import type { Route } from './route.ts'
import type { RouteMaker } from './route-maker.ts'
import type { Router } from './router.ts'

/** Longer names are not interned. */
const INTERNED_BYTES_MAX = 4096

export class Names {
  readonly interner: Interner
  /** By the interner's id. */
  readonly routes: (Route | undefined)[]
  router: Router
  private readonly network: Network
  private readonly maker: RouteMaker

  constructor(router: Router, network: Network, maker: RouteMaker, limits: InternerLimits) {
    this.routes = []
    this.interner = new Interner(limits, (id) => (this.routes[id] = undefined))
    this.router = router
    this.network = network
    this.maker = maker
  }

  /** The id of the name `line[start, end)`, made now if need be; NOT_INTERNED when it cannot have one. */
  id(line: DataView, start: number, end: number): number {
    if (end === start || end - start > INTERNED_BYTES_MAX) return NOT_INTERNED
    const hash = hashName(line, start, end)
    const id = this.interner.find(line, start, end, hash)
    return id === NOT_INTERNED ? this.interner.add(line, start, end, hash) : id
  }

  /** The route of the clean name `bytes[start, end)`, made and kept. */
  makeRoute(bytes: Uint8Array, start: number, end: number, id: number): Route {
    let route = id === NOT_INTERNED ? undefined : this.routeByWay(bytes, start, end, id)
    if (!route) {
      const name = copyOf(bytes.subarray(start, end))
      route = this.maker.own(this.router.plan(name), name)
    }
    if (id !== NOT_INTERNED) this.routes[id] = route
    return route
  }

  private routeByWay(bytes: Uint8Array, start: number, end: number, id: number): Route | undefined {
    const { router, network, maker, interner } = this
    const way = router.way(bytes, start, end)
    if (!way) return undefined
    const { forms, aggregates } = router
    if (forms.length > 0 && !interner.keepForms(id, forms.view, forms.length)) {
      return undefined
    }
    let { common } = way
    if (common?.route.epoch !== network.epoch) {
      const name = copyOf(bytes.subarray(start, end))
      common = maker.common(router.plan(name), name)
      way.common = common
    }
    if (!common || !maker.define(common, bytes, start, end, forms, id)) return undefined
    return aggregates.length === 0 ? common.route : withAggregates(common.route, aggregates)
  }
}

/** The way's route, but for what the name's points become in aggregations. */
function withAggregates(route: Route, aggregates: readonly AggregateStep[]): Route {
  let next = 0
  const { steps, targets } = route.program!
  const own = steps.map((step): Step => (step.kind === 'aggregate' ? aggregates[next++]! : step))
  return { ...route, program: { steps: own, targets } }
}
