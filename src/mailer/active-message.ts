/**
 * A message while it is being tried: who still has to get it, and what was answered in this round. The
 * answers of a round are settled together, when the last of its transactions has ended.
 */

import type { QueueEntry } from './mail-queue.ts'
import type { QueueFile } from './queue-file.ts'
import type { PendingRecipient, State } from './queue-format.ts'
import type { Outcome } from './transport.ts'

export class ActiveMessage {
  readonly entry: QueueEntry
  readonly file: QueueFile
  /** Who has no answer yet in this round. */
  readonly open: Set<string>
  readonly deferred: Map<string, Outcome>
  readonly bounced: Map<string, Outcome>
  /** Transactions of this round that have not ended. */
  jobs: number
  /** One of them was really tried. */
  tried: boolean
  /** Somebody has got it in this round. */
  delivered: boolean
  /** The destination that failed as a whole, or ''. */
  blamed: string
  /** How long the destination that it waits for is to be left alone. */
  putOffMs: number

  /** `resolve` says where mail for an address goes now: aliases may have changed since it was accepted. */
  constructor(entry: QueueEntry, file: QueueFile, resolve: (address: string) => readonly string[]) {
    const state = entry.unsaved ?? file.state
    const pending = state?.pending.map(({ address }) => address) ?? file.envelope.recipients
    this.entry = entry
    this.file = file
    this.open = new Set(pending.flatMap(resolve))
    this.deferred = new Map()
    this.bounced = new Map()
    this.jobs = 0
    this.tried = false
    this.delivered = false
    this.blamed = ''
    this.putOffMs = 0
  }

  answer(recipient: string, outcome: Outcome): void {
    this.open.delete(recipient)
    if (outcome.status === 'deferred') this.deferred.set(recipient, outcome)
    else if (outcome.status === 'bounced') this.bounced.set(recipient, outcome)
    else this.delivered = true
  }

  defer(recipients: readonly string[], outcome: Outcome): void {
    for (const recipient of recipients) this.answer(recipient, outcome)
  }

  /** Its time is up: what was to be tried again is final. */
  giveUp(why: string): void {
    for (const [recipient, { reply }] of this.deferred) {
      const outcome = { status: 'bounced', code: '4.4.7', reply: `${why}: ${reply}` } as const
      this.bounced.set(recipient, outcome)
    }
    this.deferred.clear()
  }

  /** What to write down now. */
  state(schedule: { nextAttemptMs: number; attempts: number }): State {
    const pending: PendingRecipient[] = []
    for (const address of this.open) pending.push({ address })
    for (const [address, { code, reply }] of [...this.deferred, ...this.bounced]) {
      pending.push({ address, reason: `${code} ${reply}` })
    }
    const { nextAttemptMs, attempts } = schedule
    return this.blamed === ''
      ? { pending, attempts, nextAttemptMs }
      : { pending, attempts, nextAttemptMs, blamed: this.blamed }
  }
}
