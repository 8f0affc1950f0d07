/**
 * The relay: wiring. Listeners (listeners.ts) hand whole lines to the dispatcher, which knows from the router
 * where each name goes, and the network of destinations takes it from there.
 *
 * On HUP the routing is read again; listeners and destinations that are still wanted stay as they are. On stop
 * the listeners close, destinations get what they take within a few seconds, the rest lies in their spools.
 */

import { hostname } from 'node:os'
import { ConfigError, type Concern, type Surroundings } from '../daemon.ts'
import { sleep, type Timer } from '../lib/clock.ts'
import { reason } from '../lib/log.ts'
import type { Config } from '../config.ts'
import { Aggregating } from './aggregation/aggregating.ts'
import { Cleaner } from './routing/cleaning.ts'
import { configChanges, settingChanges } from './config-changes.ts'
import { Dispatcher } from './routing/dispatcher.ts'
import { HeldMark } from './inputs/held.ts'
import { Inputs } from './inputs/inputs.ts'
import { Connections } from './inputs/connections.ts'
import { LINE_BYTES_MAX } from './config/command-line.ts'
import { Listeners } from './inputs/listeners.ts'
import { loadRouting } from './config/load-routing.ts'
import { type LookUp, lookUp, remembering } from './delivery/look-up.ts'
import { Network } from './routing/network.ts'
import { openDestination } from './delivery/open-destination.ts'
import { Results } from './results.ts'
import { Router } from './routing/router.ts'
import type { Routing } from './config/routing.ts'
import { Senders } from './inputs/senders.ts'
import { reportPrefix } from './config/report-prefix.ts'
import { forgetDestination } from './delivery/destination-statistics.ts'
import { dispatcherCounters, registerTotals, Reporter } from './statistics.ts'
import { checkTls } from './transports/tls.ts'
import { type Successors, UseAll } from './routing/use-all.ts'
import { WallTimes } from './wall-times.ts'

const NAMES_MAX = 1_000_000
const NAME_BYTES_MAX = 128 * 1024 * 1024
const CONNECT_MS = 5_000
/** How long clients are read at the end: connections.ts. */
const LAST_READ = { silentMs: 100, mostMs: 1_500 }
const DRAIN_MS = 5_000
const LAST_ANSWERS_MS = 200
const SPOOL_FREE_BYTES_MIN = 128 * 1024 * 1024

/** What carbon-c-relay's command line says beyond emon.toml. */
export interface RelayOptions {
  /** `-f` */
  readonly conf?: string | undefined
  /** `-c`: what names may hold beside letters and digits. */
  readonly allowed?: string | undefined
  /** `-M`: bytes of a line, with its newline. */
  readonly lineBytesMax?: number | undefined
  /** `-m`: bytes of a name without its tags. */
  readonly nameBytesMax?: number | undefined
  /** `-H`: this host, in the names of statistics. */
  readonly hostname?: string | undefined
  /** `-T` */
  readonly connectMs?: number | undefined
  /** `-C`: certificate authorities, a file or a folder. */
  readonly authorities?: string | undefined
  /** False with `-E`. */
  readonly disconnectIdle?: boolean | undefined
  /** `-s`: no statistics of its own. */
  readonly submission?: boolean | undefined
}

export async function startRelay(
  surroundings: Surroundings,
  options: RelayOptions = {},
): Promise<Concern> {
  const names = remembering(surroundings.clock, lookUp, options.connectMs ?? CONNECT_MS)
  const source = { surroundings, options, names }
  const loaded = await readRouting(source, surroundings.config)
  const relay = new Relay(source, loaded)
  await relay.listen()
  return relay
}

interface RelaySource {
  readonly surroundings: Surroundings
  readonly options: RelayOptions
  readonly names: LookUp
}

interface Loaded {
  readonly routing: Routing
  readonly useAll: UseAll
}

async function readRouting(
  { surroundings, options, names }: RelaySource,
  config: Config,
): Promise<Loaded> {
  const { disk, log } = surroundings
  const { conf, authorities } = options
  const loaded = loadRouting({ config, disk, conf })
  if (!loaded.ok) throw new ConfigError(loaded.error.split('\n'))
  const routing = loaded.value
  checkTls({ disk, authorities }, routing)
  for (const warning of routing.warnings) log.warn(warning)
  const useAll = new UseAll(routing, names)
  await useAll.expand()
  return { routing, useAll }
}

class Relay implements Concern {
  private readonly source: RelaySource
  private readonly surroundings: Surroundings
  private readonly options: RelayOptions
  private config: Config
  private routing: Routing
  private useAll: UseAll
  private generation: number
  private readonly cleaner: Cleaner
  private readonly aggregating: Aggregating
  private readonly results: Results
  private readonly network: Network
  private readonly dispatcher: Dispatcher
  private readonly senders: Senders
  private readonly inputs: Inputs
  private readonly listeners: Listeners
  private readonly connections: Connections
  private spoolsMayGrow: boolean
  private reporting: Timer | undefined

  constructor(source: RelaySource, loaded: Loaded) {
    const { surroundings, options } = source
    const { config, clock, disk, log, stats } = surroundings
    const { routing, useAll } = loaded
    // The limit is one of lines with their newline.
    const lineBytesMax = (options.lineBytesMax ?? LINE_BYTES_MAX) - 1
    this.source = source
    this.surroundings = surroundings
    this.options = options
    this.config = config
    this.routing = routing
    this.useAll = useAll
    this.generation = 1
    this.spoolsMayGrow = true
    this.reporting = undefined
    this.checkSpace()
    this.cleaner = new Cleaner(options.allowed, options.nameBytesMax)
    this.aggregating = new Aggregating({
      disk,
      clock,
      log,
      stats,
      dir: `${config.data}/spool`,
      emit: (sendTo, name, value, timestamp) => this.results.send(sendTo, name, value, timestamp),
      emitPart: ({ source, sequence }, emitAll) => {
        this.network.beginPart(source, sequence)
        emitAll()
        this.network.endPart(true)
      },
      onProgress: () => this.progress(),
    })
    this.aggregating.configure(routing.aggregations)
    const router = this.newRouter()
    const wallTimes = new WallTimes(clock)
    const destinationSurroundings = {
      config: () => this.config,
      disk,
      clock,
      log,
      stats,
      authorities: options.authorities,
      connectMs: options.connectMs ?? CONNECT_MS,
      maySpool: () => this.spoolsMayGrow,
      wallTimes,
      lookUp: source.names,
      onHealth: () => this.network.refreshHealth(),
      onProgress: () => this.progress(),
    }
    this.network = new Network(
      clock,
      router,
      (host, withOrigin) => openDestination(destinationSurroundings, host, withOrigin),
      (destination) => forgetDestination(stats, destination),
    )
    const counters = dispatcherCounters(stats)
    this.dispatcher = new Dispatcher(router, {
      clock,
      network: this.network,
      cleaner: this.cleaner,
      counters,
      maxFutureSeconds: () => this.config.store.max_future,
      lineBytesMax,
      aggregate: (step, value, timestamp, now) => this.aggregating.put(step, value, timestamp, now),
      logInvalid: (line) => log.warn('line does not validate', { line }),
      limits: { namesMax: NAMES_MAX, bytesMax: NAME_BYTES_MAX },
    })
    this.senders = new Senders({
      dispatcher: this.dispatcher,
      network: this.network,
      received: counters.received,
      refusedNames: counters.badNames,
      repeated: stats.counter('metricsRepeated'),
      aggregating: this.aggregating,
    })
    const { dispatcher, senders } = this
    this.inputs = new Inputs({
      surroundings,
      config: () => this.config,
      dispatcher,
      network: this.network,
      senders,
      wallTimes,
      mark: () =>
        new HeldMark(this.network.destinations, this.aggregating, this.aggregating.version),
      lineBytesMax,
      discarded: counters.discarded,
      authorities: options.authorities,
    })
    const connectionCounters = {
      connections: stats.counter('connections'),
      disconnects: stats.counter('disconnects'),
      refused: stats.counter('connectionsRefused'),
      handshakes: stats.counter('tlsRefused'),
    }
    const disconnectIdle = options.disconnectIdle ?? true
    this.connections = new Connections(
      { clock, log, wallTimes, disconnectIdle, counters: connectionCounters },
      config.relay.connections_max,
    )
    const { connections } = this
    const datagrams = stats.counter('datagrams')
    this.listeners = new Listeners({ clock, disk, connections, wallTimes, datagrams })
    this.results = new Results(dispatcher, router)
    registerTotals(stats, { network: this.network, dispatcher, wallTimes })
    if (!options.submission) this.reportStatistics()
    clock.every(1_000, () => this.checkSpace())
    this.followNames()
  }

  listen(): Promise<void> {
    return this.inputs.listen(this.listeners, this.config, this.routing.listeners)
  }

  notReady(): readonly string[] {
    const reasons: string[] = []
    for (const destination of this.network.destinations) {
      if (!destination.connected && destination.failures > 0) {
        reasons.push(
          `destination ${destination.label} unreachable, ${destination.queued} points wait`,
        )
      }
    }
    for (const { label, refusal } of this.network.destinations) {
      if (refusal !== undefined) reasons.push(`spool of ${label} cannot be written: ${refusal}`)
    }
    if (!this.spoolsMayGrow) reasons.push('disk full, spools do not grow')
    return reasons
  }

  async reload(config: Config): Promise<void> {
    const { routing, useAll } = await readRouting(this.source, config)
    await this.inputs.listen(this.listeners, config, routing.listeners)
    const before = this.newRouter()
    const configBefore = this.config
    this.useAll.close()
    this.connections.connectionsMax = config.relay.connections_max
    this.config = config
    this.routing = routing
    this.useAll = useAll
    this.aggregating.configure(routing.aggregations)
    this.useRouting()
    const lines = [
      ...configChanges(before, this.newRouter(), hostname()),
      ...settingChanges(configBefore, config),
    ]
    for (const line of lines) this.surroundings.log.info(line)
    if (!this.options.submission) this.reportStatistics()
    this.followNames()
  }

  async stop(): Promise<void> {
    const { network, listeners, inputs, connections } = this
    const answered = inputs.closeHttp()
    await listeners.closeStreams()
    this.useAll.close()
    await Promise.all([connections.finish(LAST_READ), listeners.closeDatagrams(LAST_READ)])
    await inputs.close()
    this.reporting?.cancel()
    this.aggregating.stopEmitting()
    await network.closeAll(DRAIN_MS)
    await this.aggregating.close()
    this.senders.acknowledge()
    this.inputs.progress()
    connections.closeAll()
    await Promise.race([answered, sleep(this.surroundings.clock, LAST_ANSWERS_MS)])
  }

  /** Something is held that was not. */
  private progress(): void {
    this.senders.acknowledge()
    this.inputs.progress()
  }

  private useRouting(successors?: Successors): void {
    this.generation++
    const router = this.newRouter()
    this.network.use(router, successors)
    this.dispatcher.use(router)
    this.results.use(router)
  }

  /** Members of `useall` clusters come and go with the addresses of their names. */
  private followNames(): void {
    const { clock, log } = this.surroundings
    this.useAll.follow(clock, ({ name, members }, successors) => {
      const addresses = members.map(({ address }) => address).join(' ')
      log.info('addresses have changed', { cluster: name, addresses })
      this.useRouting(successors)
    })
  }

  private newRouter(): Router {
    return new Router(this.routing, this.generation, this.cleaner.tagsApart)
  }

  private reportStatistics(): void {
    const { clock, stats } = this.surroundings
    const { intervalSeconds, resetCounters, prefix, sendTo } = this.routing.statistics
    const reporter = new Reporter({
      clock,
      stats,
      results: this.results,
      sendTo: Array.isArray(sendTo) ? sendTo.map(({ name }) => name) : undefined,
      prefix: reportPrefix(prefix, this.options.hostname ?? hostname()),
      resetCounters,
    })
    const { relay, sources } = this.config
    const isSet = sources.has('relay.statistics_interval')
    const seconds = isSet ? relay.statistics_interval : intervalSeconds
    this.reporting?.cancel()
    this.reporting = clock.every(seconds * 1000, () => reporter.report())
  }

  /** Spools stop growing on a nearly full disk, and go on at 1.5 × the limit. */
  private checkSpace(): void {
    const { disk, log } = this.surroundings
    try {
      const { freeBytes } = disk.space(this.config.data)
      const limit = SPOOL_FREE_BYTES_MIN * (this.spoolsMayGrow ? 1 : 1.5)
      this.spoolsMayGrow = freeBytes > limit
    } catch (error) {
      log.warn('free space is not known', { why: reason(error) })
    }
  }
}
