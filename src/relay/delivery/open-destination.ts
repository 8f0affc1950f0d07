/**
 * From a host of the routing to its destination: which socket, which dialect, its spool's folder and its
 * statistics.
 */

import { isIP } from 'node:net'
import type { Config } from '../../config.ts'
import { crc32, toUtf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import type { Disk } from '../../lib/disk.ts'
import type { Log } from '../../lib/log.ts'
import type { Stats } from '../../lib/stats.ts'
import { Destination } from './destination.ts'
import type { Dialect } from './destination-options.ts'
import type { Found, LookUp } from './look-up.ts'
import { type Host, hostKey } from '../config/routing.ts'
import { SenderId } from './sender-id.ts'
import { Spool } from './spool.ts'
import { registerDestination } from './destination-statistics.ts'
import { createEncoder } from '../transports/compression.ts'
import { CompressedUpstream } from './compressed-upstream.ts'
import { certifiedName, clientTls } from '../transports/tls.ts'
import {
  connectSocket,
  type ConnectUpstream,
  type Upstream,
  type UpstreamEvents,
} from './upstream.ts'
import { openFileUpstream } from './upstream-file.ts'
import { connectToName } from './upstream-name.ts'
import { openUdpUpstream } from './upstream-udp.ts'
import type { WallTimes } from '../wall-times.ts'

export interface DestinationSurroundings {
  /** The one in force. */
  readonly config: () => Config
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  /** `-C` */
  readonly authorities: string | undefined
  readonly connectMs: number
  readonly maySpool: () => boolean
  readonly wallTimes: WallTimes
  readonly lookUp: LookUp
  readonly onHealth: () => void
  readonly onProgress: () => void
}

/** `withOrigin`: a cluster of type `file ip`. */
export function openDestination(
  surroundings: DestinationSurroundings,
  host: Host,
  withOrigin: boolean,
): Destination {
  const { config, disk, clock, log, stats, maySpool, wallTimes, onHealth, onProgress } =
    surroundings
  const dir = `${config().data}/spool/${folderName(host)}`
  const label = statisticsLabel(host)
  const counter = (name: string) => stats.counter(`destinations.${label}.${name}`)
  const dropped = counter('dropped')
  const spool = new Spool({
    dir,
    disk,
    clock,
    log,
    limits() {
      const { spool_max: bytesMax, spool_age_max: ageSecondsMax } = config().relay
      return { bytesMax, ageMsMax: ageSecondsMax * 1000 }
    },
    dropped,
    damaged: stats.counter('spool.damagedSegments'),
  })
  spool.open()
  const senderId = new SenderId(disk, clock, dir)
  senderId.continueAfter(spool.lastSequence)
  const lookUp = lookUpOf(surroundings, host)
  const destination = new Destination({
    label,
    dialect: dialectOf(host),
    connect: connector(surroundings, host, lookUp),
    clock,
    log,
    senderId,
    spool,
    maySpool,
    counters: {
      sent: counter('sent'),
      spooled: counter('spooled'),
      dropped,
      unparsable: stats.counter('dropped.value'),
      reconnects: counter('reconnects'),
    },
    prefix: prefixOf(surroundings, host, withOrigin),
    lookUp,
    resends: host.protocol === 'tcp',
    compress: host.protocol !== 'unix',
    settings() {
      const { relay, store, token } = config()
      return {
        resendWindowBytes: relay.resend_window,
        token,
        maxFutureSeconds: store.max_future,
        replayRate: relay.replay_rate,
      }
    },
    wallTimes,
    onHealth,
    onProgress,
  })
  registerDestination(stats, destination)
  return destination
}

function dialectOf(host: Host): Dialect {
  return host.type === 'emon' || host.type === 'auto' ? host.type : 'line'
}

/** Undefined where there is no name. */
function lookUpOf(
  { lookUp }: DestinationSurroundings,
  { address, protocol }: Host,
): (() => Promise<Found>) | undefined {
  if (protocol === 'file' || protocol === 'unix' || isIP(address) !== 0) return undefined
  return () => lookUp(address)
}

/** `type syslog`: RFC 5424, facility daemon, severity info, as carbon-c-relay writes it. */
function prefixOf(
  { clock }: DestinationSurroundings,
  host: Host,
  withOrigin: boolean,
): ((origin: string) => string) | undefined {
  if (withOrigin) return (origin) => `${origin === '' ? '-' : origin} `
  if (host.type !== 'syslog') return undefined
  return (origin) => {
    const time = new Date(clock.nowMs()).toISOString()
    return `<30>1 ${time} ${origin === '' ? '-' : origin} carbon-c-relay - - - `
  }
}

function connector(
  surroundings: DestinationSurroundings,
  host: Host,
  lookUp: (() => Promise<Found>) | undefined,
): ConnectUpstream {
  const { transport } = host
  const connect = plainConnector(surroundings, host, lookUp)
  if (transport.compression === 'plain') return connect
  const { compression } = transport
  return (events) => new CompressedUpstream(connect, createEncoder(compression), events)
}

function plainConnector(
  surroundings: DestinationSurroundings,
  host: Host,
  lookUp: (() => Promise<Found>) | undefined,
): ConnectUpstream {
  const { address: name } = host
  const connect = addressConnector(surroundings, host)
  if (!lookUp) return (events) => connect(name, events)
  return (events) => connectToName({ name, lookUp, connect }, events)
}

/** To one address, or to what has none. */
function addressConnector(
  surroundings: DestinationSurroundings,
  host: Host,
): (address: string, events: UpstreamEvents) => Upstream {
  const { clock, connectMs } = surroundings
  const { port, protocol, transport } = host
  const name = certifiedName(host)
  const tls = transport.tls === 'none' ? undefined : () => clientTls(surroundings, host)
  switch (protocol) {
    case 'file':
      return (path, events) => openFileUpstream(surroundings, path, events)
    case 'udp':
      return (address, events) => openUdpUpstream(clock, { host: address, port }, events)
    case 'unix':
      return (unix, events) =>
        connectSocket(clock, { host: '', name, port, unix, tls, connectMs }, events)
    case 'tcp':
      return (address, events) =>
        connectSocket(clock, { host: address, name, port, tls, connectMs }, events)
  }
}

/** As carbon-c-relay names it: dots of addresses as underscores, the port, `-udp`. */
function statisticsLabel({ address, port, protocol }: Host): string {
  const name = address.replaceAll(/[^A-Za-z0-9_-]/g, '_')
  if (protocol === 'file' || protocol === 'unix') return name
  return `${name}:${port}${protocol === 'udp' ? '-udp' : ''}`
}

/** Readable, and different for different hosts. */
function folderName(host: Host): string {
  const key = hostKey(host)
  const readable = key.replaceAll(/[^A-Za-z0-9.-]+/g, '_').slice(-80)
  return `${readable}-${crc32(toUtf8(key)).toString(16).padStart(8, '0')}`
}
