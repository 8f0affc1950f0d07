/** The mailer. */

import type { Concern, Surroundings } from '../daemon.ts'

export function startMailer(_surroundings: Surroundings): Promise<Concern> {
  return Promise.resolve({ notReady: () => [], reload: async () => {}, stop: async () => {} })
}
