/**
 * Keeps long evaluations from holding the event loop: work is reported as it is done, and when a slice is
 * used up the rest waits for its next turn. At every pause the request's deadline and cancellation count.
 */

import { type Clock, nextTurn } from '../lib/clock.ts'
import { RenderError } from './render-series.ts'

/** Values handled between two looks at the clock. */
const VALUES_PER_LOOK = 250_000
const SLICE_MS = 8

export interface PaceOptions {
  readonly clock: Clock
  readonly signal: AbortSignal
  readonly deadlineMs: number
  readonly pointsMax: number
}

export class Pace {
  readonly #options: PaceOptions
  #values: number
  #sliceEndMs: number
  #stopped = false

  constructor(options: PaceOptions) {
    this.#options = options
    this.#values = 0
    this.#sliceEndMs = options.clock.monotonicMs() + SLICE_MS
  }

  /** Reports so many values done; a promise when it is time to pause. */
  spend(values: number): Promise<void> | undefined {
    this.#values += values
    if (this.#values < VALUES_PER_LOOK) return undefined
    this.#values = 0
    const now = this.#options.clock.monotonicMs()
    if (now < this.#sliceEndMs) return undefined
    return this.#pause()
  }

  /** The rest of the request's work is not wanted any more: what runs ends at its next check. */
  stop(): void {
    this.#stopped = true
  }

  /** Throws when the request is over: by its deadline, or because nobody waits any more. */
  check(): void {
    const { clock, signal, deadlineMs } = this.#options
    if (signal.aborted || this.#stopped) throw new RenderError('request cancelled', 499)
    if (clock.monotonicMs() > deadlineMs) throw new RenderError('render took too long', 504)
  }

  /** Refuses to make more values than a request may have; called before they are made. */
  reserve(values: number): void {
    const { pointsMax } = this.#options
    if (values > pointsMax) {
      throw new RenderError(`${Math.floor(values)} points: at most ${pointsMax} are made`, 413)
    }
  }

  async #pause(): Promise<void> {
    this.check()
    await nextTurn()
    this.check()
    this.#sliceEndMs = this.#options.clock.monotonicMs() + SLICE_MS
  }
}
