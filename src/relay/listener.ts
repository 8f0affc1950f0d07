/**
 * The relay's doors: TCP, UDP and Unix stream sockets. Who comes in is a `Visitor`; which kind, the door says.
 *
 * Limits: `connectionsMax` over all of them, further ones are closed at once and counted; connections that
 * have sent nothing for ten minutes are closed. An address that cannot be had is a `ConfigError`.
 */

import { ConfigError } from '../daemon.ts'
import { publishSocket } from '../ipc/socket.ts'
import { type Clock, sleep } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import { reason } from '../lib/log.ts'
import type { Counter } from '../lib/stats.ts'

const IDLE_MS_MAX = 600_000
const IDLE_CHECK_MS = 30_000

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
  receive(bytes: Uint8Array): void
  /** The socket takes more. */
  drain(): void
  /** The connection is over. */
  closed(): void
}

export type Welcome = (socket: VisitorSocket) => Visitor

/** A visitor that only says things. */
export function listenTo(stream: { feed(bytes: Uint8Array): void }): Visitor {
  return { receive: (bytes) => stream.feed(bytes), drain() {}, closed() {} }
}

interface Guest {
  readonly visitor: Visitor
  readonly socket: Bun.Socket<Guest | undefined>
  activeMs: number
}

export interface ListenerOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly connectionsMax: number
  readonly disconnectIdle: boolean
  readonly counters: {
    readonly connections: Counter
    readonly disconnects: Counter
    readonly refused: Counter
    readonly datagrams: Counter
  }
}

export interface Address {
  readonly host: string
  readonly port: number
}

/** An open door. */
interface Door {
  stop(): void
}

export class Listener {
  private readonly options: ListenerOptions
  private readonly guests: Set<Guest>
  private readonly doors: Map<string, Door>
  /** Asked for since `closeUnwanted`. */
  private readonly wanted: Set<string>

  constructor(options: ListenerOptions) {
    this.options = options
    this.guests = new Set()
    this.doors = new Map()
    this.wanted = new Set()
    if (options.disconnectIdle) options.clock.every(IDLE_CHECK_MS, () => this.closeIdle())
  }

  get connections(): number {
    return this.guests.size
  }

  listenTcp(address: Address, welcome: Welcome, tls?: Bun.TLSOptions): void {
    this.door(`tcp ${address.host} ${address.port}`, () => {
      const socket = this.handlers(welcome)
      const where = { hostname: address.host, port: address.port, socket }
      const server = tls ? Bun.listen({ ...where, tls }) : Bun.listen(where)
      return { stop: () => server.stop() }
    })
  }

  listenUnix(path: string, welcome: Welcome): void {
    this.door(`unix ${path}`, () => {
      const published = publishSocket(this.options.disk, path, {
        listen: (unix) => Bun.listen({ unix, socket: this.handlers(welcome) }),
      })
      return {
        stop: () => {
          published.unpublish()
          published.server.stop()
        },
      }
    })
  }

  async listenUdp(
    address: Address,
    take: (datagram: Uint8Array, origin: string) => void,
  ): Promise<void> {
    const key = `udp ${address.host} ${address.port}`
    const { datagrams } = this.options.counters
    this.wanted.add(key)
    if (this.doors.has(key)) return
    try {
      const server = await Bun.udpSocket({
        hostname: address.host,
        port: address.port,
        binaryType: 'uint8array',
        socket: {
          data: (_, bytes, _port, origin) => {
            datagrams.value++
            take(bytes, origin)
          },
        },
      })
      this.doors.set(key, { stop: () => server.close() })
    } catch (error) {
      throw cannotListen(key, error)
    }
  }

  /** After every door of a configuration has been asked for: closes those of the one before. */
  closeUnwanted(): void {
    for (const [key, door] of this.doors) {
      if (this.wanted.has(key)) continue
      door.stop()
      this.doors.delete(key)
    }
    this.wanted.clear()
  }

  /** Accepts no more; what is connected stays. */
  stopAccepting(): void {
    for (const door of this.doors.values()) door.stop()
    this.doors.clear()
  }

  /** Resolves when every guest has been silent for `silentMs`: what they had sent is read. At most `mostMs`. */
  async silence({ silentMs, mostMs }: { silentMs: number; mostMs: number }): Promise<void> {
    const { clock } = this.options
    const end = clock.monotonicMs() + mostMs
    for (;;) {
      const now = clock.monotonicMs()
      let last = -Infinity
      for (const guest of this.guests) last = Math.max(last, guest.activeMs)
      if (now - last >= silentMs || now >= end) return
      await sleep(clock, Math.min(silentMs - (now - last), end - now))
    }
  }

  closeGuests(): void {
    for (const guest of this.guests) guest.socket.end()
  }

  private door(key: string, open: () => Door): void {
    this.wanted.add(key)
    if (this.doors.has(key)) return
    try {
      this.doors.set(key, open())
    } catch (error) {
      throw cannotListen(key, error)
    }
  }

  private handlers(welcome: Welcome): Bun.SocketHandler<Guest | undefined> {
    const { clock, counters, connectionsMax } = this.options
    return {
      open: (socket) => {
        if (this.guests.size >= connectionsMax) {
          counters.refused.value++
          socket.terminate()
          return
        }
        counters.connections.value++
        const guest = { visitor: welcome(socket), socket, activeMs: clock.monotonicMs() }
        socket.data = guest
        this.guests.add(guest)
      },
      data: (socket, bytes) => {
        const guest = socket.data
        if (!guest) return
        guest.activeMs = clock.monotonicMs()
        guest.visitor.receive(bytes)
      },
      drain: (socket) => socket.data?.visitor.drain(),
      close: (socket) => {
        const guest = socket.data
        if (!guest) return
        guest.visitor.closed()
        this.guests.delete(guest)
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

function cannotListen(where: string, error: unknown): ConfigError {
  const [protocol = '', host = '', port = ''] = where.split(' ')
  const place = port === '' ? host : `${host}:${port}`
  return new ConfigError([`cannot listen on ${protocol} ${place}: ${reason(error)}`])
}
