/**
 * Which members of a cluster take a name: `place` while none has failed, made once and kept in the plan;
 * `choose` for a line when some have. Both are pure, so the same name and the same failures give the same
 * members.
 *
 * ```
 *   forward, file   all                        stays with a failed member: its queue and spool hold it
 *   any_of          fnv1a32(name) mod members  a failed member's names are spread over those that work
 *   failover        the first                  the first that works
 *   rings           hash-ring.ts               stays; with `dynamic` the next on the ring that works
 * ```
 *
 * When all have failed, a name stays where it belongs. (carbon-c-relay spreads any_of's failed share line by
 * line at random; here a name keeps its stand-in as long as the same members are down.)
 */

import { createRing, fnv1a32, type HashRing } from './hash-ring.ts'
import type { SendStep } from './plan.ts'
import type { Cluster } from '../config/routing.ts'

/** By member index; anything but 0 means failed. */
export type Failures = Uint8Array

export interface Placement {
  /** Members that take the name, with none failed. `key` is the latin1 text that is hashed. */
  place(key: string): readonly number[]
  /**
   * Undefined where all names have the same members. Else the same number for keys, `bytes[start, end)`, that have,
   * or NO_ANSWER.
   */
  readonly answer: ((bytes: Uint8Array, start: number, end: number) => number) | undefined
  /** Members that take the line; `step.members` is what `place` answered for `step.key`. */
  choose(step: SendStep, failed: Failures): readonly number[]
  /** Whether names that have the same members have others when one has failed. */
  readonly spreads: boolean
  /** Rings only. */
  readonly ring: HashRing | undefined
}

export function createPlacement(cluster: Cluster): Placement {
  switch (cluster.type) {
    case 'forward':
    case 'file':
    case 'file ip':
      return new Everyone(cluster.members.length)
    case 'any_of':
      return new AnyOf(cluster.members.length)
    case 'failover':
      return new Failover(cluster.members.length)
    default: {
      const ring = createRing(cluster.type, cluster.members, cluster.replication)
      return cluster.dynamic ? new DynamicRing(cluster, ring) : new FixedRing(cluster, ring)
    }
  }
}

/** One array for each member, so that steps of many names share them. */
function singles(count: number): readonly (readonly number[])[] {
  return Array.from({ length: count }, (_, index) => [index])
}

class Everyone implements Placement {
  readonly answer = undefined
  readonly spreads = false
  readonly ring = undefined
  private readonly all: readonly number[]

  constructor(count: number) {
    this.all = Array.from({ length: count }, (_, index) => index)
  }

  place(): readonly number[] {
    return this.all
  }

  choose(): readonly number[] {
    return this.all
  }
}

class AnyOf implements Placement {
  readonly spreads = true
  readonly ring = undefined
  private readonly only: readonly (readonly number[])[]

  constructor(count: number) {
    this.only = singles(count)
  }

  place(key: string): readonly number[] {
    return this.only[hashOf(key) % this.only.length]!
  }

  answer(bytes: Uint8Array, start: number, end: number): number {
    return fnv1a32(bytes, start, end) % this.only.length
  }

  choose(step: SendStep, failed: Failures): readonly number[] {
    const first = step.members[0]!
    if (failed[first] === 0) return step.members
    let working = 0
    for (let i = 0; i < this.only.length; i++) if (failed[i] === 0) working++
    if (working === 0) return step.members
    // The quotient is independent of the remainder that chose the failed member.
    let skip = Math.floor(hashOf(step.key) / this.only.length) % working
    let member = 0
    while (failed[member] !== 0 || skip-- > 0) member++
    return this.only[member]!
  }
}

function hashOf(key: string): number {
  const bytes = Buffer.from(key, 'latin1')
  return fnv1a32(bytes, 0, bytes.length)
}

class Failover implements Placement {
  readonly answer = undefined
  readonly spreads = false
  readonly ring = undefined
  private readonly only: readonly (readonly number[])[]

  constructor(count: number) {
    this.only = singles(count)
  }

  place(): readonly number[] {
    return this.only[0]!
  }

  choose(_step: SendStep, failed: Failures): readonly number[] {
    for (let i = 0; i < this.only.length; i++) if (failed[i] === 0) return this.only[i]!
    return this.only[0]!
  }
}

class FixedRing implements Placement {
  readonly spreads: boolean = false
  readonly ring: HashRing
  private readonly replication: number

  constructor(cluster: Cluster, ring: HashRing) {
    this.ring = ring
    this.replication = cluster.replication
  }

  place(key: string): readonly number[] {
    return this.ring.place(key, this.replication)
  }

  answer(bytes: Uint8Array, start: number, end: number): number {
    return this.ring.answer(bytes, start, end)
  }

  choose(step: SendStep, _failed: Failures): readonly number[] {
    return step.members
  }
}

class DynamicRing extends FixedRing {
  override readonly spreads = true
  private readonly count: number

  constructor(cluster: Cluster, ring: HashRing) {
    super(cluster, ring)
    this.count = cluster.members.length
  }

  override choose(step: SendStep, failed: Failures): readonly number[] {
    const { members } = step
    if (members.every((member) => failed[member] === 0)) return members
    const standIns = this.ring
      .place(step.key, this.count)
      .filter((member) => failed[member] === 0 && !members.includes(member))
    let next = 0
    return members.map((member) => (failed[member] === 0 ? member : (standIns[next++] ?? member)))
  }
}
