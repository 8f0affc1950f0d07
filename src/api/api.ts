/** The api. */

import type { Concern, Surroundings } from '../daemon.ts'

export function startApi(_surroundings: Surroundings): Promise<Concern> {
  return Promise.resolve({ notReady: () => [], reload: async () => {}, stop: async () => {} })
}
