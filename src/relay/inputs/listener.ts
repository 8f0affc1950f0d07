/**
 * The relay's doors: TCP, UDP and Unix stream sockets. Those who come in at a stream door are its guests
 * (guests.ts). A door that a reload still wants stays open, and receives those who come from then on as the
 * new configuration says; nobody who waits in front of it is sent away. After `listen…` for each door of a
 * configuration comes `commit`, or `undo` when one of them could not be had (a `ConfigError`).
 */

import { ConfigError } from '../../daemon.ts'
import { publishSocket } from '../../ipc/socket.ts'
import { type Clock, sleep } from '../../lib/clock.ts'
import type { Disk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import { type Entrance, type Guests, plainAddress } from './guests.ts'
import type { WallTimes } from '../wall-times.ts'

/** So that who waits in front of a door is let in before it closes. */
const LAST_CALL_MS = 5
const POLL_MS = 5

export interface ListenerOptions {
  readonly clock: Clock
  readonly disk: Disk
  readonly guests: Guests
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

/** An open door, and how it receives. */
interface Door<Reception> {
  reception: Reception
  stop(): void
}

export class Listener {
  private readonly options: ListenerOptions
  private readonly streams: Map<string, Door<Entrance>>
  private readonly datagrams: Map<string, Door<TakeDatagram>>
  /** Asked for since the last `commit` or `undo`, and what that does to each. */
  private readonly wanted: Map<string, Change>
  private datagramMs: number
  private readonly everywhere: string

  constructor(options: ListenerOptions) {
    this.options = options
    this.streams = new Map()
    this.datagrams = new Map()
    this.wanted = new Map()
    this.datagramMs = -Infinity
    this.everywhere = hasIpv6() ? '::' : '0.0.0.0'
  }

  listenTcp({ host, port }: Address, entrance: Entrance): void {
    this.stream(`tcp ${host} ${port}`, entrance, (socket) => {
      const server = Bun.listen({ hostname: this.hostname(host), port, socket })
      return () => server.stop()
    })
  }

  listenUnix(path: string, entrance: Entrance): void {
    this.stream(`unix ${path}`, entrance, (socket) => {
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
    const door = { reception: take, stop: () => {} }
    try {
      const server = await this.openUdp(address, door)
      door.stop = () => server.close()
    } catch (error) {
      throw cannotListen(key, error)
    }
    this.opened(this.datagrams, key, door)
  }

  /** What was asked for is in force; all other doors close. */
  commit(): void {
    for (const change of this.wanted.values()) change.commit()
    for (const doors of [this.streams, this.datagrams]) {
      for (const [key, door] of doors) {
        if (this.wanted.has(key)) continue
        door.stop()
        doors.delete(key)
      }
    }
    this.wanted.clear()
  }

  /** All is as it was before. */
  undo(): void {
    for (const change of this.wanted.values()) change.undo()
    this.wanted.clear()
  }

  /** Lets in who waits outside, then no more. */
  async closeStreams(): Promise<void> {
    await sleep(this.options.clock, LAST_CALL_MS)
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
    entrance: Entrance,
    open: (handlers: ReturnType<Guests['handlers']>) => () => void,
  ): void {
    if (this.changed(this.streams, key, entrance)) return
    const door = { reception: entrance, stop: () => {} }
    try {
      door.stop = open(this.options.guests.handlers(() => door.reception))
    } catch (error) {
      throw cannotListen(key, error)
    }
    this.opened(this.streams, key, door)
  }

  /** A door that is open already will receive otherwise; false: there is none. */
  private changed<R>(doors: Map<string, Door<R>>, key: string, reception: R): boolean {
    const door = doors.get(key)
    if (!door) return false
    this.wanted.set(key, { commit: () => (door.reception = reception), undo() {} })
    return true
  }

  private opened<R>(doors: Map<string, Door<R>>, key: string, door: Door<R>): void {
    doors.set(key, door)
    this.wanted.set(key, {
      commit() {},
      undo() {
        door.stop()
        doors.delete(key)
      },
    })
  }

  private openUdp(
    { host, port }: Address,
    door: Door<TakeDatagram>,
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
          door.reception(bytes, plainAddress(origin))
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

function closeAll(doors: Map<string, { stop(): void }>): void {
  for (const door of doors.values()) door.stop()
  doors.clear()
}

function cannotListen(where: string, error: unknown): ConfigError {
  const [protocol = '', host = '', port] = where.split(' ')
  const place = port === undefined ? host : `${host}:${port}`
  return new ConfigError([`cannot listen on ${protocol} ${place}: ${reason(error)}`])
}
