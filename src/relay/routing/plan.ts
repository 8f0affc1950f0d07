/**
 * What the router answers for one name: a straight program of steps, run for every line of that name, and of those
 * that have the same way (way.ts).
 *
 * Steps run in order. Only `validate` looks at the line's data, and may skip forward.
 * A plan never holds a live destination: a send step names a cluster and the members that take the name
 * while none has failed. When one has, `choose` (cluster.ts) says which take its place.
 *
 * ```
 *   match ^a validate [0-9] else drop send to x;      0 validate   failTo 2
 *   match *  send to y;                               1 send x
 *                                                     2 send y
 * ```
 */

import type { Expression } from '../config/expression.ts'

export const AS_IT_CAME = -1

export interface Plan {
  readonly steps: readonly Step[]
  /** All steps, when each is a `send`: the usual case, for the hot loop. */
  readonly sends: readonly SendStep[] | undefined
  /** Nothing takes the line: a blackhole, or no rule that sends it anywhere. */
  readonly blackholed: boolean
}

export type Step = SendStep | AggregateStep | ValidateStep

/** The line goes to a cluster's members under `name`. Data (what follows the name) stays as it came. */
export interface SendStep {
  readonly kind: 'send'
  /** Index in `Routing.clusters`. */
  readonly cluster: number
  /** The name with its tags, as it is sent; the same array for all steps that send the same name. */
  readonly name: Uint8Array
  /** Which of the name's rewritten forms that is, counted from 0; AS_IT_CAME, but for words in front. */
  readonly form: number
  /** Member indexes that take the name while none has failed, in order. */
  readonly members: readonly number[]
  /**
   * What `choose` needs when a member has failed: the latin1 text whose hash places the name
   * (`route using`, else the name without tags).
   */
  readonly key: string
}

/** The point counts in an aggregation; give it to `Aggregator.put`. */
export interface AggregateStep {
  readonly kind: 'aggregate'
  /** Index in `Routing.aggregations`. */
  readonly aggregation: number
  /** The name of each computation's result, latin1. */
  readonly outputs: readonly string[]
  /** The aggregator's own; undefined until the first point. */
  series: unknown
}

/**
 * Goes on with the next step when `expression` matches the line's data (what follows the blank after the name,
 * without the newline), else with step `failTo`.
 */
export interface ValidateStep {
  readonly kind: 'validate'
  readonly expression: Expression
  /** The name's tags count as data, as in carbon-c-relay: `key=value;key=value 1 1790000000`. */
  readonly withTags: boolean
  readonly onFailure: 'log' | 'drop'
  /** Index of a step; `steps.length` ends the line. */
  readonly failTo: number
}
