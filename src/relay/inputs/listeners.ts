/**
 * The relay's listeners: TCP, UDP and Unix stream sockets (what a stream listener accepts: connections.ts). A
 * listener that a reload still wants stays open, and handles what it accepts from then on as the new configuration
 * says; its backlog is not lost. After `listen…` for each listener of a configuration comes `commit`, or `undo`
 * when one of them could not be opened (a `ConfigError`).
 */

import { ConfigError } from '../../daemon.ts'
import { publishSocket } from '../../ipc/socket.ts'
import { type Clock, sleep } from '../../lib/clock.ts'
import type { Disk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import { type ListenOptions, type Connections, plainAddress } from './connections.ts'
import type { WallTimes } from '../wall-times.ts'

/** So that the backlog of a listener is accepted before it closes. */
const BACKLOG_MS = 5
const POLL_MS = 5

export interface ListenersOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly connections: Connections
  readonly wallTimes: WallTimes
  readonly datagrams: Counter
}

export interface Address {
  /** '' for all, of IPv4 and IPv6. */
  readonly host: string
  readonly port: number
}

export type TakeDatagram = (datagram: Uint8Array, origin: string) => void

interface Change {
  commit(): void
  undo(): void
}

/** An open listener, and what becomes of what it receives. */
interface Listener<Handling> {
  handling: Handling
  stop(): void
}

export class Listeners {
  private readonly options: ListenersOptions
  private readonly streams: Map<string, Listener<ListenOptions>>
  private readonly datagrams: Map<string, Listener<TakeDatagram>>
  /** Asked for since the last `commit` or `undo`, and what that does to each. */
  private readonly wanted: Map<string, Change>
  private datagramMs: number
  private readonly everywhere: string

  constructor(options: ListenersOptions) {
    this.options = options
    this.streams = new Map()
    this.datagrams = new Map()
    this.wanted = new Map()
    this.datagramMs = -Infinity
    this.everywhere = hasIpv6() ? '::' : '0.0.0.0'
  }

  listenTcp({ host, port }: Address, handling: ListenOptions): void {
    this.stream(`tcp ${host} ${port}`, handling, (socket) => {
      const server = Bun.listen({ hostname: this.hostname(host), port, socket })
      return () => server.stop()
    })
  }

  listenUnix(path: string, handling: ListenOptions): void {
    this.stream(`unix ${path}`, handling, (socket) => {
      const published = publishSocket(this.options.disk, path, {
        listen: (unix) => Bun.listen({ unix, socket }),
      })
      return () => {
        published.unpublish()
        published.server.stop()
      }
    })
  }

  async listenUdp(address: Address, take: TakeDatagram): Promise<void> {
    const key = `udp ${address.host} ${address.port}`
    if (this.changed(this.datagrams, key, take)) return
    const listener = { handling: take, stop: () => {} }
    try {
      const server = await this.openUdp(address, listener)
      listener.stop = () => server.close()
    } catch (error) {
      throw cannotListen(key, error)
    }
    this.opened(this.datagrams, key, listener)
  }

  /** What was asked for is in force; all other listeners close. */
  commit(): void {
    for (const change of this.wanted.values()) change.commit()
    for (const listeners of [this.streams, this.datagrams]) {
      for (const [key, listener] of listeners) {
        if (this.wanted.has(key)) continue
        listener.stop()
        listeners.delete(key)
      }
    }
    this.wanted.clear()
  }

  /** All is as it was before. */
  undo(): void {
    for (const change of this.wanted.values()) change.undo()
    this.wanted.clear()
  }

  /** Accepts what is in the backlogs, then no more. */
  async closeStreams(): Promise<void> {
    await sleep(this.options.clock, BACKLOG_MS)
    closeAll(this.streams)
  }

  /** Takes datagrams until none has come for `silentMs`, at most `mostMs`, then no more. */
  async closeDatagrams({ silentMs, mostMs }: { silentMs: number; mostMs: number }): Promise<void> {
    const { clock } = this.options
    const begin = clock.monotonicMs()
    for (let now = begin; this.datagrams.size > 0 && now - begin < mostMs;) {
      if (now - Math.max(begin, this.datagramMs) >= silentMs) break
      await sleep(clock, POLL_MS)
      now = clock.monotonicMs()
    }
    closeAll(this.datagrams)
  }

  private stream(
    key: string,
    handling: ListenOptions,
    open: (handlers: ReturnType<Connections['handlers']>) => () => void,
  ): void {
    if (this.changed(this.streams, key, handling)) return
    const listener = { handling, stop: () => {} }
    try {
      listener.stop = open(this.options.connections.handlers(() => listener.handling))
    } catch (error) {
      throw cannotListen(key, error)
    }
    this.opened(this.streams, key, listener)
  }

  /** A listener that is open already gets another handling; false: there is none. */
  private changed<H>(listeners: Map<string, Listener<H>>, key: string, handling: H): boolean {
    const listener = listeners.get(key)
    if (!listener) return false
    this.wanted.set(key, { commit: () => (listener.handling = handling), undo() {} })
    return true
  }

  private opened<H>(listeners: Map<string, Listener<H>>, key: string, listener: Listener<H>): void {
    listeners.set(key, listener)
    this.wanted.set(key, {
      commit() {},
      undo() {
        listener.stop()
        listeners.delete(key)
      },
    })
  }

  private openUdp(
    { host, port }: Address,
    listener: Listener<TakeDatagram>,
  ): Promise<Bun.udp.Socket<'uint8array'>> {
    const { clock, datagrams, wallTimes } = this.options
    return Bun.udpSocket({
      hostname: this.hostname(host),
      port,
      binaryType: 'uint8array',
      socket: {
        data: (_, bytes, _port, origin) => {
          datagrams.value++
          this.datagramMs = clock.monotonicMs()
          const { beginning } = wallTimes
          listener.handling(bytes, plainAddress(origin))
          wallTimes.dispatched(beginning)
        },
      },
    })
  }

  private hostname(host: string): string {
    return host === '' ? this.everywhere : host
  }
}

/** An IPv6 socket for all addresses takes IPv4 too. */
function hasIpv6(): boolean {
  try {
    Bun.listen({ hostname: '::', port: 0, socket: { data() {} } }).stop()
    return true
  } catch {
    return false
  }
}

function closeAll(listeners: Map<string, { stop(): void }>): void {
  for (const listener of listeners.values()) listener.stop()
  listeners.clear()
}

function cannotListen(where: string, error: unknown): ConfigError {
  const [protocol = '', host = '', port] = where.split(' ')
  const place = port === undefined ? host : `${host}:${port}`
  return new ConfigError([`cannot listen on ${protocol} ${place}: ${reason(error)}`])
}
