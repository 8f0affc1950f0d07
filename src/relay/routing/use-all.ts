/**
 * Clusters with `useall`: each address that a member's name has is a member of its own, and stays at its place
 * for as long as the name has it. Addresses are looked up at load and followed from then on. What comes
 * instead of one that goes is its successor, and takes what it has not delivered; where nothing comes, one of the
 * others is, in clusters whose members do not get the same.
 */

import { isIP } from 'node:net'
import type { Clock } from '../../lib/clock.ts'
import type { LookUp } from '../delivery/look-up.ts'
import { NameWatch } from '../delivery/name-watch.ts'
import { type Cluster, type Host, hostKey, type Routing } from '../config/routing.ts'

/** Who takes what a host has not delivered, by the key of the one that goes. */
export type Successors = ReadonlyMap<string, Host>

/** A member as it is written, and the members that it is. */
interface Name {
  readonly written: Host
  hosts: readonly Host[]
}

export class UseAll {
  private readonly lookUp: LookUp
  private readonly clusters: readonly {
    readonly cluster: Cluster
    readonly names: readonly Name[]
  }[]
  private watches: readonly NameWatch[]

  constructor(routing: Routing, lookUp: LookUp) {
    this.lookUp = lookUp
    this.watches = []
    this.clusters = routing.clusters
      .filter(({ useall }) => useall)
      .map((cluster) => {
        const names = cluster.members.map((written) => ({ written, hosts: [written] }))
        return { cluster, names }
      })
  }

  /** Puts the addresses that there are now in the place of names; a name that has none stays. */
  async expand(): Promise<void> {
    const work = this.clusters.map(async ({ cluster, names }) => {
      const found = await Promise.all(names.map(({ written }) => this.lookUp(written.address)))
      for (const [i, name] of names.entries()) {
        const { addresses } = found[i]!
        if (addresses.length > 0) {
          name.hosts = addresses.map((address) => hostAt(name, address))
        }
      }
      setMembers(cluster, names)
    })
    await Promise.all(work)
  }

  /** From now on members are changed as addresses do; then `onChange` is called. */
  follow(clock: Clock, onChange: (cluster: Cluster, successors: Successors) => void): void {
    this.watches = this.clusters.flatMap(({ cluster, names }) =>
      names
        .filter(({ written }) => isIP(written.address) === 0)
        .map((name) => {
          const lookUp = () => this.lookUp(name.written.address)
          return new NameWatch(clock, lookUp, (addresses) => {
            const successors = take(cluster, name, addresses)
            if (!successors) return
            setMembers(cluster, names)
            onChange(cluster, successors)
          })
        }),
    )
  }

  close(): void {
    for (const watch of this.watches) watch.close()
  }
}

/** Undefined when nothing has changed. */
function take(cluster: Cluster, name: Name, addresses: readonly string[]): Successors | undefined {
  const present = name.hosts.map(({ address }) => address)
  const come = addresses.filter((address) => !present.includes(address))
  const gone = name.hosts.filter(({ address }) => !addresses.includes(address))
  if (come.length === 0 && gone.length === 0) return undefined
  const successors = new Map<string, Host>()
  const hosts: Host[] = []
  for (const old of name.hosts) {
    if (!gone.includes(old)) hosts.push(old)
    else if (come.length > 0) {
      const successor = hostAt(name, come.shift()!)
      successors.set(hostKey(old), successor)
      hosts.push(successor)
    }
  }
  name.hosts = [...hosts, ...come.map((address) => hostAt(name, address))]
  if (cluster.type === 'forward') return successors
  for (const old of gone) {
    if (!successors.has(hostKey(old))) successors.set(hostKey(old), name.hosts[0]!)
  }
  return successors
}

function hostAt({ written }: Name, address: string): Host {
  return { ...written, address, name: written.address }
}

/** Rules hold the cluster itself, so its members are changed in place. */
function setMembers(cluster: Cluster, names: readonly Name[]): void {
  Object.assign(cluster, { members: names.flatMap(({ hosts }) => hosts) })
}
