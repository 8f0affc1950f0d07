/**
 * One connection to somewhere that takes bytes: TCP, TLS and Unix sockets here, UDP and files beside.
 * `write` takes what the kernel takes at once and says how much; the rest is the caller's, who goes on at
 * `onDrain`. A connection ends once, with `onClose`, also when it never came up.
 */

import { unconfirmedBytes } from '../../ipc/socket-calls.ts'
import type { Clock } from '../../lib/clock.ts'
import { reason } from '../../lib/log.ts'
import { wrongName } from '../transports/tls.ts'

export interface UpstreamEvents {
  onOpen(): void
  onDrain(): void
  onData(bytes: Uint8Array): void
  /** `orderly`: the peer ended it with a FIN and no error. */
  onClose(end: { reason: string; orderly: boolean }): void
}

export interface Upstream {
  /** Where it is connected to; undefined where there is no address, or no connection yet. */
  readonly remoteAddress?: string | undefined
  /** How many of the bytes were taken, from the front. */
  write(bytes: Uint8Array): number
  /** Of the bytes taken, how many the other end (its kernel; of a Unix socket its reader) does not have for sure. */
  readonly unconfirmed: number
  /** Nothing more will be written; when the peer has read it all and ends too, `onClose` is orderly. */
  finish(): void
  /** Lets the kernel deliver what it has taken, then closes; no event follows. */
  end(): void
}

export type ConnectUpstream = (events: UpstreamEvents) => Upstream

export interface SocketTarget {
  /** An address. */
  readonly host: string
  /** What its certificate has to be for. */
  readonly name: string
  readonly port: number
  /** A path instead of host and port. */
  readonly unix?: string | undefined
  /** Asked for each connection, so that files that changed count; undefined: plain. */
  readonly tls?: (() => Bun.TLSOptions) | undefined
  readonly connectMs: number
}

/** Stream sockets. */
export function connectSocket(
  clock: Clock,
  target: SocketTarget,
  events: UpstreamEvents,
): Upstream {
  let socket: Bun.Socket<undefined> | undefined
  let over = false
  let orderly = false
  let told = false
  const finish = (text: string): void => {
    if (over) return
    over = true
    deadline.cancel()
    events.onClose({ reason: text, orderly })
  }
  const deadline = clock.after(target.connectMs, () => {
    socket?.terminate()
    finish(`no connection within ${target.connectMs} ms`)
  })
  const ready = (opened: Bun.Socket<undefined>): void => {
    if (over) return opened.terminate()
    socket = opened
    if (isWithItself(opened)) {
      finish('nobody listens there: the connection was with itself')
      return opened.terminate()
    }
    deadline.cancel()
    events.onOpen()
  }
  const handlers: Bun.SocketHandler<undefined> = {
    open: (opened) => {
      socket = opened
      if (!target.tls) ready(opened)
    },
    handshake: (opened, success, error) => {
      const problem = success
        ? (error?.message ?? wrongName(target.name, opened.getPeerCertificate()))
        : (error?.message ?? 'handshake failed')
      if (problem === undefined) return ready(opened)
      finish(`TLS: ${problem}`)
      opened.terminate()
    },
    data: (_, bytes) => {
      if (!over) events.onData(bytes)
    },
    drain: () => {
      if (!over) events.onDrain()
    },
    end: () => {
      orderly = true
    },
    error: (_, error) => {
      orderly = false
      finish(error.message)
    },
    // A FIN that answers ours comes as this alone.
    close: (_, error) => {
      orderly = !error && (orderly || told)
      finish(error ? reason(error) : 'closed by the peer')
    },
    connectError: (_, error) => finish(error.message),
  }
  open(target, handlers).catch((error: unknown) => finish(reason(error)))
  return {
    remoteAddress: target.host,
    finish() {
      if (over || told) return
      told = true
      socket?.shutdown()
    },
    write(bytes) {
      if (over || !socket) return 0
      return Math.max(0, socket.write(bytes))
    },
    // Over TLS, and on Unix sockets, these are more than what they were made of: less counts as confirmed than is.
    get unconfirmed() {
      return socket ? (unconfirmedBytes(socket) ?? 0) : 0
    },
    end() {
      if (over) return
      over = true
      deadline.cancel()
      socket?.end()
    },
  }
}

async function open(
  { host, port, unix, tls }: SocketTarget,
  socket: Bun.SocketHandler<undefined>,
): Promise<void> {
  const encrypted = tls ? { tls: tls() } : {}
  if (unix === undefined) await Bun.connect({ hostname: host, port, socket, ...encrypted })
  else await Bun.connect({ unix, socket, ...encrypted })
}

/**
 * A connection to a port of this machine from which the kernel also gives out ports may be given just that one:
 * then both ends are the same socket (RFC 9293, simultaneous open), and all that is written comes back.
 */
export function isWithItself(socket: Ends): boolean {
  const { localAddress, localPort, remoteAddress, remotePort } = socket
  return remotePort > 0 && localPort === remotePort && localAddress === remoteAddress
}

type Ends = Pick<
  Bun.Socket<undefined>,
  'localAddress' | 'localPort' | 'remoteAddress' | 'remotePort'
>
