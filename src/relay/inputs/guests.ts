/**
 * Who is connected: every connection of every stream door, from its accept to its end.
 *
 * Connections come in plain. Where their door asks for TLS they are upgraded before their first byte is
 * read, so the certificate is the one in force when they came, and a door never has to close for another.
 * A handshake that fails, for want of a client's certificate too, is counted and logged, a line a second.
 *
 * At the end (`leave`) nothing that a kernel has acknowledged is lost: our side says that it is over
 * (FIN), which well-made clients heed, and reads on until all are silent; then it receives no more
 * (SHUT_RD: from here on a kernel answers data with RST, which a client sees), takes what is there, and
 * closes. Peers that keep what they are not told is held (`isAcknowledged`) are not read any further.
 *
 * Limits: `connectionsMax`, further ones are closed at once and counted; HANDSHAKE_MS_MAX for TLS; ten
 * minutes of silence.
 */

import { type Clock, sleep, type Timer } from '../../lib/clock.ts'
import type { Log } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import type { WallTimes } from '../wall-times.ts'

const IDLE_MS_MAX = 600_000
const IDLE_CHECK_MS = 30_000
const HANDSHAKE_MS_MAX = 10_000
const REFUSALS_LOG_MS = 1_000
/** To take what is left after receiving has ended; a full buffer takes some 20 ms. */
const LEFTOVERS_MS_MAX = 500
const POLL_MS = 5

/** A connection as its visitor sees it. */
export interface VisitorSocket {
  /** Undefined on a Unix socket. */
  readonly remoteAddress?: string | undefined
  /** How many of the bytes were taken. */
  write(bytes: Uint8Array): number
  end(): void
  pause(): void
  resume(): void
}

export interface Visitor {
  /** The other end keeps what it has not been told is held, and sends it again. */
  readonly isAcknowledged: boolean
  receive(bytes: Uint8Array): void
  /** The socket takes more. */
  drain(): void
  /** The connection is over. */
  closed(): void
}

export type Welcome = (socket: VisitorSocket) => Visitor

/** How those who come are received. */
export interface Entrance {
  readonly welcome: Welcome
  /** Undefined: plain. */
  readonly tls: Bun.TLSOptions | undefined
}

/** A visitor that only says things. */
export function listenTo(stream: { feed(bytes: Uint8Array): void }): Visitor {
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

interface Guest {
  readonly socket: Bun.Socket<Guest | undefined>
  /** Undefined until the handshake is done. */
  visitor: Visitor | undefined
  handshake: Timer | undefined
  activeMs: number
}

export interface GuestsOptions {
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

export class Guests {
  private readonly options: GuestsOptions
  private readonly guests: Set<Guest>
  private refusalLoggedMs: number
  connectionsMax: number

  constructor(options: GuestsOptions, connectionsMax: number) {
    this.options = options
    this.connectionsMax = connectionsMax
    this.guests = new Set()
    this.refusalLoggedMs = -Infinity
    if (options.disconnectIdle) options.clock.every(IDLE_CHECK_MS, () => this.closeIdle())
  }

  /** What the socket of a door does; `entrance` is asked for each that comes. */
  handlers(entrance: () => Entrance): Bun.SocketHandler<Guest | undefined> {
    const { counters } = this.options
    return {
      ...this.connected(),
      open: (socket) => {
        if (this.guests.size >= this.connectionsMax) {
          counters.refused.value++
          socket.terminate()
          return
        }
        counters.connections.value++
        const { welcome, tls } = entrance()
        if (tls) return this.upgrade(socket, welcome, tls)
        const guest = this.add(socket)
        socket.data = guest
        guest.visitor = welcome(socket)
      },
    }
  }

  /**
   * Reads what there is to read, until all are silent for `silentMs`, at most `mostMs`, then closes all but
   * those that are acknowledged, which wait for `closeAll`.
   */
  async leave({ silentMs, mostMs }: { silentMs: number; mostMs: number }): Promise<void> {
    const { clock } = this.options
    for (const { visitor, socket } of this.guests) {
      if (visitor?.isAcknowledged) socket.pause()
      else socket.shutdown()
    }
    const end = clock.monotonicMs() + mostMs
    for (const readers = this.readers(); readers.size > 0;) {
      const now = clock.monotonicMs()
      let last = -Infinity
      for (const guest of readers) {
        if (this.guests.has(guest)) last = Math.max(last, guest.activeMs)
        else readers.delete(guest)
      }
      if (now - last >= silentMs || now >= end) break
      await sleep(clock, POLL_MS)
    }
    await this.takeLeftovers()
  }

  closeAll(): void {
    for (const { socket } of this.guests) socket.end()
  }

  /** The connections that are there to be read. */
  private readers(): Set<Guest> {
    return new Set([...this.guests].filter(({ visitor }) => !visitor?.isAcknowledged))
  }

  private async takeLeftovers(): Promise<void> {
    const { clock } = this.options
    for (const { socket } of this.readers()) socket.shutdown(true)
    const end = clock.monotonicMs() + LEFTOVERS_MS_MAX
    while (this.readers().size > 0 && clock.monotonicMs() < end) await sleep(clock, POLL_MS)
    for (const { socket } of this.readers()) socket.end()
  }

  private add(socket: Bun.Socket<Guest | undefined>): Guest {
    const activeMs = this.options.clock.monotonicMs()
    const guest: Guest = { socket, visitor: undefined, handshake: undefined, activeMs }
    this.guests.add(guest)
    return guest
  }

  /** From its accept to the end of the handshake; then it is as if it had come plain. */
  private upgrade(outside: Bun.Socket<Guest | undefined>, welcome: Welcome, tls: Bun.TLSOptions) {
    const { clock } = this.options
    // Bun's types do not know it yet: this end answers the handshake.
    const server = { isServer: true }
    const [, inside] = outside.upgradeTLS<Guest | undefined>({
      ...server,
      tls,
      socket: {
        ...this.connected(),
        handshake: (socket, success, error) => {
          const guest = socket.data
          if (!guest?.handshake) return
          // Where no certificate is asked for, "error" only says that there was none.
          const isWelcome = success && !(tls.requestCert && error)
          if (!isWelcome) return this.refuse(guest, error?.message ?? 'the handshake failed')
          endHandshake(guest)
          guest.visitor = welcome(socket)
        },
      },
    })
    const guest = this.add(inside)
    inside.data = guest
    guest.handshake = clock.after(HANDSHAKE_MS_MAX, () => {
      this.refuse(guest, `no handshake within ${HANDSHAKE_MS_MAX} ms`)
    })
  }

  private refuse(guest: Guest, why: string): void {
    const { clock, log, counters } = this.options
    const { socket } = guest
    endHandshake(guest)
    counters.handshakes.value++
    const now = clock.monotonicMs()
    if (now - this.refusalLoggedMs >= REFUSALS_LOG_MS) {
      this.refusalLoggedMs = now
      log.warn('TLS connection refused', { from: plainAddress(socket.remoteAddress ?? ''), why })
    }
    socket.terminate()
  }

  private connected(): Bun.SocketHandler<Guest | undefined> {
    const { clock, counters, wallTimes } = this.options
    return {
      data: (socket, bytes) => {
        const guest = socket.data
        if (!guest?.visitor) return
        guest.activeMs = clock.monotonicMs()
        const { beginning } = wallTimes
        guest.visitor.receive(bytes)
        wallTimes.dispatched(beginning)
      },
      drain: (socket) => socket.data?.visitor?.drain(),
      close: (socket) => {
        const guest = socket.data
        if (!guest || !this.guests.delete(guest)) return
        endHandshake(guest)
        guest.visitor?.closed()
        counters.disconnects.value++
      },
      error: () => undefined,
    }
  }

  private closeIdle(): void {
    const before = this.options.clock.monotonicMs() - IDLE_MS_MAX
    for (const guest of this.guests) if (guest.activeMs < before) guest.socket.end()
  }
}

function endHandshake(guest: Guest): void {
  guest.handshake?.cancel()
  guest.handshake = undefined
}
