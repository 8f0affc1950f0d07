/**
 * The routing that is in force: the user's relay.conf (`-f`, `relay.conf` in emon.toml, or the one beside
 * it), else one made from emon.toml.
 */

import { type Config, userFile } from '../../config.ts'
import type { Disk } from '../../lib/disk.ts'
import type { Result } from '../../lib/result.ts'
import { generateRelayConf } from './generated-conf.ts'
import { loadRelayConf, parseRelayText } from './relay-conf.ts'
import type { Routing } from './routing.ts'

export interface RoutingSource {
  readonly config: Config
  readonly disk: Disk
  /** A relay.conf given on the command line, which complaints name as it was given. */
  readonly conf?: string | undefined
}

/** The error is what to print, several lines. */
export function loadRouting(source: RoutingSource): Result<Routing> {
  const { config, disk } = source
  const path =
    source.conf === undefined
      ? userFile(config, disk, { setting: config.relay.conf, name: 'relay.conf' })
      : source.conf
  return path === undefined
    ? parseRelayText(disk, generateRelayConf(config), 'configuration')
    : loadRelayConf(disk, path)
}
