/**
 * A plan with its members' destinations looked up: what the dispatcher runs for each line of a name. It
 * holds as long as its epoch is the network's; a reload, a failed or recovered member, or a peer that turns
 * out to speak another protocol begins a new epoch.
 */

import type { NameTable } from '../ipc/points-sender.ts'
import type { Gatherer } from './gatherer.ts'
import type { Plan } from './plan.ts'

/** The line goes on byte for byte, goes on under another name, or as a point. */
export const TargetKind = { line: 0, renamed: 1, point: 2 } as const

export interface Target {
  readonly kind: number
  /** The destination's. */
  readonly gatherer: Gatherer
  readonly name: Uint8Array
  /** Of a point: its id in `names`; taken again when the gatherer has another table. */
  id: number
  names: NameTable | undefined
}

export interface Route {
  readonly epoch: number
  readonly plan: Plan
  /** Everything that has to be done, when the plan only sends; else undefined: its steps are run. */
  readonly targets: readonly Target[] | undefined
  /** True: `targets` are all points. */
  readonly onlyPoints: boolean
  /** By step of the plan: the targets of a send. */
  readonly stepTargets: readonly (readonly Target[])[]
  readonly blackholed: boolean
}
