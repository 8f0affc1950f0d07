/**
 * When a message is tried again: after 5 s, 15 s, 60 s and 300 s, then after as long as it has been in
 * the queue, but 300 to 4,000 s (Postfix's minimal_ and maximal_backoff_time, qmgr_active.c), each ±10 %.
 */

import type { Clock } from '../lib/clock.ts'

const FIRST_DELAYS_MS = [5_000, 15_000, 60_000, 300_000]
const DELAY_MS_MIN = 300_000
const DELAY_MS_MAX = 4_000_000
const JITTER = 0.1

/** No message waits longer: a schedule further away than this comes from a clock that jumped. */
export const WAIT_MS_MAX = DELAY_MS_MAX * (1 + JITTER)

/** `failures`: attempts that failed so far, at least one. */
export function retryDelayMs(clock: Clock, failures: number, ageMs: number): number {
  const base =
    FIRST_DELAYS_MS[failures - 1] ?? Math.min(Math.max(ageMs, DELAY_MS_MIN), DELAY_MS_MAX)
  return base * (1 - JITTER + 2 * JITTER * clock.random())
}

/** How long a destination that does not answer is left alone: never longer than its messages wait. */
export function suspensionMs(failures: number): number {
  return FIRST_DELAYS_MS[Math.min(failures, FIRST_DELAYS_MS.length) - 1]! * (1 - JITTER)
}
