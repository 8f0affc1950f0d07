/**
 * Which listeners there are, and what their connections are given to: lines (with frames of other relays and
 * remote queries), pickle, statsd and its management, lines over HTTP.
 */

import type { Config } from '../../config.ts'
import type { Surroundings } from '../../daemon.ts'
import { fromUtf8, NEWLINE, toUtf8 } from '../../lib/bytes.ts'
import { sleep } from '../../lib/clock.ts'
import type { Counter } from '../../lib/stats.ts'
import { Client } from './client.ts'
import type { Dispatcher } from '../routing/dispatcher.ts'
import type { Network } from '../routing/network.ts'
import type { HeldMark } from './held.ts'
import { HttpLines } from './http-lines.ts'
import { HttpListener } from './http-listener.ts'
import { PickleReader } from './pickle-reader.ts'
import { PickleStream } from './pickle-stream.ts'
import { StatsdAdmin } from './statsd-admin.ts'
import { StatsdInput } from './statsd-input.ts'
import { parseHistogram } from './timer-summary.ts'
import {
  type ListenOptions,
  receiveOnly,
  type ConnectionHandler,
  type ConnectionSocket,
  type Accept,
} from './connections.ts'
import type { Listeners } from './listeners.ts'
import type { Compression, Listener } from '../config/routing.ts'
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
  /** The one in force. */
  readonly config: () => Config
  readonly dispatcher: Dispatcher
  readonly network: Network
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
  private readonly pickles: PickleReader
  private readonly http: HttpListener
  /** Connections, also such as are closed, whose decompressor is at work. */
  private unpacking: number

  constructor(options: InputsOptions) {
    this.options = options
    this.statsd = undefined
    this.unpacking = 0
    const { surroundings, dispatcher, mark } = options
    const httpLines = new HttpLines({ clock: surroundings.clock, dispatcher, mark })
    this.httpLines = httpLines
    this.http = new HttpListener(options.config, (request) => httpLines.answer(request))
    this.pickles = new PickleReader()
    surroundings.adminRoutes.set('POST /lines', (request) => httpLines.answer(request))
  }

  /** Destinations moved on. */
  progress(): void {
    this.httpLines.check()
  }

  /** Opens every listener that is not open yet, and closes those that are not wanted any more. */
  async listen(
    listeners: Listeners,
    config: Config,
    configured: readonly Listener[],
  ): Promise<void> {
    try {
      await this.ask(listeners, config, configured)
      this.http.listen(config)
    } catch (error) {
      listeners.undo()
      throw error
    }
    listeners.commit()
  }

  /** When the listeners are closed: takes what is still being unpacked; what is gathered goes to its journal. */
  async close(): Promise<void> {
    const { clock } = this.options.surroundings
    const end = clock.monotonicMs() + UNPACK_MS_MAX
    while (this.unpacking > 0 && clock.monotonicMs() < end) await sleep(clock, POLL_MS)
    this.statsd?.close()
  }

  /** Takes no more requests; resolves when all that were taken are answered. */
  async closeHttp(): Promise<void> {
    await this.http.close()
  }

  private async ask(
    listeners: Listeners,
    config: Config,
    configured: readonly Listener[],
  ): Promise<void> {
    const { bind, port, pickle_port: picklePort } = config.relay
    const lines = (socket: ConnectionSocket): ConnectionHandler => this.client(config, socket)
    const datagram = this.datagrams()
    const tls = { disk: this.options.surroundings.disk, authorities: this.options.authorities }
    for (const { protocol, address, port: own, transport } of configured) {
      const where = { host: address, port: own }
      const accept = this.unpacked(transport.compression, lines)
      const options = { accept, tls: listenerTls(tls, transport) }
      if (protocol === 'tcp') listeners.listenTcp(where, options)
      else if (protocol === 'udp') await listeners.listenUdp(where, datagram)
      else listeners.listenUnix(address, options)
    }
    if (configured.length === 0 && port !== 0) {
      listeners.listenTcp({ host: bind, port }, plain(lines))
      await listeners.listenUdp({ host: bind, port }, datagram)
    }
    listeners.listenUnix(`${config.run}/relay.sock`, plain(lines))
    if (picklePort !== 0) {
      const options = plain((socket) => this.pickle(socket))
      listeners.listenTcp({ host: bind, port: picklePort }, options)
    }
    await this.askForStatsd(listeners, config)
  }

  private client(config: Config, socket: ConnectionSocket): Client {
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

  private pickle(socket: ConnectionSocket): ConnectionHandler {
    const { surroundings, dispatcher } = this.options
    const { log, stats } = surroundings
    return receiveOnly(
      new PickleStream({
        dispatcher,
        reader: this.pickles,
        refused: stats.counter('dropped.pickle'),
        onFailure: (text) => {
          log.warn('pickle connection ends', { why: text })
          socket.end()
        },
      }),
    )
  }

  private async askForStatsd(listeners: Listeners, config: Config): Promise<void> {
    const { bind, statsd_port: port, statsd_admin_port: adminPort } = config.relay
    if (port === 0) return
    this.statsd ??= this.openStatsd()
    const { statsd } = this
    listeners.listenTcp(
      { host: bind, port },
      plain(() => receiveOnly(statsd.stream())),
    )
    await listeners.listenUdp({ host: bind, port }, (bytes) => statsd.take(bytes))
    if (adminPort === 0) return
    const admin = new StatsdAdmin({
      statsd: statsd.statsd,
      config: config.relay,
      uptimeSeconds: () => process.uptime(),
      silentSeconds: () => statsd.silentSeconds,
    })
    const commands = plain((socket) => this.commands(socket, (line) => admin.answer(line)))
    listeners.listenTcp({ host: '127.0.0.1', port: adminPort }, commands)
  }

  private openStatsd(): StatsdInput {
    const { surroundings, config, dispatcher, network } = this.options
    const { clock, disk, stats } = surroundings
    return new StatsdInput({
      clock,
      disk,
      stats,
      dispatcher,
      network,
      journalPath: `${config().data}/spool/statsd.journal`,
      settings() {
        const { relay } = config()
        return {
          flushSeconds: relay.statsd_flush_interval,
          percentiles: relay.statsd_percentiles,
          histograms: relay.statsd_histograms.map(parseHistogram),
          legacyNamespace: relay.statsd_legacy_namespace,
          deleteIdle: new Set(relay.statsd_delete_idle),
        }
      },
      namesMax: STATSD_NAMES_MAX,
    })
  }

  private commands(
    socket: ConnectionSocket,
    answer: (line: string) => string | undefined,
  ): ConnectionHandler {
    let text = ''
    return receiveOnly({
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

  /** Puts a decompressor in front of the handler. */
  private unpacked(compression: Compression, accept: Accept): Accept {
    if (compression === 'plain') return accept
    const { discarded, wallTimes } = this.options
    return (socket) => {
      const handler = accept(socket)
      // Gzip is unpacked beside the loop, so nobody else has an eye on this time.
      const later = (bytes: Uint8Array): void => {
        const { beginning } = wallTimes
        handler.receive(bytes)
        wallTimes.dispatched(beginning)
      }
      this.unpacking++
      const decoder = createDecoder(compression, {
        onPlain: compression === 'gzip' ? later : (bytes) => handler.receive(bytes),
        onFailure: () => {
          discarded.value++
          socket.end()
        },
        onFull: () => socket.pause(),
        onDrain: () => socket.resume(),
        onEnd: () => {
          this.unpacking--
          handler.closed()
        },
      })
      return {
        get isAcknowledged() {
          return handler.isAcknowledged
        },
        receive: (bytes) => decoder.feed(bytes),
        drain: () => handler.drain(),
        closed: () => decoder.end(),
      }
    }
  }
}

function plain(accept: Accept): ListenOptions {
  return { accept, tls: undefined }
}
