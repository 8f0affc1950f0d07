/**
 * What the queue needs from whoever carries mail to the next server (smtp-client.ts; a table of answers
 * in tests): one transaction in, one outcome for each recipient out. It rejects only when the message
 * cannot be read, never for what a server says or does.
 */

export type OutcomeStatus = 'sent' | 'deferred' | 'bounced'

export interface Outcome {
  readonly status: OutcomeStatus
  /** The server's last words, or what kept us from hearing any. One line. */
  readonly reply: string
  /** Enhanced status code (RFC 3463), such as 2.0.0. */
  readonly code: string
}

export interface Transaction {
  /** The domain, or the relayhost: whose servers to try. */
  readonly destination: string
  readonly id: string
  readonly from: string
  readonly recipients: readonly string[]
  readonly bytes: number
  readonly eightBit: boolean
  /** The message's bytes, checked. */
  readonly content: () => Iterable<Uint8Array>
}

export interface TransactionResult {
  /** `host[address]:port`, or `none`. */
  readonly relay: string
  /** Recipient → outcome; every one is in it. */
  readonly outcomes: ReadonlyMap<string, Outcome>
  /** What it says about the server: `failed` = it as a whole; `throttled` = slower, please. */
  readonly server: 'good' | 'failed' | 'throttled'
}

export interface Transport {
  send(transaction: Transaction): Promise<TransactionResult>
  /** Connections that nothing runs on are closed. */
  close(): void
}
