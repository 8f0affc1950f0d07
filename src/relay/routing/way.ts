/**
 * Names that rules answer alike have one way: the same expressions fit, the same members are chosen, so their
 * plans differ in nothing but names. Ways are the leaves of a tree that a new name walks down by the answers
 * that it gives, and what all names of a way share is found at its end, without a plan:
 *
 * ```
 *   match ^a send to ring; match * send to b;     fits ^a? ─ yes ─▶ members? ─ 0, 1, … ─▶ a way each
 *                                                          └ no ──▶ a way
 * ```
 */

import type { CommonRoute } from './route.ts'

export class Way {
  /** What names of the way share; whoever makes routes keeps it here. */
  common: CommonRoute | undefined
  private fitting: Way | undefined
  private unfitting: Way | undefined
  private placed: Map<number, Way> | undefined

  constructor() {
    this.common = undefined
    this.fitting = undefined
    this.unfitting = undefined
    this.placed = undefined
  }

  /** On from here where an expression fits or does not; undefined where no name has gone yet. */
  afterTest(fits: boolean): Way | undefined {
    return fits ? this.fitting : this.unfitting
  }

  addTest(fits: boolean): Way {
    const next = new Way()
    if (fits) this.fitting = next
    else this.unfitting = next
    return next
  }

  /** On from here for those that a cluster's placement answers so. */
  afterPlacing(answer: number): Way | undefined {
    return this.placed?.get(answer)
  }

  addPlacing(answer: number): Way {
    const next = new Way()
    this.placed ??= new Map()
    this.placed.set(answer, next)
    return next
  }
}
