/**
 * Long work in slices: a generator that pauses now and then, run so that the event loop is never held
 * for much longer than a few milliseconds, and given up when nobody waits for it any more.
 */

import type { Clock } from './clock.ts'
import { TimeSlice } from './time-slice.ts'

/** Work that yields where it may pause; what it returns is its result. */
export type SlicedWork<T> = Generator<undefined, T>

/** Nobody waits for the answer: the asker went away or its deadline passed. */
export class Abandoned extends Error {
  override readonly name = 'Abandoned'
}

export interface Patience {
  readonly clock: Clock
  /** True once nobody waits; looked at after every slice. */
  readonly isOver: () => boolean
}

/** For work that is always carried to its end. */
export function endlessPatience(clock: Clock): Patience {
  return { clock, isOver: () => false }
}

/** The result of the work; throws `Abandoned` when patience is over before it. */
export async function inSlices<T>(work: SlicedWork<T>, patience: Patience): Promise<T> {
  const slice = new TimeSlice(patience.clock)
  for (;;) {
    const step = work.next()
    if (step.done) return step.value
    if (!slice.isOver()) continue
    await slice.rest()
    if (patience.isOver()) throw new Abandoned('nobody waits for the answer')
  }
}
