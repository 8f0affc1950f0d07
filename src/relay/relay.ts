/** The relay. */

import type { Concern, Surroundings } from '../daemon.ts'

export function startRelay(_surroundings: Surroundings): Promise<Concern> {
  return Promise.resolve({ notReady: () => [], reload: async () => {}, stop: async () => {} })
}
