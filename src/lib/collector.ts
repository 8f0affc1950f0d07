/**
 * Collects garbage when there is much of it. JavaScriptCore lets a heap grow to several times what lives in it, the
 * more so the more memory the machine has, and what waits a second for an acknowledgement, or for the end of a fetch,
 * outlives the collections of young objects. Under load that is a hundred megabytes more than on a small machine, and
 * they grow: the freed pieces lie between others.
 *
 * A whole collection holds everything up for some 20 ms, so there is one in LOOK_MS at most, and none while the process
 * has not grown by GROWTH_BYTES_MAX since the last. An idle process never has one.
 */

import type { Clock, Timer } from './clock.ts'

const LOOK_MS = 5_000
export const GROWTH_BYTES_MAX = 48 * 1024 * 1024

export interface Memory {
  /** Bytes that the process has in memory. */
  resident(): number
  collect(): void
}

export const processMemory: Memory = {
  resident: () => process.memoryUsage.rss(),
  collect: () => Bun.gc(true),
}

export function collectGarbage(clock: Clock, memory: Memory = processMemory): Timer {
  let least = Infinity
  return clock.every(LOOK_MS, () => {
    const resident = memory.resident()
    if (resident <= least + GROWTH_BYTES_MAX) least = Math.min(least, resident)
    else {
      memory.collect()
      least = memory.resident()
    }
  })
}
