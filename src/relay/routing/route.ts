/**
 * Where the lines of a name go: its plan with the members' destinations looked up. It holds as long as its
 * epoch is the network's; a reload, a failed or recovered member, or a peer that turns out to speak another
 * protocol begins a new epoch. Names are many and ways are few, so names share routes: those that go the same
 * way as points, unchanged, or with the same words in front. What differs from name to name, the id of a point,
 * lies in columns by the name's number (`NameIds`).
 */

import type { Gatherer, NameIds } from '../delivery/gatherer.ts'
import type { Plan } from './plan.ts'

/** The number of a name that has none: its route is its own, with columns of one. */
export const UNNUMBERED = 0

/**
 * The line goes on byte for byte (`line`), with something in front of its name (`extended`), under another
 * name (`renamed`), as a `point`, or behind what syslog and `file ip` want (`prefixed`).
 */
export const TargetKind = { line: 0, extended: 1, renamed: 2, point: 3, prefixed: 4 } as const

export interface Target {
  readonly kind: number
  /** The destination's. */
  readonly gatherer: Gatherer
  /** Of a renamed or prefixed line; of an extended one what goes in front. */
  readonly name: Uint8Array
  /** Of a point: where the name's id is. */
  readonly ids: NameIds | undefined
}

export interface Route {
  readonly epoch: number
  /** Everything that has to be done, when the plan only sends; else undefined: its steps are run. */
  readonly targets: readonly Target[] | undefined
  /** True: `targets` are all points. */
  readonly onlyPoints: boolean
  readonly blackholed: boolean
  readonly program: Program | undefined
}

/** A plan that does more than send. */
export interface Program {
  readonly steps: Plan['steps']
  /** By step: the targets of a send. */
  readonly targets: readonly (readonly Target[])[]
}
