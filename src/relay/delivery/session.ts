/**
 * What a destination does on one connection: plain lines (plain-session.ts) or acknowledged frames
 * (emon-session.ts).
 */

export interface Session {
  /** There is something new in the outbox, or room on the connection. */
  pump(): void
  receive(bytes: Uint8Array): void
  /** The connection is over: nothing is taken from the outbox any more. */
  close(): void
  /** The peer has read all that it was sent, and ended in order. */
  readToEnd(): void
  /** Begins nothing new; `pump` goes on with what is begun. */
  finish(): void
  /** Nothing is half sent, or sent and not yet with the peer as far as this protocol can know. */
  readonly isIdle: boolean
  /** Everything that was sent is with the peer as far as this protocol can know. */
  readonly isDrained: boolean
}
