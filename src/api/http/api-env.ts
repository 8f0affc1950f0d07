/** What goes with a request through hono: how it came in, and the memory that its answer lies in. */

import type { ValueArena } from '../stores/value-arena.ts'

/** How a request came in, told by the server that took it. */
export interface Peer {
  /** Over run/api.sock. */
  readonly overSocket: boolean
  /** From an address of this machine itself. */
  readonly loopback: boolean
}

export interface ApiEnv {
  Bindings: Peer
  Variables: {
    /** Of the request; released when its answer has been sent. */
    values?: ValueArena
  }
}
