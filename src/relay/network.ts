/**
 * The destinations that a routing needs, one for each distinct host, and how names reach them. On a reload
 * destinations that are still wanted stay as they are, connection, queue and all.
 */

import { bytesEqual } from '../lib/bytes.ts'
import type { Counter } from '../lib/stats.ts'
import { isValidPath } from '../metric/path.ts'
import type { Failures } from './cluster.ts'
import type { Destination } from './destination.ts'
import type { Gatherer } from './gatherer.ts'
import type { Plan, SendStep } from './plan.ts'
import { type Route, type Target, TargetKind } from './route.ts'
import type { Router } from './router.ts'
import { type Host, hostKey } from './routing.ts'

/** Tries after which a member of any_of or of a dynamic ring counts as failed; failover switches at the first. */
const FAILED_AFTER = 6
const NO_NAME = new Uint8Array(0)

export class Network {
  private router: Router
  private readonly open: (host: Host, withOrigin: boolean) => Destination
  private readonly byKey: Map<string, Destination>
  /** By cluster, by member. */
  private members: Destination[][]
  private failures: Failures[]
  /** Points whose name no store would take. */
  private readonly badNames: Counter
  private readonly lineTargets: Map<Gatherer, Target>
  private readonly lineRoutes: Map<string, Route>
  /** What routes depend on. */
  private state: string
  epoch: number

  constructor(
    router: Router,
    badNames: Counter,
    open: (host: Host, withOrigin: boolean) => Destination,
  ) {
    this.router = router
    this.open = open
    this.byKey = new Map()
    this.members = []
    this.failures = []
    this.badNames = badNames
    this.lineTargets = new Map()
    this.lineRoutes = new Map()
    this.state = ''
    this.epoch = 0
    this.use(router)
  }

  get destinations(): IterableIterator<Destination> {
    return this.byKey.values()
  }

  /** Takes up another routing; returns the destinations that it does not need, for the caller to close. */
  use(router: Router): Destination[] {
    const unused = new Map(this.byKey)
    this.router = router
    this.members = router.routing.clusters.map((cluster) =>
      cluster.members.map((host) => {
        const withOrigin = cluster.type === 'file ip'
        const key = withOrigin ? `${hostKey(host)} ip` : hostKey(host)
        unused.delete(key)
        return this.destination(key, host, withOrigin)
      }),
    )
    for (const key of unused.keys()) this.byKey.delete(key)
    this.refreshHealth()
    return [...unused.values()]
  }

  /** A destination's failures or dialect may have changed: then routes are made anew as lines come. */
  refreshHealth(): void {
    const { clusters } = this.router.routing
    let state = ''
    this.failures = clusters.map((cluster, index) => {
      const limit = cluster.type === 'failover' ? 1 : FAILED_AFTER
      const members = this.members[index]!
      state += members.map(({ takesPoints }) => (takesPoints ? 'p' : 'l')).join('')
      return Uint8Array.from(members, ({ failures }) => (failures >= limit ? 1 : 0))
    })
    state += `${this.router.generation} ${this.failures.join(' ')}`
    if (state === this.state) return
    this.state = state
    this.epoch++
    this.lineTargets.clear()
    this.lineRoutes.clear()
  }

  /** The route of a cleaned name; `raw` is the name as it is in the line. */
  route(plan: Plan, raw: Uint8Array): Route {
    const { epoch } = this
    const { blackholed } = plan
    const stepTargets = plan.steps.map((step) =>
      step.kind === 'send' ? this.targets(step, raw) : [],
    )
    if (!plan.sends) {
      const program = { steps: plan.steps, targets: stepTargets }
      return { epoch, targets: undefined, onlyPoints: false, blackholed, program }
    }
    const targets = stepTargets.length === 1 ? stepTargets[0]! : stepTargets.flat()
    const route = {
      epoch,
      targets,
      onlyPoints: targets.every(({ kind }) => kind === TargetKind.point),
      blackholed,
      program: undefined,
    }
    return targets.every(({ kind }) => kind === TargetKind.line) ? this.shared(route) : route
  }

  /** One route for all names that go on unchanged to the same destinations. */
  private shared(route: Route): Route {
    const key = route.targets!.map(({ id }) => id).join(' ')
    const existing = this.lineRoutes.get(key)
    if (existing) return existing
    this.lineRoutes.set(key, route)
    return route
  }

  private targets(step: SendStep, raw: Uint8Array): Target[] {
    const placement = this.router.placements[step.cluster]!
    const destinations = this.members[step.cluster]!
    const targets: Target[] = []
    for (const member of placement.choose(step, this.failures[step.cluster]!)) {
      const { gatherer, takesPoints, prefix } = destinations[member]!
      const { name } = step
      if (prefix !== undefined) {
        targets.push({ kind: TargetKind.prefixed, gatherer, name, id: 0, names: undefined })
      } else if (!takesPoints) {
        targets.push(
          bytesEqual(name, raw)
            ? this.lineTarget(gatherer)
            : { kind: TargetKind.renamed, gatherer, name, id: 0, names: undefined },
        )
      } else if (isValidPath(name)) {
        const id = gatherer.defineName(name)
        const { names } = gatherer
        targets.push({ kind: TargetKind.point, gatherer, name: NO_NAME, id, names })
      } else this.badNames.value++
    }
    return targets
  }

  /** `id` tells the destinations apart. */
  private lineTarget(gatherer: Gatherer): Target {
    let target = this.lineTargets.get(gatherer)
    if (!target) {
      const id = this.lineTargets.size
      target = { kind: TargetKind.line, gatherer, name: NO_NAME, id, names: undefined }
      this.lineTargets.set(gatherer, target)
    }
    return target
  }

  private destination(key: string, host: Host, withOrigin: boolean): Destination {
    let destination = this.byKey.get(key)
    if (!destination) {
      destination = this.open(host, withOrigin)
      this.byKey.set(key, destination)
    }
    return destination
  }
}
