/**
 * The routing that is in force: the user's relay.conf (`-f`, `relay.conf` in emon.toml, or the one beside
 * it), else one made from emon.toml. Members marked `useall` are looked up here, once a load; a name that
 * does not resolve stays as it is.
 */

import { resolve } from 'node:path'
import { type Config, userFile } from '../config.ts'
import type { Disk } from '../lib/disk.ts'
import { ok, type Result } from '../lib/result.ts'
import { generateRelayConf } from './generated-conf.ts'
import { loadRelayConf, parseRelayText } from './relay-conf.ts'
import type { Cluster, Host, Routing } from './routing.ts'

export interface RoutingSource {
  readonly config: Config
  readonly disk: Disk
  /** A relay.conf given on the command line, from the working folder on. */
  readonly conf?: string | undefined
  /** All addresses of a host name; empty when it has none. */
  readonly resolve: (host: string) => Promise<readonly string[]>
}

/** The error is what to print, several lines. */
export async function loadRouting(source: RoutingSource): Promise<Result<Routing>> {
  const { config, disk } = source
  const path =
    source.conf === undefined
      ? userFile(config, disk, { setting: config.relay.conf, name: 'relay.conf' })
      : resolve(source.conf)
  const loaded =
    path === undefined
      ? parseRelayText(disk, generateRelayConf(config), 'configuration')
      : loadRelayConf(disk, path)
  return loaded.ok ? ok(await expandUseAll(loaded.value, source.resolve)) : loaded
}

async function expandUseAll(routing: Routing, resolve: RoutingSource['resolve']): Promise<Routing> {
  if (!routing.clusters.some((cluster) => cluster.useall)) return routing
  for (const cluster of routing.clusters) {
    if (cluster.useall) setMembers(cluster, await addresses(cluster, resolve))
  }
  return routing
}

async function addresses(cluster: Cluster, resolve: RoutingSource['resolve']): Promise<Host[]> {
  const lists = await Promise.all(
    cluster.members.map(async (host) => {
      const found = await resolve(host.address)
      return found.length === 0 ? [host] : found.map((address) => ({ ...host, address }))
    }),
  )
  return lists.flat()
}

/** Rules hold the cluster itself, so its members are changed in place, before anything uses them. */
function setMembers(cluster: Cluster, members: readonly Host[]): void {
  Object.assign(cluster, { members })
}
