/**
 * The store: points and questions in, the engine below, the index of names between them. Here is the wiring.
 *
 * Order of start: rules and limits are read (a wrong one ends the process with 78), the engine replays its log
 * and tells every series, then the sockets open. HUP reads the rules again and gives every series that they
 * change its new rule, without rewriting history. Addresses and the engine's settings hold until a restart.
 */

import { resolve } from 'node:path'
import { type Config, PACKAGE_DIR } from '../config.ts'
import { type Concern, ConfigError, type Surroundings } from '../daemon.ts'
import { ByteReader } from '../lib/bytes.ts'
import type { Timer } from '../lib/clock.ts'
import { type Disk, errorCode } from '../lib/disk.ts'
import { reason } from '../lib/log.ts'
import { type Carbonserver, serveCarbon } from './servers/carbonserver.ts'
import type { Engine } from './engine.ts'
import { listenForLines } from './servers/line-listener.ts'
import { openEngine } from './engine/open-engine.ts'
import { QueryError } from './query-error.ts'
import { servePoints } from './servers/points-server.ts'
import { serveQueries } from './servers/query-server.ts'
import { loadSchemas, type Schemas } from './index/schemas.ts'
import { SeriesIndex } from './index/series-index.ts'
import { parseQuotas, SeriesLimits, type SeriesLimitsSettings } from './index/series-limits.ts'
import { SeriesRegistry } from './index/series-registry.ts'
import { endlessPatience, inSlices } from '../lib/slices.ts'
import { addStoreRoutes } from './servers/store-admin.ts'
import { StoreQueries } from './queries/store-queries.ts'
import { WhisperTree } from './whisper/whisper-tree.ts'

const EXPIRY_INTERVAL_MS = 3_600_000
const RETRY_MS = 10_000

export async function startStore(surroundings: Surroundings): Promise<Concern> {
  const { config, clock, disk, log, stats, progress } = surroundings
  const rules = readRules(surroundings, config)
  const index = new SeriesIndex(new ByteReader(clock.randomBytes(4)).u32())
  const limits = new SeriesLimits(clock, rules.limits)
  const engine = await openEngine({
    dir: `${config.data}/store`,
    disk,
    clock,
    log,
    stats,
    settings: {
      fsync: config.store.fsync,
      rollup: config.store.rollup,
      maxFuture: config.store.max_future,
    },
    onSeriesCount: (count) => index.reserve(count),
    onSeries(id, bytes, start, end) {
      index.add(id, bytes, start, end)
      limits.added(bytes, start, end)
    },
    onProgress: (done) => progress(`recovering ${Math.floor(done * 100)} %`),
  })
  const registry = new SeriesRegistry({ index, engine, limits, stats, schemas: rules.schemas })
  const tree =
    rules.whisperRoot === undefined ? undefined : new WhisperTree(disk, rules.whisperRoot, stats)
  const queries = new StoreQueries({ index, engine, registry, clock, tree })
  addGauges(surroundings, index)
  const store = new Store({ ...surroundings, index, engine, registry, queries, limits })
  try {
    store.open()
  } catch (error) {
    await store.stop()
    throw error
  }
  store.applySchemas(rules.schemas)
  return store
}

interface StoreParts extends Surroundings {
  readonly index: SeriesIndex
  readonly engine: Engine
  readonly registry: SeriesRegistry
  readonly queries: StoreQueries
  readonly limits: SeriesLimits
}

class Store implements Concern {
  private readonly parts: StoreParts
  private readonly servers: { stop(): void }[]
  private readonly timers: Timer[]
  private isStopped: boolean

  constructor(parts: StoreParts) {
    this.parts = parts
    this.servers = []
    this.timers = []
    this.isStopped = false
  }

  open(): void {
    const { parts } = this
    const { config, clock } = parts
    this.servers.push(servePoints({ ...parts, socketPath: `${config.run}/points.sock` }))
    this.servers.push(serveQueries({ ...parts, socketPath: `${config.run}/query.sock` }))
    if (config.store.port !== 0) {
      this.listen('EMON_STORE_PORT', config.store.port, () => openLines(parts))
    }
    if (config.store.carbonserver_port !== 0) {
      const port = config.store.carbonserver_port
      this.listen('EMON_CARBONSERVER_PORT', port, () => openCarbonserver(parts))
    }
    addStoreRoutes(parts)
    this.timers.push(clock.every(EXPIRY_INTERVAL_MS, () => this.expire()))
  }

  /** Opens a server on a TCP port; one that cannot be had is an error of the configuration. */
  private listen(setting: string, port: number, open: () => { stop(): void }): void {
    try {
      this.servers.push(open())
    } catch (error) {
      const { bind } = this.parts.config.store
      const why =
        errorCode(error) === 'EADDRINUSE' ? 'is in use' : `cannot be had: ${reason(error)}`
      throw new ConfigError([`port ${port} of ${bind} ${why}: set ${setting}`])
    }
  }

  notReady(): readonly string[] {
    return this.parts.engine.notReady()
  }

  async reload(config: Config): Promise<void> {
    const { index, limits } = this.parts
    const rules = readRules(this.parts, config)
    limits.configure(rules.limits, allPaths(index))
    this.applySchemas(rules.schemas)
  }

  async stop(): Promise<void> {
    this.isStopped = true
    for (const timer of this.timers) timer.cancel()
    for (const server of this.servers) server.stop()
    await this.parts.engine.close()
  }

  /** In the background: reading and writing go on under the rules that each series has. */
  applySchemas(schemas: Schemas): void {
    const { registry, log } = this.parts
    this.inBackground(
      () => registry.applySchemas(schemas),
      (changed) => {
        if (changed > 0) log.info('series have a new rule', { series: changed })
      },
    )
  }

  private expire(): void {
    const { registry, log, stats } = this.parts
    this.inBackground(
      () => registry.expire(),
      (expired) => {
        stats.counter('series.expired').value += expired
        if (expired > 0) log.info('series have expired', { series: expired })
      },
    )
  }

  /** What the disk does not take now is begun again when it may. */
  private inBackground<T>(work: () => Generator<undefined, T>, done: (result: T) => void): void {
    const { clock, log } = this.parts
    const patience = { ...endlessPatience(clock), isOver: () => this.isStopped }
    void inSlices(work(), patience).then(done, (error: unknown) => {
      if (this.isStopped) return
      if (!(error instanceof QueryError)) throw error
      log.warn('put off', { reason: error.message })
      clock.after(RETRY_MS, () => {
        if (!this.isStopped) this.inBackground(work, done)
      })
    })
  }
}

function openLines(parts: StoreParts): { stop(): void } {
  const { store } = parts.config
  return listenForLines({
    ...parts,
    bind: store.bind,
    port: store.port,
  })
}

function openCarbonserver(parts: StoreParts): Carbonserver {
  const { store, data } = parts.config
  const { bind, carbonserver_port: port } = store
  return serveCarbon({ ...parts, bind, port, dataDir: `${data}/store` })
}

function readRules(
  { disk }: Surroundings,
  config: Config,
): { schemas: Schemas; limits: SeriesLimitsSettings; whisperRoot: string | undefined } {
  const schemas = loadSchemas(config, disk)
  const quotas = parseQuotas(config.store.quotas)
  const { whisper_dir: dir } = config.store
  const whisperRoot = dir === undefined ? undefined : resolve(PACKAGE_DIR, dir)
  const hasRoot = whisperRoot === undefined || isFolder(disk, whisperRoot)
  if (schemas.ok && quotas.ok && hasRoot) {
    const { series_max: seriesMax, new_series_per_second: newPerSecondMax } = config.store
    const limits = { seriesMax, newPerSecondMax, quotas: quotas.value }
    return { schemas: schemas.value, limits, whisperRoot }
  }
  const at = (setting: string): string => `${config.sources.get(setting)}: ${setting}`
  throw new ConfigError([
    ...(schemas.ok ? [] : schemas.error),
    ...(quotas.ok ? [] : [`${at('store.quotas')} ${quotas.error}`]),
    ...(hasRoot
      ? []
      : [`${at('store.whisper_dir')} ${whisperRoot} must be a folder of Whisper files`]),
  ])
}

/** A link to one too. */
function isFolder(disk: Disk, path: string): boolean {
  try {
    return disk.stat(`${path}/.`)?.isDirectory ?? false
  } catch {
    // It is a file, or nothing that we may look into.
    return false
  }
}

function addGauges({ stats }: Surroundings, index: SeriesIndex): void {
  stats.gauge('series.count', () => index.size)
  stats.gauge('index.bytes', () => index.memoryBytes)
}

function* allPaths(index: SeriesIndex): Generator<string> {
  for (let id = 0; id < index.names.idLimit; id++) if (index.has(id)) yield index.name(id)
}
