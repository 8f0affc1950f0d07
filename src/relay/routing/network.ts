/**
 * The destinations that a routing needs, one for each distinct host, and how names reach them. On a reload
 * destinations that are still wanted as they are stay, connection, queue and all. One whose type or transport
 * changed is closed and opened anew over the same spool.
 */

import { bytesEqual, copyOf } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Counter } from '../../lib/stats.ts'
import { latin1 } from '../../metric/number.ts'
import { isValidPath } from '../../metric/path.ts'
import type { Failures } from './cluster.ts'
import type { Destination } from '../delivery/destination.ts'
import { type Gatherer, NameIds } from '../delivery/gatherer.ts'
import { NOT_INTERNED } from './interner.ts'
import type { Plan, SendStep } from './plan.ts'
import { type Route, type Target, TargetKind, UNNUMBERED } from './route.ts'
import { isPlacedByName, type Router } from './router.ts'
import { type Host, hostKey } from '../config/routing.ts'
import type { Successors } from './use-all.ts'

/** Tries after which a member of any_of or of a dynamic ring counts as failed; failover switches at the first. */
const FAILED_AFTER = 6
/** What a destination that leaves may take to send what it has. */
const LEAVE_MS = 5_000
/** Rewrites may put something else in front of each name; then nothing is gained. */
const SHARED_TARGETS_MAX = 1_000
const NO_NAME = new Uint8Array(0)

/** A name for which a route is made. */
interface RoutedName {
  /** As it is in the line. */
  readonly raw: Uint8Array
  /** The interner's, or NOT_INTERNED. */
  readonly number: number
  /** How often the route has its points go to a destination so far. */
  readonly times: Map<Gatherer, number>
}

/** A route that all names of a way go by, and what each of them needs for it: an id for each point. */
export interface CommonRoute {
  readonly route: Route
  readonly points: readonly {
    readonly gatherer: Gatherer
    readonly ids: NameIds
    readonly front: Uint8Array
  }[]
}

export class Network {
  private router: Router
  private readonly clock: Clock
  private readonly open: (host: Host, withOrigin: boolean) => Destination
  /** `look`: what of the host has to be the same for the destination to stay. */
  private readonly byKey: Map<string, { destination: Destination; look: string }>
  private readonly leaving: Map<string, Destination>
  private readonly onLeave: (destination: Destination) => void
  private all: readonly Destination[]
  /** Of those that have left. */
  private readonly departed: { sent: number; dropped: number }
  /** By cluster, by member. */
  private members: Destination[][]
  private failures: Failures[]
  /** Points whose name no store would take. */
  private readonly badNames: Counter
  /** Of lines that keep their name, by what goes in front of it. */
  private readonly sharedTargets: Map<Gatherer, Map<string, Target>>
  /** Of points, by where the ids are. */
  private readonly sharedPoints: Map<NameIds, Target>
  private readonly sharedIds: Map<Target, number>
  private readonly sharedRoutes: Map<string, Route>
  /** What routes depend on. */
  private state: string
  epoch: number

  constructor(
    clock: Clock,
    router: Router,
    badNames: Counter,
    open: (host: Host, withOrigin: boolean) => Destination,
    onLeave: (destination: Destination) => void,
  ) {
    this.clock = clock
    this.router = router
    this.open = open
    this.byKey = new Map()
    this.leaving = new Map()
    this.onLeave = onLeave
    this.all = []
    this.departed = { sent: 0, dropped: 0 }
    this.members = []
    this.failures = []
    this.badNames = badNames
    this.sharedTargets = new Map()
    this.sharedPoints = new Map()
    this.sharedIds = new Map()
    this.sharedRoutes = new Map()
    this.state = ''
    this.epoch = 0
    this.use(router)
  }

  get destinations(): readonly Destination[] {
    return this.all
  }

  /** Points, by all that there are and ever were. */
  get sent(): number {
    return this.departed.sent + this.sum(({ counters }) => counters.sent.value)
  }

  get dropped(): number {
    return this.departed.dropped + this.sum(({ counters }) => counters.dropped.value)
  }

  get queued(): number {
    return this.sum(({ queued }) => queued)
  }

  /** Takes up another routing; what it does not need any more leaves, what it cannot deliver to its successor. */
  use(router: Router, successors: Successors = new Map()): void {
    const unused = new Map(this.byKey)
    this.router = router
    this.members = router.routing.clusters.map((cluster) =>
      cluster.members.map((host) => {
        const wanted = { host, withOrigin: cluster.type === 'file ip' }
        unused.delete(keyOf(wanted))
        return this.destination(wanted)
      }),
    )
    for (const [key, { destination }] of unused) {
      this.byKey.delete(key)
      const successor = successors.get(key)
      this.leave(key, destination, successor && this.byKey.get(hostKey(successor))?.destination)
    }
    this.all = [...this.byKey.values()].map(({ destination }) => destination)
    this.refreshHealth()
  }

  /** Points until `endSource` come from there, at most `count` of them (ipc/sources-format.ts). */
  beginSource(id: string, sequence: number, count: number): void {
    for (const { gatherer, takesPoints } of this.all) {
      if (takesPoints) gatherer.beginSource(id, sequence, count)
    }
  }

  endSource(): void {
    for (const { gatherer } of this.all) gatherer.endSource()
  }

  /** Those in use, and those that leave. */
  closeAll(graceMs: number): Promise<unknown> {
    return Promise.all(
      [...this.destinations, ...this.leaving.values()].map((one) => one.close(graceMs)),
    )
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
    this.beginEpoch()
  }

  private beginEpoch(): void {
    this.epoch++
    this.sharedTargets.clear()
    this.sharedPoints.clear()
    this.sharedIds.clear()
    this.sharedRoutes.clear()
  }

  /**
   * The route of a cleaned name; `raw` is the name as it is in the line, `number` the interner's. Names without
   * a number share nothing; their points are sent as those of UNNUMBERED.
   */
  route(plan: Plan, raw: Uint8Array, number = NOT_INTERNED): Route {
    for (;;) {
      const route = this.newRoute(plan, { raw, number, times: new Map() })
      // A table of names that was full has been given up meanwhile, with the ids that this route has of it.
      if (route.epoch === this.epoch) return route
    }
  }

  /**
   * What the route that was made for one name is to all names of its way (router.ts), in this epoch; undefined when
   * another of them may have to go by another one.
   */
  common(plan: Plan, route: Route, raw: Uint8Array): CommonRoute | undefined {
    const { targets } = route
    if (!plan.sends || !targets?.every((target) => this.sharedIds.has(target))) return undefined
    const points: CommonRoute['points'][number][] = []
    let count = 0
    for (const step of plan.sends) {
      const failures = this.failures[step.cluster]!
      const cluster = this.router.routing.clusters[step.cluster]!
      if (isPlacedByName(cluster) && failures.includes(1)) return undefined
      const front = copyOf(step.name.subarray(0, step.name.length - raw.length))
      for (const _ of this.router.placements[step.cluster]!.choose(step, failures)) {
        const target = targets[count++]
        if (target?.ids) points.push({ gatherer: target.gatherer, ids: target.ids, front })
      }
    }
    // Fewer: no store would take the name.
    return targets.length === count ? { route, points } : undefined
  }

  /** Gives another name, `bytes[start, end)`, its ids for the common route; false when it cannot go by it. */
  defineAll(
    { points, route }: CommonRoute,
    bytes: Uint8Array,
    start: number,
    end: number,
    number: number,
  ): boolean {
    for (const { gatherer, ids, front } of points) {
      const name = new Uint8Array(front.length + end - start)
      name.set(front)
      for (let i = start, at = front.length; i < end; i++, at++) name[at] = bytes[i]!
      if (!isValidPath(name)) return false
      const { names } = gatherer
      gatherer.define(ids, number, name)
      if (gatherer.names !== names) this.beginEpoch()
    }
    return route.epoch === this.epoch
  }

  private newRoute(plan: Plan, name: RoutedName): Route {
    const { epoch } = this
    const { blackholed } = plan
    const stepTargets = plan.steps.map((step) =>
      step.kind === 'send' ? this.targets(step, name) : [],
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
    const isShared = targets.every((target) => this.sharedIds.has(target))
    return isShared ? this.sharedRoute(route) : route
  }

  /** One route for all names that go the same way. */
  private sharedRoute(route: Route): Route {
    const ids = route.targets!.map((target) => this.sharedIds.get(target))
    const key = `${route.blackholed ? 'blackholed ' : ''}${ids.join(' ')}`
    const existing = this.sharedRoutes.get(key)
    if (existing) return existing
    this.sharedRoutes.set(key, route)
    return route
  }

  private targets(step: SendStep, routed: RoutedName): Target[] {
    const placement = this.router.placements[step.cluster]!
    const destinations = this.members[step.cluster]!
    const targets: Target[] = []
    for (const member of placement.choose(step, this.failures[step.cluster]!)) {
      const { gatherer, takesPoints, prefix } = destinations[member]!
      const { name } = step
      if (prefix !== undefined) {
        targets.push({ kind: TargetKind.prefixed, gatherer, name, ids: undefined })
      } else if (!takesPoints) targets.push(this.lineTarget(gatherer, name, routed.raw))
      else if (isValidPath(name)) targets.push(this.pointTarget(gatherer, name, routed))
      else this.badNames.value++
    }
    return targets
  }

  private pointTarget(gatherer: Gatherer, name: Uint8Array, routed: RoutedName): Target {
    const { times } = routed
    const nth = times.get(gatherer) ?? 0
    times.set(gatherer, nth + 1)
    const { names } = gatherer
    const isShared = routed.number !== NOT_INTERNED
    const ids = isShared ? gatherer.idsOf(nth) : new NameIds()
    gatherer.define(ids, isShared ? routed.number : UNNUMBERED, name)
    if (gatherer.names !== names) this.beginEpoch()
    const known = this.sharedPoints.get(ids)
    if (known) return known
    const target = { kind: TargetKind.point, gatherer, name: NO_NAME, ids }
    if (isShared) {
      this.sharedPoints.set(ids, target)
      this.sharedIds.set(target, this.sharedIds.size)
    }
    return target
  }

  private lineTarget(gatherer: Gatherer, name: Uint8Array, raw: Uint8Array): Target {
    const front = name.subarray(0, Math.max(0, name.length - raw.length))
    const isSame = bytesEqual(name.subarray(front.length), raw)
    if (!isSame || this.sharedIds.size >= SHARED_TARGETS_MAX) {
      return { kind: TargetKind.renamed, gatherer, name, ids: undefined }
    }
    let fronts = this.sharedTargets.get(gatherer)
    if (!fronts) this.sharedTargets.set(gatherer, (fronts = new Map()))
    const key = latin1(front, 0, front.length)
    let target = fronts.get(key)
    if (!target) {
      const kind = front.length === 0 ? TargetKind.line : TargetKind.extended
      target = { kind, gatherer, name: copyOf(front), ids: undefined }
      fronts.set(key, target)
      this.sharedIds.set(target, this.sharedIds.size)
    }
    return target
  }

  private leave(key: string, destination: Destination, successor: Destination | undefined): void {
    this.leaving.set(key, destination)
    this.onLeave(destination)
    void this.finishLeaving(key, destination, successor)
  }

  private async finishLeaving(
    key: string,
    destination: Destination,
    successor: Destination | undefined,
  ): Promise<void> {
    const isLeaving = (): boolean => this.leaving.get(key) === destination
    await destination.close(LEAVE_MS)
    if (successor && isLeaving()) {
      await destination.undelivered.handOver(this.clock, successor, isLeaving)
    }
    if (isLeaving()) this.depart(key, destination)
  }

  private depart(key: string, { counters }: Destination): void {
    this.leaving.delete(key)
    this.departed.sent += counters.sent.value
    this.departed.dropped += counters.dropped.value
  }

  private sum(read: (destination: Destination) => number): number {
    let sum = 0
    for (const destination of this.all) sum += read(destination)
    for (const destination of this.leaving.values()) sum += read(destination)
    return sum
  }

  private destination(wanted: Wanted): Destination {
    const key = keyOf(wanted)
    const look = JSON.stringify([wanted.host.type, wanted.host.transport])
    const existing = this.byKey.get(key)
    if (existing?.look === look) return existing.destination
    // Two must not have one spool.
    void existing?.destination.close(0)
    const leaving = this.leaving.get(key)
    if (leaving) {
      void leaving.close(0)
      this.depart(key, leaving)
    }
    const destination = this.open(wanted.host, wanted.withOrigin)
    this.byKey.set(key, { destination, look })
    return destination
  }
}

interface Wanted {
  readonly host: Host
  readonly withOrigin: boolean
}

function keyOf({ host, withOrigin }: Wanted): string {
  return withOrigin ? `${hostKey(host)} ip` : hostKey(host)
}
