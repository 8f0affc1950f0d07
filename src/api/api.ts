/**
 * The api process: HTTP on EMON_API_PORT and on run/api.sock, in front of one store or several.
 *
 * Ready when a store can be asked. TERM stops listening and lets what is being answered end. HUP takes over
 * new limits, access and origins; the stores that are asked change only with a restart.
 */

import { type Concern, ConfigError, type Surroundings } from '../daemon.ts'
import { PACKAGE_DIR, type Config } from '../config.ts'
import { publishSocket } from '../ipc/socket.ts'
import { fromUtf8 } from '../lib/bytes.ts'
import { type Disk, errorCode } from '../lib/disk.ts'
import { reason } from '../lib/log.ts'
import { createApp } from './app.ts'
import { Rasterizer } from './charts/rasterizer.ts'
import { DashboardStore } from './dashboards.ts'
import { openDatabase } from './database.ts'
import { EventStore } from './events.ts'
import { makeAccess } from './http/access.ts'
import type { ApiServices, Peer } from './http/api-context.ts'
import { BODY_BYTES_MAX } from './http/request-params.ts'
import { parseStores } from './stores/store-address.ts'
import { StoreClient } from './stores/store-client.ts'
import { slabPool } from './stores/value-arena.ts'

/** Seconds that a connection may be silent, beyond what a request may take; Bun takes at most 255. */
const IDLE_SECONDS = 30
/** How long answers under way may still take when the process stops. */
const DRAIN_MS_MAX = 5_000

type App = ReturnType<typeof createApp>

export async function startApi(surroundings: Surroundings): Promise<Concern> {
  const { config, clock, disk, log, stats } = surroundings
  const stores = openStores(surroundings)
  disk.makeDir(`${config.data}/api`)
  const database = openDatabase(`${config.data}/api/api.sqlite`)
  const rasterizer = new Rasterizer(clock)
  const slabs = slabPool(clock)
  const services = (current: Config): ApiServices => ({
    ...readSettings(current),
    clock,
    stats,
    log,
    stores,
    slabs,
    events: new EventStore(database),
    dashboards: new DashboardStore(database),
    rasterizer,
    notReady: () => stores.notReady(),
  })
  stats.gauge('stores.down', () => stores.downCount)
  let app = createApp(services(config))
  const servers = listen(surroundings, () => app)
  return {
    notReady: () => stores.notReady(),
    reload(next) {
      app = createApp(services(next))
      return Promise.resolve()
    },
    async stop() {
      await Promise.race([
        servers.stop(),
        new Promise<void>((done) => clock.after(DRAIN_MS_MAX, done)),
      ])
      stores.close()
      rasterizer.close()
      slabs.close()
      database.close()
    },
  }
}

function openStores({ config, clock, log }: Surroundings): StoreClient {
  const addresses = parseStores(config.api.stores ?? `unix:${config.run}/query.sock`)
  if (!addresses.ok) throw new ConfigError([`api.stores: ${addresses.error}`])
  return new StoreClient({ stores: addresses.value, token: config.token, clock, log })
}

function readSettings({
  api,
  tz,
  token,
}: Config): Pick<ApiServices, 'limits' | 'timeZone' | 'access' | 'corsOrigins'> {
  const access = makeAccess({ users: api.users, tokens: api.tokens, token })
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
    corsOrigins: (api.cors_origins ?? '').split(/[\s,]+/).filter(Boolean),
  }
}

/** The port and the socket; both ask `app` anew for every request. */
function listen({ config, disk, log }: Surroundings, app: () => App): { stop(): Promise<void> } {
  const limits = {
    idleTimeout: Math.min(255, config.api.timeout + IDLE_SECONDS),
    maxRequestBodySize: BODY_BYTES_MAX + 1,
  }
  const socket = publishSocket(disk, `${config.run}/api.sock`, {
    listen: (path) =>
      Bun.serve({
        maxRequestBodySize: limits.maxRequestBodySize,
        unix: path,
        fetch: (request) => app().fetch(request, { overSocket: true, loopback: true }),
      }),
  })
  const servers: Bun.Server<unknown>[] = [socket.server]
  const { bind, port } = config.api
  if (port !== 0) {
    const tls = readTls(config, disk)
    try {
      const server = Bun.serve({
        ...limits,
        ...(tls ? { tls } : {}),
        hostname: bind,
        port,
        fetch: (request, from) => app().fetch(request, peerOf(from.requestIP(request)?.address)),
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

function peerOf(address: string | undefined): Peer {
  const loopback = address !== undefined && /^(?:::1|(?:::ffff:)?127\.)/.test(address)
  return { overSocket: false, loopback }
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
