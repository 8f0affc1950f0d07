/** The store. */

import type { Concern, Surroundings } from '../daemon.ts'

export function startStore(_surroundings: Surroundings): Promise<Concern> {
  return Promise.resolve({ notReady: () => [], reload: async () => {}, stop: async () => {} })
}
