/**
 * Where the lines of a name go: its plan with the members' destinations looked up. It holds as long as its
 * epoch is the network's; a reload, a failed or recovered member, or a peer that turns out to speak another
 * protocol begins a new epoch. There is one for each name, so it is kept small: names that go the same way
 * unchanged, or with the same words in front, share one.
 */

import type { NameTable } from '../ipc/points-sender.ts'
import type { Gatherer } from './gatherer.ts'
import type { Plan } from './plan.ts'

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
  /** Of a point: its id in `names`; taken again when the gatherer has another table. */
  id: number
  names: NameTable | undefined
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
