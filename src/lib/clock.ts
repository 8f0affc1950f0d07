/**
 * Time, timers and randomness. Everything that needs one of them takes a `Clock`, so a test can own
 * time (test/sim/clock.ts) and replay a run from its seed.
 */

import { randomBytes } from 'node:crypto'

export interface Timer {
  cancel(): void
}

export interface Clock {
  /** Wall clock, milliseconds since 1970. It may jump either way. */
  nowMs(): number
  /** Milliseconds since some start; never goes back. For measuring how long something took. */
  monotonicMs(): number
  /** Calls `run` once after `delayMs`. */
  after(delayMs: number, run: () => void): Timer
  /** Calls `run` every `intervalMs` until cancelled. */
  every(intervalMs: number, run: () => void): Timer
  /** Uniform in [0, 1). */
  random(): number
  /** Unpredictable bytes, for nonces and ids. */
  randomBytes(count: number): Uint8Array
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  after(delayMs, run) {
    const timer = setTimeout(run, delayMs)
    return { cancel: () => clearTimeout(timer) }
  },
  every(intervalMs, run) {
    const timer = setInterval(run, intervalMs)
    return { cancel: () => clearInterval(timer) }
  },
  random: () => Math.random(),
  randomBytes: (count) => new Uint8Array(randomBytes(count)),
}

export function sleep(clock: Clock, delayMs: number): Promise<void> {
  return new Promise((resolve) => clock.after(delayMs, resolve))
}

/** Whole Unix seconds. */
export function nowSeconds(clock: Clock): number {
  return Math.floor(clock.nowMs() / 1000)
}

/** Lets everything else that is due run first: how long work is sliced. */
export function nextTurn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
