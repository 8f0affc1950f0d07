/**
 * Which doors there are and who is welcome at each: lines (with frames of other relays and remote queries),
 * pickle, statsd and its management, lines over HTTP.
 */

import type { Config } from '../../config.ts'
import { ConfigError, type Surroundings } from '../../daemon.ts'
import { fromUtf8, NEWLINE, toUtf8 } from '../../lib/bytes.ts'
import { sleep } from '../../lib/clock.ts'
import { reason } from '../../lib/log.ts'
import type { Counter } from '../../lib/stats.ts'
import { Client } from './client.ts'
import type { Dispatcher } from '../routing/dispatcher.ts'
import type { HeldMark } from './held.ts'
import { HTTP_BODY_BYTES_MAX, HttpLines } from './http-lines.ts'
import { PickleStream } from './pickle-stream.ts'
import { StatsdAdmin } from './statsd-admin.ts'
import { StatsdInput } from './statsd-input.ts'
import {
  type Entrance,
  listenTo,
  type Visitor,
  type VisitorSocket,
  type Welcome,
} from './guests.ts'
import type { Listener } from './listener.ts'
import type { Compression, Listener as ListenerConfig } from '../config/routing.ts'
import type { Senders } from './senders.ts'
import { createDecoder } from '../transports/compression.ts'
import { listenerTls } from '../transports/tls.ts'
import type { WallTimes } from '../wall-times.ts'

const STATSD_NAMES_MAX = 1_000_000
const COMMAND_BYTES_MAX = 4_096
/** For what decompressors still have when their connections are closed. */
const UNPACK_MS_MAX = 500
const POLL_MS = 5

export interface InputsOptions {
  readonly surroundings: Surroundings
  readonly dispatcher: Dispatcher
  readonly senders: Senders
  readonly wallTimes: WallTimes
  /** A mark after everything dispatched until now. */
  readonly mark: () => HeldMark
  readonly lineBytesMax: number
  readonly discarded: Counter
  /** `-C` */
  readonly authorities: string | undefined
}

export class Inputs {
  private readonly options: InputsOptions
  private statsd: StatsdInput | undefined
  private readonly httpLines: HttpLines
  private http: { readonly where: string; readonly server: Bun.Server<undefined> } | undefined
  /** Connections, also such as are closed, whose decompressor is at work. */
  private unpacking: number

  constructor(options: InputsOptions) {
    this.options = options
    this.statsd = undefined
    this.http = undefined
    this.unpacking = 0
    const { surroundings, dispatcher, mark } = options
    const httpLines = new HttpLines({ clock: surroundings.clock, dispatcher, mark })
    this.httpLines = httpLines
    surroundings.adminRoutes.set('POST /lines', (request) => httpLines.answer(request))
  }

  /** Destinations moved on. */
  progress(): void {
    this.httpLines.check()
  }

  /** Opens every door that is not open yet, and closes those that are not wanted any more. */
  async listen(
    listener: Listener,
    config: Config,
    listeners: readonly ListenerConfig[],
  ): Promise<void> {
    try {
      await this.ask(listener, config, listeners)
      this.listenHttp(config)
    } catch (error) {
      listener.undo()
      throw error
    }
    listener.commit()
  }

  /** When the doors are closed: takes what is still being unpacked; what is gathered goes to its journal. */
  async close(): Promise<void> {
    const { clock } = this.options.surroundings
    const end = clock.monotonicMs() + UNPACK_MS_MAX
    while (this.unpacking > 0 && clock.monotonicMs() < end) await sleep(clock, POLL_MS)
    this.statsd?.close()
  }

  /** Takes no more requests; resolves when all that were taken are answered. */
  async closeHttp(): Promise<void> {
    await this.http?.server.stop()
  }

  private async ask(
    listener: Listener,
    config: Config,
    listeners: readonly ListenerConfig[],
  ): Promise<void> {
    const { bind, port, pickle_port: picklePort } = config.relay
    const lines = (socket: VisitorSocket): Visitor => this.client(config, socket)
    const datagram = this.datagrams()
    const tls = { disk: this.options.surroundings.disk, authorities: this.options.authorities }
    for (const { protocol, address, port: own, transport } of listeners) {
      const where = { host: address, port: own }
      const welcome = this.unpacked(transport.compression, lines)
      const entrance = { welcome, tls: listenerTls(tls, transport) }
      if (protocol === 'tcp') listener.listenTcp(where, entrance)
      else if (protocol === 'udp') await listener.listenUdp(where, datagram)
      else listener.listenUnix(address, entrance)
    }
    if (listeners.length === 0 && port !== 0) {
      listener.listenTcp({ host: bind, port }, plain(lines))
      await listener.listenUdp({ host: bind, port }, datagram)
    }
    listener.listenUnix(`${config.run}/relay.sock`, plain(lines))
    if (picklePort !== 0) {
      const entrance = plain((socket) => this.pickle(socket))
      listener.listenTcp({ host: bind, port: picklePort }, entrance)
    }
    await this.askForStatsd(listener, config)
  }

  private listenHttp(config: Config): void {
    const { bind, http_port: port } = config.relay
    const where = `${bind}:${port}`
    if (this.http?.where === where) return
    const before = this.http
    this.http = port === 0 ? undefined : { where, server: this.openHttp(bind, port) }
    void before?.server.stop()
  }

  private openHttp(hostname: string, port: number): Bun.Server<undefined> {
    try {
      return Bun.serve({
        hostname,
        port,
        maxRequestBodySize: HTTP_BODY_BYTES_MAX,
        fetch: (request) =>
          request.method === 'POST' && new URL(request.url).pathname === '/lines'
            ? this.httpLines.answer(request)
            : new Response('POST /lines\n', { status: 404 }),
      })
    } catch (error) {
      throw new ConfigError([`cannot listen on http ${hostname}:${port}: ${reason(error)}`])
    }
  }

  private client(config: Config, socket: VisitorSocket): Client {
    const { surroundings, dispatcher, senders, lineBytesMax, discarded } = this.options
    const { clock, log } = surroundings
    return new Client(
      {
        clock,
        log,
        lines: { dispatcher, lineBytesMax, discarded },
        senders,
        token: config.token,
        querySocket: `${config.run}/query.sock`,
      },
      socket,
    )
  }

  /** A datagram holds whole lines; the last one may come without its newline. */
  private datagrams(): (bytes: Uint8Array, origin: string) => void {
    const { dispatcher } = this.options
    let last = 0
    return (bytes, origin) => {
      let lines = bytes
      if (bytes[bytes.length - 1] !== NEWLINE) {
        lines = new Uint8Array(bytes.length + 1)
        lines.set(bytes)
        lines[bytes.length] = NEWLINE
      }
      last = dispatcher.dispatch(lines, 0, lines.length, last, origin)
    }
  }

  private pickle(socket: VisitorSocket): Visitor {
    const { surroundings, dispatcher } = this.options
    const { log, stats } = surroundings
    return listenTo(
      new PickleStream({
        dispatcher,
        refused: stats.counter('dropped.pickle'),
        onFailure: (text) => {
          log.warn('pickle connection ends', { why: text })
          socket.end()
        },
      }),
    )
  }

  private async askForStatsd(listener: Listener, config: Config): Promise<void> {
    const { bind, statsd_port: port, statsd_admin_port: adminPort } = config.relay
    if (port === 0) return
    this.statsd ??= this.openStatsd(config)
    const { statsd } = this
    listener.listenTcp(
      { host: bind, port },
      plain(() => listenTo(statsd.stream())),
    )
    await listener.listenUdp({ host: bind, port }, (bytes) => statsd.take(bytes))
    if (adminPort === 0) return
    const admin = new StatsdAdmin({
      statsd: statsd.statsd,
      config: config.relay,
      uptimeSeconds: () => process.uptime(),
    })
    const commands = plain((socket) => this.commands(socket, (line) => admin.answer(line)))
    listener.listenTcp({ host: '127.0.0.1', port: adminPort }, commands)
  }

  private openStatsd(config: Config): StatsdInput {
    const { surroundings, dispatcher } = this.options
    const { clock, disk, stats } = surroundings
    const { relay } = config
    return new StatsdInput({
      clock,
      disk,
      stats,
      dispatcher,
      journalPath: `${config.data}/spool/statsd.journal`,
      flushSeconds: relay.statsd_flush_interval,
      percentiles: relay.statsd_percentiles,
      legacyNamespace: relay.statsd_legacy_namespace,
      deleteIdle: relay.statsd_delete_idle,
      namesMax: STATSD_NAMES_MAX,
    })
  }

  private commands(socket: VisitorSocket, answer: (line: string) => string | undefined): Visitor {
    let text = ''
    return listenTo({
      feed(bytes) {
        const lines = (text + fromUtf8(bytes)).split('\n')
        text = lines.pop()!
        if (text.length > COMMAND_BYTES_MAX) return socket.end()
        for (const line of lines) {
          const reply = answer(line)
          if (reply === undefined) return socket.end()
          socket.write(toUtf8(reply))
        }
      },
    })
  }

  /** Puts a decompressor in front of the visitor. */
  private unpacked(compression: Compression, welcome: Welcome): Welcome {
    if (compression === 'plain') return welcome
    const { discarded, wallTimes } = this.options
    return (socket) => {
      const visitor = welcome(socket)
      // Gzip is unpacked beside the loop, so nobody else has an eye on this time.
      const later = (bytes: Uint8Array): void => {
        const { beginning } = wallTimes
        visitor.receive(bytes)
        wallTimes.dispatched(beginning)
      }
      this.unpacking++
      const decoder = createDecoder(compression, {
        onPlain: compression === 'gzip' ? later : (bytes) => visitor.receive(bytes),
        onFailure: () => {
          discarded.value++
          socket.end()
        },
        onFull: () => socket.pause(),
        onDrain: () => socket.resume(),
        onEnd: () => {
          this.unpacking--
          visitor.closed()
        },
      })
      return {
        get isAcknowledged() {
          return visitor.isAcknowledged
        },
        receive: (bytes) => decoder.feed(bytes),
        drain: () => visitor.drain(),
        closed: () => decoder.end(),
      }
    }
  }
}

function plain(welcome: Welcome): Entrance {
  return { welcome, tls: undefined }
}
