/**
 * The ways of what the relay makes itself: results of aggregations and statistics, either through the rules
 * from the top or straight to the clusters that a `send to` names. Each name's way is kept, up to `NAMES_MAX`.
 */

import type { Dispatcher } from './routing/dispatcher.ts'
import type { KnownName } from './routing/route.ts'
import type { Router } from './routing/router.ts'

const NAMES_MAX = 1_000_000

/** Names of clusters, a blackhole, or undefined for the rules from the top. */
export type ResultTarget = readonly string[] | 'blackhole' | undefined

export class Results {
  private readonly dispatcher: Dispatcher
  private router: Router
  private readonly ways: Map<ResultTarget, Map<string, KnownName>>
  private count: number

  constructor(dispatcher: Dispatcher, router: Router) {
    this.dispatcher = dispatcher
    this.router = router
    this.ways = new Map()
    this.count = 0
  }

  use(router: Router): void {
    this.router = router
    this.forget()
  }

  send(target: ResultTarget, name: string, value: number, timestamp: number): void {
    this.dispatcher.dispatchPoint(this.way(target, name), value, timestamp)
  }

  private way(target: ResultTarget, name: string): KnownName {
    let names = this.ways.get(target)
    let known = names?.get(name)
    if (known) return known
    if (this.count >= NAMES_MAX) this.forget()
    if (!names || this.count === 0) {
      names = new Map()
      this.ways.set(target, names)
    }
    known = this.newWay(target, name)
    names.set(name, known)
    this.count++
    return known
  }

  private newWay(target: ResultTarget, text: string): KnownName {
    const name = new Uint8Array(Buffer.from(text, 'latin1'))
    if (target === undefined) return { name, route: undefined }
    if (target === 'blackhole') {
      return { name, route: undefined, plan: this.router.planTo('blackhole', name) }
    }
    const { clusters } = this.router.routing
    const wanted = clusters.filter((cluster) => target.includes(cluster.name))
    if (wanted.length < target.length) return { name, route: undefined }
    return { name, route: undefined, plan: this.router.planTo(wanted, name) }
  }

  private forget(): void {
    this.ways.clear()
    this.count = 0
  }
}
