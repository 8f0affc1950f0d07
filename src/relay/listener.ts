/**
 * The relay's doors for lines: TCP, UDP and Unix stream sockets. Each accepted connection is a `Client`.
 *
 * Limits: `connectionsMax` over all of them, further ones are closed at once and counted; connections that
 * have sent nothing for ten minutes are closed. An address that cannot be had is a `ConfigError`.
 */

import { ConfigError } from '../daemon.ts'
import { publishSocket } from '../ipc/socket.ts'
import { NEWLINE } from '../lib/bytes.ts'
import type { Disk } from '../lib/disk.ts'
import { reason } from '../lib/log.ts'
import type { Counter } from '../lib/stats.ts'
import { Client, type ClientOptions } from './client.ts'

const IDLE_MS_MAX = 600_000
const IDLE_CHECK_MS = 30_000

export interface ListenerOptions {
  readonly client: ClientOptions
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
  readonly port: number
  stop(): void
}

export class Listener {
  private readonly options: ListenerOptions
  private readonly clients: Set<Client>
  private readonly doors: Map<string, Door>

  constructor(options: ListenerOptions) {
    this.options = options
    this.clients = new Set()
    this.doors = new Map()
    const { clock } = options.client
    if (options.disconnectIdle) clock.every(IDLE_CHECK_MS, () => this.closeIdle())
  }

  get connections(): number {
    return this.clients.size
  }

  listenTcp(address: Address, tls?: Bun.TLSOptions): Door {
    return this.door(`tcp ${address.host} ${address.port}`, () => {
      const socket = this.handlers()
      const where = { hostname: address.host, port: address.port, socket }
      const server = tls ? Bun.listen({ ...where, tls }) : Bun.listen(where)
      return { port: server.port, stop: () => server.stop() }
    })
  }

  listenUnix(path: string): Door {
    return this.door(`unix ${path}`, () => {
      const published = publishSocket(this.options.disk, path, {
        listen: (unix) => Bun.listen({ unix, socket: this.handlers() }),
      })
      return {
        port: 0,
        stop: () => {
          published.unpublish()
          published.server.stop()
        },
      }
    })
  }

  async listenUdp(address: Address): Promise<void> {
    const key = `udp ${address.host} ${address.port}`
    if (this.doors.has(key)) return
    const take = this.datagrams()
    try {
      const server = await Bun.udpSocket({
        hostname: address.host,
        port: address.port,
        binaryType: 'uint8array',
        socket: { data: (_, bytes) => take(bytes) },
      })
      this.doors.set(key, { port: server.port, stop: () => server.close() })
    } catch (error) {
      throw cannotListen(key, error)
    }
  }

  /** Accepts no more; what is connected stays. */
  stopAccepting(): void {
    for (const door of this.doors.values()) door.stop()
    this.doors.clear()
  }

  closeClients(): void {
    for (const client of this.clients) client.end()
  }

  private door(key: string, open: () => Door): Door {
    const existing = this.doors.get(key)
    if (existing) return existing
    try {
      const door = open()
      this.doors.set(key, door)
      return door
    } catch (error) {
      throw cannotListen(key, error)
    }
  }

  private handlers(): Bun.SocketHandler<Client | undefined> {
    const { counters, connectionsMax } = this.options
    return {
      open: (socket) => {
        if (this.clients.size >= connectionsMax) {
          counters.refused.value++
          socket.terminate()
          return
        }
        counters.connections.value++
        const client = new Client(this.options.client, socket)
        socket.data = client
        this.clients.add(client)
      },
      data: (socket, bytes) => socket.data?.receive(bytes),
      drain: (socket) => socket.data?.drain(),
      close: (socket) => {
        const client = socket.data
        if (!client) return
        client.closed()
        this.clients.delete(client)
        counters.disconnects.value++
      },
      error: () => undefined,
    }
  }

  /** A datagram holds whole lines; the last one may come without its newline. */
  private datagrams(): (bytes: Uint8Array) => void {
    const { dispatcher, lineBytesMax, discarded } = this.options.client.lines
    const { datagrams } = this.options.counters
    let last = 0
    return (bytes) => {
      datagrams.value++
      let lines = bytes
      if (bytes[bytes.length - 1] !== NEWLINE) {
        lines = new Uint8Array(bytes.length + 1)
        lines.set(bytes)
        lines[bytes.length] = NEWLINE
      }
      if (lines.length > Math.max(lineBytesMax, 65_536)) discarded.value++
      else last = dispatcher.dispatch(lines, 0, lines.length, last)
    }
  }

  private closeIdle(): void {
    const before = this.options.client.clock.monotonicMs() - IDLE_MS_MAX
    for (const client of this.clients) if (client.activeMs < before) client.end()
  }
}

function cannotListen(where: string, error: unknown): ConfigError {
  const [protocol = '', host = '', port = ''] = where.split(' ')
  const place = port === '' ? host : `${host}:${port}`
  return new ConfigError([`cannot listen on ${protocol} ${place}: ${reason(error)}`])
}
