/**
 * Where the lines of a name go: its plan with the members' destinations looked up. It holds as long as its
 * epoch is the network's; a reload, a failed or recovered member, or a peer that turns out to speak another
 * protocol begins a new epoch.
 *
 * Names are many and ways are few (way.ts), so the names of a way share a route. What differs from name to name
 * lies in columns by the name's number: the id of a point (`NameIds`), its rewritten forms (`Interner.forms`).
 * A name that has no number, or no way, has a route of its own.
 */

import type { Gatherer, NameIds } from '../delivery/gatherer.ts'
import type { Plan } from './plan.ts'

/** The number of a name whose route is its own, with columns of one. */
export const UNNUMBERED = 0

/**
 * The line goes on byte for byte (`line`), with something in front of its name (`extended`), under another
 * name (`renamed`), under a form of its name (`rewritten`), as a `point`, or behind what syslog and `file ip`
 * want (`prefixed`).
 */
export const TargetKind = {
  line: 0,
  extended: 1,
  renamed: 2,
  rewritten: 3,
  point: 4,
  prefixed: 5,
} as const

export interface Target {
  readonly kind: number
  /** The destination's. */
  readonly gatherer: Gatherer
  /** Of a renamed or prefixed line; of an extended one what goes in front. */
  readonly name: DataView
  /** Of a rewritten line. */
  readonly form: number
  /** Of a point: where the name's id is. */
  readonly ids: NameIds | undefined
}

export interface Route {
  readonly epoch: number
  /** Whether columns are by the name's number, as names of a way have it; else the name is UNNUMBERED. */
  readonly isCommon: boolean
  /** Everything that has to be done, when the plan sends and does no more; else undefined: its steps are run. */
  readonly targets: readonly Target[] | undefined
  /** True: `targets` are all points, or none are needed because nothing takes the line. */
  readonly onlyPoints: boolean
  /** The target, when there is one only and it is a point. */
  readonly point: Target | undefined
  readonly blackholed: boolean
  readonly program: Program | undefined
}

/** Of names that are not interned because nothing takes their lines. */
export const NOWHERE: Route = {
  epoch: 0,
  isCommon: false,
  targets: undefined,
  onlyPoints: true,
  point: undefined,
  blackholed: true,
  program: { steps: [], targets: [] },
}

/** A plan that does more than send. */
export interface Program {
  readonly steps: Plan['steps']
  /** By step: the targets of a send. */
  readonly targets: readonly (readonly Target[])[]
}

/** A route that all names of a way go by, and what each of them needs for it: an id for each point. */
export interface CommonRoute {
  readonly route: Route
  readonly points: readonly {
    readonly gatherer: Gatherer
    readonly ids: NameIds
    /** What is in front of a name that goes as it came. */
    readonly front: Uint8Array
    readonly form: number
  }[]
  /** The route again for names that aggregations make the same of, by that. */
  readonly byOutputs: Map<string, Route>
}

/** A name that is not interned, as those of points of our own making are, and the route that was found for it. */
export interface KnownName {
  readonly name: Uint8Array
  route: Route | undefined
  /** Its own way, past the rules. */
  readonly plan?: Plan | undefined
}
