/**
 * What an error of nodemailer's connection means for a message: temporary or final, and in words.
 *
 * 5xx is final; everything else is tried again: 4xx, silence, a name that does not resolve now, TLS and
 * login that fail (a wrong password must not send alerts back). 552 for a recipient means "too many at
 * once" (RFC 5321 §4.5.3.1.10). 454 is SES's way of saying "slower".
 */

import { oneLine } from './headers.ts'
import type { Outcome, TransactionResult } from './transport.ts'

/** The parts of nodemailer's error that count here. */
export interface SendError {
  readonly message: string
  readonly code?: string | undefined
  readonly responseCode?: number | undefined
  readonly response?: string | undefined
  /** The command that was answered: `MAIL FROM`, `RCPT TO`, `DATA` … */
  readonly command?: string | undefined
}

const REPLY_CHARS_MAX = 500

export function outcomeOf(error: SendError): Outcome {
  const { responseCode, command } = error
  const reply = oneLine(error.response ?? error.message).slice(0, REPLY_CHARS_MAX)
  if (responseCode === undefined) {
    // Errors of our own making: a message over the server's SIZE, an address it cannot be told.
    if (error.code === 'EMESSAGE' && /size/i.test(error.message)) return bounced('5.3.4', reply)
    if (error.code === 'EENVELOPE') return bounced('5.6.7', reply)
    return { status: 'deferred', code: '4.4.2', reply }
  }
  const isFinal = responseCode >= 500 && !(responseCode === 552 && command === 'RCPT TO')
  const found = /^\d{3}[ -]([245]\.\d{1,3}\.\d{1,3})\b/.exec(reply)?.[1]
  if (isFinal) return bounced(found?.startsWith('5') ? found : '5.0.0', reply)
  return { status: 'deferred', code: found?.startsWith('4') ? found : '4.0.0', reply }
}

/** What it says about the server as a whole. */
export function serverOf(error: SendError): TransactionResult['server'] {
  if (error.responseCode === 454) return 'throttled'
  if (error.responseCode === 421) return 'failed'
  if (error.responseCode !== undefined) return 'good'
  return error.code === 'EMESSAGE' || error.code === 'EENVELOPE' ? 'good' : 'failed'
}

export function accepted(response: string): Outcome {
  const reply = oneLine(response).slice(0, REPLY_CHARS_MAX)
  const code = /^\d{3}[ -](2\.\d{1,3}\.\d{1,3})\b/.exec(reply)?.[1] ?? '2.0.0'
  return { status: 'sent', code, reply }
}

export function bounced(code: string, reply: string): Outcome {
  return { status: 'bounced', code, reply }
}
