/**
 * The names that pass through, each with its route: by its way when it has one (way.ts), else by a plan of its
 * own. Names that go nowhere are not interned where a few comparisons say so: that costs less than to look them up,
 * and a sender gone wrong, with names that come once, takes no other name's place.
 */

import { copyOf } from '../../lib/bytes.ts'
import type { Counter } from '../../lib/stats.ts'
import type { Cleaner } from './cleaning.ts'
import { hashName, Interner, type InternerLimits, NOT_INTERNED } from './interner.ts'
import type { Network } from './network.ts'
import type { AggregateStep, Step } from './plan.ts'
import { type CommonRoute, NOWHERE, type Route } from './route.ts'
import type { RouteMaker } from './route-maker.ts'
import type { Router } from './router.ts'

/** Routes of a way that names share because their outputs in aggregations are the same. */
const BY_OUTPUTS_MAX = 10_000
/** Longer names are not interned. */
const INTERNED_BYTES_MAX = 4096

export interface NamesOptions {
  readonly router: Router
  readonly network: Network
  readonly cleaner: Cleaner
  readonly maker: RouteMaker
  readonly limits: InternerLimits
  /** Routes that had to be made. */
  readonly misses: Counter
}

export class Names {
  readonly interner: Interner
  /** By the interner's id. */
  readonly routes: (Route | undefined)[]
  router: Router
  /** Of the name that `route` was asked for last, or NOT_INTERNED. */
  id: number
  private readonly misses: Counter
  private readonly network: Network
  private readonly cleaner: Cleaner
  private readonly maker: RouteMaker

  constructor({ router, network, cleaner, maker, limits, misses }: NamesOptions) {
    this.routes = []
    this.interner = new Interner(limits, (id) => (this.routes[id] = undefined))
    this.router = router
    this.id = NOT_INTERNED
    this.misses = misses
    this.network = network
    this.cleaner = cleaner
    this.maker = maker
  }

  /**
   * The route of the clean name `bytes[start, end)`, the last that the cleaner was asked for; `line` is a view of
   * the same bytes.
   */
  route(bytes: Uint8Array, line: DataView, start: number, end: number): Route {
    const { interner, router, cleaner } = this
    this.id = NOT_INTERNED
    if (router.dropsByComparison && router.drops(bytes, start, cleaner.tagsStart, end)) {
      return NOWHERE
    }
    if (end - start > INTERNED_BYTES_MAX) return this.ownRoute(bytes, start, end)
    const hash = hashName(line, start, end)
    const found = interner.find(line, start, end, hash)
    if (found !== NOT_INTERNED) {
      this.id = found
      const known = this.routes[found]!
      return known.epoch === this.network.epoch ? known : this.remake(bytes, start, end, found)
    }
    const id = interner.add(line, start, end, hash)
    if (id === NOT_INTERNED) return this.ownRoute(bytes, start, end)
    this.id = id
    return this.newRoute(bytes, start, end, id)
  }

  /** Another route for a name whose own is not in force any more. */
  remake(bytes: Uint8Array, start: number, end: number, id: number): Route {
    this.cleaner.nameEnd(bytes, start)
    return this.newRoute(bytes, start, end, id)
  }

  private newRoute(bytes: Uint8Array, start: number, end: number, id: number): Route {
    const { maker, interner } = this
    const { forms, aggregates } = this.router
    const common = this.common(bytes, start, end)
    let route: Route
    if (
      common &&
      (forms.length === 0 || interner.keepForms(id, forms.view, forms.length)) &&
      maker.define(common, bytes, start, end, forms, id)
    ) {
      this.misses.value++
      route = aggregates.length === 0 ? common.route : aggregated(common, aggregates)
    } else route = this.ownRoute(bytes, start, end)
    this.routes[id] = route
    return route
  }

  private ownRoute(bytes: Uint8Array, start: number, end: number): Route {
    this.misses.value++
    const name = copyOf(bytes.subarray(start, end))
    return this.maker.own(this.router.plan(name), name)
  }

  /** What the names of the name's way share; the router has what the name has of its own. */
  private common(bytes: Uint8Array, start: number, end: number): CommonRoute | undefined {
    const way = this.router.way(bytes, start, this.cleaner.tagsStart, end)
    if (!way || way.common?.route.epoch === this.network.epoch) return way?.common
    const name = copyOf(bytes.subarray(start, end))
    way.common = this.maker.common(this.router.plan(name), name)
    return way.common
  }
}

/** The way's route for names whose points become the same in aggregations: often many. */
function aggregated(
  { route, byOutputs }: CommonRoute,
  aggregates: readonly AggregateStep[],
): Route {
  const key = aggregates.map(({ outputs }) => outputs.join('\n')).join('\n')
  const known = byOutputs.get(key)
  if (known) return known
  const own = withAggregates(route, aggregates)
  if (byOutputs.size < BY_OUTPUTS_MAX) byOutputs.set(key, own)
  return own
}

/** The way's route, but for what the name's points become in aggregations. */
function withAggregates(route: Route, aggregates: readonly AggregateStep[]): Route {
  let next = 0
  const { steps, targets } = route.program!
  const own = steps.map((step): Step => (step.kind === 'aggregate' ? aggregates[next++]! : step))
  return { ...route, program: { steps: own, targets } }
}
