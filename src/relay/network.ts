/**
 * The destinations that a routing needs, one for each distinct host, and how names reach them. On a reload
 * destinations that are still wanted stay as they are, connection, queue and all.
 */

import { bytesEqual } from '../lib/bytes.ts'
import type { Counter } from '../lib/stats.ts'
import { isValidPath } from '../metric/path.ts'
import type { Failures } from './cluster.ts'
import type { Destination } from './destination.ts'
import type { Plan, SendStep } from './plan.ts'
import { type Route, type Target, TargetKind } from './route.ts'
import type { Router } from './router.ts'
import { type Cluster, type Host, hostKey } from './routing.ts'

/** Tries after which a member of any_of or of a dynamic ring counts as failed; failover switches at the first. */
const FAILED_AFTER = 6

export class Network {
  private router: Router
  private readonly open: (host: Host) => Destination
  private readonly byKey: Map<string, Destination>
  /** By cluster, by member. */
  private members: Destination[][]
  private failures: Failures[]
  /** Points whose name no store would take. */
  private readonly badNames: Counter
  epoch: number

  constructor(router: Router, badNames: Counter, open: (host: Host) => Destination) {
    this.router = router
    this.open = open
    this.byKey = new Map()
    this.members = []
    this.failures = []
    this.badNames = badNames
    this.epoch = 0
    this.use(router)
  }

  get destinations(): IterableIterator<Destination> {
    return this.byKey.values()
  }

  get generation(): number {
    return this.router.generation
  }

  /** Takes up another routing; returns the destinations that it does not need, for the caller to close. */
  use(router: Router): Destination[] {
    const unused = new Map(this.byKey)
    this.router = router
    this.members = router.routing.clusters.map((cluster) =>
      cluster.members.map((host) => {
        const key = hostKey(host)
        unused.delete(key)
        return this.destination(key, host)
      }),
    )
    for (const key of unused.keys()) this.byKey.delete(key)
    this.refreshHealth()
    return [...unused.values()]
  }

  /** A destination's failures or dialect changed: routes are made anew as lines come. */
  refreshHealth(): void {
    this.failures = this.router.routing.clusters.map((cluster, index) => {
      const limit = cluster.type === 'failover' ? 1 : FAILED_AFTER
      return Uint8Array.from(this.members[index]!, ({ failures }) => (failures >= limit ? 1 : 0))
    })
    this.epoch++
  }

  /** The route of a cleaned name; `raw` is the name as it is in the line. */
  route(plan: Plan, raw: Uint8Array): Route {
    const stepTargets = plan.steps.map((step) =>
      step.kind === 'send' ? this.targets(step, raw) : [],
    )
    const targets = plan.sends ? stepTargets.flat() : undefined
    return {
      epoch: this.epoch,
      plan,
      targets,
      onlyPoints: targets?.every(({ kind }) => kind === TargetKind.point) ?? false,
      stepTargets,
      blackholed: plan.blackholed,
    }
  }

  cluster(index: number): Cluster {
    return this.router.routing.clusters[index]!
  }

  private targets(step: SendStep, raw: Uint8Array): Target[] {
    const placement = this.router.placements[step.cluster]!
    const destinations = this.members[step.cluster]!
    const targets: Target[] = []
    for (const member of placement.choose(step, this.failures[step.cluster]!)) {
      const { gatherer, takesPoints } = destinations[member]!
      if (!takesPoints) {
        const kind = bytesEqual(step.name, raw) ? TargetKind.line : TargetKind.renamed
        targets.push({ kind, gatherer, name: step.name, id: 0, names: undefined })
      } else if (isValidPath(step.name)) {
        const kind = TargetKind.point
        targets.push({ kind, gatherer, name: step.name, id: 0, names: undefined })
      } else this.badNames.value++
    }
    return targets
  }

  private destination(key: string, host: Host): Destination {
    let destination = this.byKey.get(key)
    if (!destination) {
      destination = this.open(host)
      this.byKey.set(key, destination)
    }
    return destination
  }
}
