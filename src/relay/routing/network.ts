/**
 * The destinations that a routing needs, one for each distinct host, and which of them work. On a reload
 * destinations that are still wanted as they are stay, connection, queue and all. One whose type or transport
 * changed is closed and opened anew over the same spool.
 */

import type { Clock } from '../../lib/clock.ts'
import type { Failures } from './cluster.ts'
import type { Destination } from '../delivery/destination.ts'
import type { SendStep } from './plan.ts'
import type { Router } from './router.ts'
import { type Host, hostKey } from '../config/routing.ts'
import type { Successors } from './use-all.ts'

/** Tries after which a member of any_of or of a dynamic ring counts as failed; failover switches at the first. */
const FAILED_AFTER = 6
/** What a destination that leaves may take to send what it has. */
const LEAVE_MS = 5_000
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
  /** What routes depend on. */
  private state: string
  epoch: number

  constructor(
    clock: Clock,
    router: Router,
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

  /** Points until `endPart` come from there (ipc/sources-format.ts). */
  beginPart(source: string, sequence: number): void {
    for (const { gatherer, takesPoints } of this.all) {
      if (takesPoints) gatherer.beginPart(source, sequence)
    }
  }

  /** `isLast`: nothing more follows under that sequence. */
  endPart(isLast: boolean): void {
    for (const { gatherer } of this.all) gatherer.endPart(isLast)
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

  /** From now on routes that were made before are not in force. */
  beginEpoch(): void {
    this.epoch++
  }

  /** The destinations that take a plan's step now, in order. */
  takers(step: SendStep): Destination[] {
    const { cluster } = step
    const members = this.members[cluster]!
    const chosen = this.router.placements[cluster]!.choose(step, this.failures[cluster]!)
    return chosen.map((member) => members[member]!)
  }

  /** Whether names that have the same members in a cluster may have different takers now. */
  spreads(cluster: number): boolean {
    return this.router.placements[cluster]!.spreads && this.failures[cluster]!.includes(1)
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
