/** Why a message waits though no server was asked: in the words that mailq shows. */

import type { Outcome } from './transport.ts'

export const NOBODY: Outcome = {
  status: 'deferred',
  code: '4.1.1',
  reply:
    'an address of this machine that no alias leads on: set EMAIL_ALERT_ADDR or mailer.aliases',
}

export const CROWDED: Outcome = {
  status: 'deferred',
  code: '4.3.2',
  reply: 'much mail waits for this destination already',
}

export function suspended(destination: string): Outcome {
  const reply = `delivery to ${destination} is suspended after failures`
  return { status: 'deferred', code: '4.4.1', reply }
}
