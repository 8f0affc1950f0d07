/**
 * The api process: HTTP on EMON_API_PORT and on run/api.sock, in front of one store or several.
 *
 * Ready when a store can be asked. TERM stops listening and lets what is being answered end. HUP takes over
 * everything but the port, its address and its certificate: stores, limits, access, origins, look-ups. What is
 * being answered then goes on with what it began with.
 */

import { hostname } from 'node:os'
import { type Concern, ConfigError, type Surroundings } from '../daemon.ts'
import { PACKAGE_DIR, type Config } from '../config.ts'
import { publishSocket } from '../ipc/socket.ts'
import { fromUtf8 } from '../lib/bytes.ts'
import { type Disk, errorCode } from '../lib/disk.ts'
import { reason } from '../lib/log.ts'
import { isLoopbackAddress, splitNames } from '../lib/own-names.ts'
import { createApp } from './app.ts'
import { Backends } from './backends.ts'
import { Rasterizer } from './charts/rasterizer.ts'
import { DashboardStore } from './dashboards.ts'
import { openDatabase } from './database.ts'
import { EventStore } from './events.ts'
import { makeAccess } from './http/access.ts'
import type { ApiServices } from './http/api-context.ts'
import type { Peer } from './http/api-env.ts'
import { BODY_BYTES_MAX } from './http/request-params.ts'
import { endOfStream } from './http/respond.ts'
import { slabPool } from './stores/value-arena.ts'

/** Seconds that a connection may be silent, beyond what a request may take; Bun takes at most 255. */
const IDLE_SECONDS = 30
const IDLE_SECONDS_MAX = 255
/** How long answers under way may still take when the process stops. */
const DRAIN_MS_MAX = 5_000

/** What requests are answered with until the next HUP. */
interface Generation {
  readonly app: ReturnType<typeof createApp>
  readonly backends: Backends
  readonly idleSeconds: number
}

export async function startApi(surroundings: Surroundings): Promise<Concern> {
  const { config, clock, disk, log, stats } = surroundings
  const first = new Backends(config, surroundings)
  disk.makeDir(`${config.data}/api`)
  const database = openDatabase(`${config.data}/api/api.sqlite`)
  const rasterizer = new Rasterizer(clock)
  const slabs = slabPool(clock)
  const generation = (from: Config, backends: Backends): Generation => {
    const services: ApiServices = {
      ...readSettings(from),
      clock,
      stats,
      log,
      stores: backends.stores,
      aliases: backends.aliases,
      slabs,
      events: new EventStore(database),
      dashboards: new DashboardStore(database),
      rasterizer,
      notReady: () => backends.stores.notReady(),
    }
    const idleSeconds = Math.min(IDLE_SECONDS_MAX, from.api.timeout + IDLE_SECONDS)
    return { app: createApp(services), backends, idleSeconds }
  }
  let current = generation(config, first)
  stats.gauge('stores.down', () => current.backends.stores.downCount)
  const servers = listen(surroundings, () => current)
  return {
    notReady: () => current.backends.stores.notReady(),
    async reload(next) {
      warnOfFixedSettings(surroundings, next)
      const { backends } = current
      const nextBackends = backends.areFor(next)
        ? backends.hold()
        : new Backends(next, surroundings)
      try {
        current = generation(next, nextBackends)
      } catch (error) {
        nextBackends.release()
        throw error
      }
      backends.release()
    },
    async stop() {
      await Promise.race([
        servers.stop(),
        new Promise<void>((done) => clock.after(DRAIN_MS_MAX, done)),
      ])
      current.backends.release()
      rasterizer.close()
      slabs.close()
      database.close()
    },
  }
}

/** Says which changes wait for a restart. */
function warnOfFixedSettings({ config, log }: Surroundings, next: Config): void {
  for (const key of ['bind', 'port', 'tls_certificate', 'tls_key'] as const) {
    if (config.api[key] !== next.api[key])
      log.warn('takes effect at a restart', { setting: `api.${key}` })
  }
}

function readSettings({
  api,
  tz,
  token,
  http_names: names,
}: Config): Pick<ApiServices, 'limits' | 'timeZone' | 'access' | 'corsOrigins'> {
  const access = makeAccess({
    users: api.users,
    tokens: api.tokens,
    token,
    isLocal: isLoopbackAddress(api.bind),
    names: [hostname(), ...splitNames(names)],
  })
  if (!access.ok) throw new ConfigError([access.error])
  return {
    limits: {
      seriesMax: api.series_max,
      pointsMax: api.points_max,
      timeoutMs: api.timeout * 1000,
      targetsMax: api.targets_max,
      requestsMax: api.requests_max,
      namesMax: api.names_max,
    },
    timeZone: tz,
    access: access.value,
    corsOrigins: splitNames(api.cors_origins),
  }
}

/** The port and the socket; every request is answered by the generation that it finds. */
function listen(
  { config, disk, log }: Surroundings,
  current: () => Generation,
): { stop(): Promise<void> } {
  const maxRequestBodySize = BODY_BYTES_MAX + 1
  const socket = publishSocket(disk, `${config.run}/api.sock`, {
    listen: (path) =>
      Bun.serve({
        maxRequestBodySize,
        unix: path,
        fetch: (request) => answer(current(), request, { overSocket: true, loopback: true }),
      }),
  })
  const servers: Bun.Server<unknown>[] = [socket.server]
  const { bind, port } = config.api
  if (port !== 0) {
    const tls = readTls(config, disk)
    try {
      const server = Bun.serve({
        maxRequestBodySize,
        ...(tls ? { tls } : {}),
        hostname: bind,
        port,
        fetch(request, from) {
          const generation = current()
          from.timeout(request, generation.idleSeconds)
          return answer(generation, request, peerOf(from.requestIP(request)?.address))
        },
      })
      servers.push(server)
      log.info('listening', { address: bind, port, tls: tls !== undefined })
    } catch (error) {
      socket.unpublish()
      if (errorCode(error) !== 'EADDRINUSE') throw error
      throw new Error(`port ${port} of ${bind} is in use: set EMON_API_PORT`, { cause: error })
    }
  }
  return {
    async stop() {
      socket.unpublish()
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

async function answer(
  { app, backends }: Generation,
  request: Request,
  peer: Peer,
): Promise<Response> {
  backends.hold()
  try {
    return await app.fetch(request, peer)
  } finally {
    void (endOfStream(request) ?? Promise.resolve()).then(() => backends.release())
  }
}

function peerOf(address: string | undefined): Peer {
  return { overSocket: false, loopback: address !== undefined && isLoopbackAddress(address) }
}

function readTls(config: Config, disk: Disk): { cert: string; key: string } | undefined {
  const { tls_certificate: certificate, tls_key: key } = config.api
  if (certificate === undefined && key === undefined) return undefined
  if (certificate === undefined || key === undefined) {
    throw new ConfigError(['api.tls_certificate and api.tls_key must be given together'])
  }
  try {
    return { cert: readPem(disk, certificate), key: readPem(disk, key) }
  } catch (error) {
    throw new ConfigError([`api.tls_certificate, api.tls_key: ${reason(error)}`])
  }
}

function readPem(disk: Disk, path: string): string {
  return fromUtf8(disk.readFile(path.startsWith('/') ? path : `${PACKAGE_DIR}/${path}`))
}
