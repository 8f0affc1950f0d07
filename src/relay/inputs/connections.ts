/**
 * Every connection of every stream listener, from its accept to its end.
 *
 * Connections are accepted plain. Where their listener asks for TLS they are upgraded before their first byte is
 * read, so the certificate is the one in force at the accept, and no listener has to close for another one.
 * A handshake that fails, for want of a client's certificate too, is counted and logged, a line a second.
 *
 * At the end (`finish`) nothing that a kernel has acknowledged is lost: our side says that it is over
 * (FIN), which well-made clients heed, and reads on until all are silent; then it receives no more
 * (SHUT_RD: from here on a kernel answers data with RST, which a client sees), takes what is there, and
 * closes with RST: a client whose window was shut would hear of a FIN alone only by its own time limit. Peers
 * that keep what they are not told is held (`isAcknowledged`) are not read any further.
 *
 * Limits: `connectionsMax`, further ones are closed at once and counted; HANDSHAKE_MS_MAX for TLS; ten
 * minutes of silence.
 */

import { letGo } from '../../lib/bytes.ts'
import { type Clock, sleep, type Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import { resetAtClose } from '../../ipc/socket-calls.ts'
import type { WallTimes } from '../wall-times.ts'

const IDLE_MS_MAX = 600_000
const IDLE_CHECK_MS = 30_000
const HANDSHAKE_MS_MAX = 10_000
const REFUSALS_LOG_MS = 1_000
/** To read what has been received when receiving has ended; a full buffer takes some 20 ms. */
const LAST_READ_MS_MAX = 500
const POLL_MS = 5

/** A connection as its handler sees it. */
export interface ConnectionSocket {
  /** Undefined on a Unix socket. */
  readonly remoteAddress?: string | undefined
  /** How many of the bytes were taken. */
  write(bytes: Uint8Array): number
  end(): void
  pause(): void
  resume(): void
}

export interface ConnectionHandler {
  /** The other end keeps what it has not been told is held, and sends it again. */
  readonly isAcknowledged: boolean
  /** The bytes are gone when it returns. */
  receive(bytes: Uint8Array): void
  /** The socket takes more. */
  drain(): void
  /** The connection is over. */
  closed(): void
}

export type Accept = (socket: ConnectionSocket) => ConnectionHandler

/** What becomes of the connections that a listener accepts. */
export interface ListenOptions {
  readonly accept: Accept
  /** Undefined: plain. */
  readonly tls: Bun.TLSOptions | undefined
}

/** A handler that only receives. */
export function receiveOnly(stream: { feed(bytes: Uint8Array): void }): ConnectionHandler {
  return {
    isAcknowledged: false,
    receive: (bytes) => stream.feed(bytes),
    drain() {},
    closed() {},
  }
}

/** A peer's address; IPv4 as such, on a socket for both too. */
export function plainAddress(address: string): string {
  return address.startsWith('::ffff:') && address.includes('.') ? address.slice(7) : address
}

interface Connection {
  readonly socket: Bun.Socket<Connection | undefined>
  /** Undefined until the handshake is done. */
  handler: ConnectionHandler | undefined
  handshake: Timer | undefined
  activeMs: number
}

export interface ConnectionsOptions {
  readonly clock: Clock
  readonly log: Log
  readonly wallTimes: WallTimes
  readonly disconnectIdle: boolean
  readonly counters: {
    readonly connections: Counter
    readonly disconnects: Counter
    /** Over `connectionsMax`. */
    readonly refused: Counter
    /** TLS handshakes that failed. */
    readonly handshakes: Counter
  }
}

export class Connections {
  private readonly options: ConnectionsOptions
  private readonly connections: Set<Connection>
  private refusalLoggedMs: number
  connectionsMax: number

  constructor(options: ConnectionsOptions, connectionsMax: number) {
    this.options = options
    this.connectionsMax = connectionsMax
    this.connections = new Set()
    this.refusalLoggedMs = -Infinity
    if (options.disconnectIdle) options.clock.every(IDLE_CHECK_MS, () => this.closeIdle())
  }

  /** What the socket of a listener does; `current` is asked at each accept. */
  handlers(current: () => ListenOptions): Bun.SocketHandler<Connection | undefined> {
    const { counters } = this.options
    return {
      ...this.connected(),
      open: (socket) => {
        if (this.connections.size >= this.connectionsMax) {
          counters.refused.value++
          socket.terminate()
          return
        }
        counters.connections.value++
        const { accept, tls } = current()
        if (tls) return this.upgrade(socket, accept, tls)
        const connection = this.add(socket)
        socket.data = connection
        connection.handler = accept(socket)
      },
    }
  }

  /**
   * Reads what there is to read, until all are silent for `silentMs`, at most `mostMs`, then closes all but
   * those that are acknowledged, which wait for `closeAll`.
   */
  async finish({ silentMs, mostMs }: { silentMs: number; mostMs: number }): Promise<void> {
    const { clock } = this.options
    for (const { handler, socket } of this.connections) {
      if (handler?.isAcknowledged) socket.pause()
      else socket.shutdown()
    }
    const end = clock.monotonicMs() + mostMs
    for (const readers = this.readers(); readers.size > 0;) {
      const now = clock.monotonicMs()
      let last = -Infinity
      for (const connection of readers) {
        if (this.connections.has(connection)) last = Math.max(last, connection.activeMs)
        else readers.delete(connection)
      }
      if (now - last >= silentMs || now >= end) break
      await sleep(clock, POLL_MS)
    }
    await this.readToEnd()
  }

  closeAll(): void {
    for (const { socket } of this.connections) socket.end()
  }

  /** The connections that are there to be read. */
  private readers(): Set<Connection> {
    return new Set([...this.connections].filter(({ handler }) => !handler?.isAcknowledged))
  }

  private async readToEnd(): Promise<void> {
    const { clock } = this.options
    for (const { socket } of this.readers()) {
      resetAtClose(socket)
      socket.shutdown(true)
    }
    const end = clock.monotonicMs() + LAST_READ_MS_MAX
    while (this.readers().size > 0 && clock.monotonicMs() < end) await sleep(clock, POLL_MS)
    for (const { socket } of this.readers()) socket.end()
  }

  private add(socket: Bun.Socket<Connection | undefined>): Connection {
    const activeMs = this.options.clock.monotonicMs()
    const connection: Connection = { socket, handler: undefined, handshake: undefined, activeMs }
    this.connections.add(connection)
    return connection
  }

  /** From its accept to the end of the handshake; then it is like a plain one. */
  private upgrade(
    outside: Bun.Socket<Connection | undefined>,
    accept: Accept,
    tls: Bun.TLSOptions,
  ) {
    const { clock } = this.options
    // Bun's types do not know it yet: this end answers the handshake.
    const server = { isServer: true }
    const [, inside] = outside.upgradeTLS<Connection | undefined>({
      ...server,
      tls,
      socket: {
        ...this.connected(),
        handshake: (socket, success, error) => {
          const connection = socket.data
          if (!connection?.handshake) return
          // Where no certificate is asked for, "error" only says that there was none.
          const isGood = success && !(tls.requestCert && error)
          if (!isGood) return this.refuse(connection, error?.message ?? 'the handshake failed')
          endHandshake(connection)
          connection.handler = accept(socket)
        },
      },
    })
    const connection = this.add(inside)
    inside.data = connection
    connection.handshake = clock.after(HANDSHAKE_MS_MAX, () => {
      this.refuse(connection, `no handshake within ${HANDSHAKE_MS_MAX} ms`)
    })
  }

  private refuse(connection: Connection, why: string): void {
    const { clock, log, counters } = this.options
    const { socket } = connection
    endHandshake(connection)
    counters.handshakes.value++
    const now = clock.monotonicMs()
    if (now - this.refusalLoggedMs >= REFUSALS_LOG_MS) {
      this.refusalLoggedMs = now
      log.warn('TLS connection refused', { from: plainAddress(socket.remoteAddress ?? ''), why })
    }
    socket.terminate()
  }

  private connected(): Bun.SocketHandler<Connection | undefined> {
    const { clock, counters, wallTimes } = this.options
    return {
      data: (socket, bytes) => {
        const connection = socket.data
        if (!connection?.handler) return
        connection.activeMs = clock.monotonicMs()
        const { beginning } = wallTimes
        connection.handler.receive(bytes)
        letGo(bytes)
        wallTimes.dispatched(beginning)
      },
      drain: (socket) => socket.data?.handler?.drain(),
      close: (socket) => {
        const connection = socket.data
        if (!connection || !this.connections.delete(connection)) return
        endHandshake(connection)
        connection.handler?.closed()
        counters.disconnects.value++
      },
      error: () => undefined,
    }
  }

  private closeIdle(): void {
    const before = this.options.clock.monotonicMs() - IDLE_MS_MAX
    for (const { socket, activeMs } of this.connections) if (activeMs < before) socket.end()
  }
}

function endHandshake(connection: Connection): void {
  connection.handshake?.cancel()
  connection.handshake = undefined
}
