/**
 * What answers come from, outside this process: the stores, and the tables of aliases. HUP may change them:
 * then new requests go to new ones, and the old ones close when the last request that began with them ends.
 */

import { type Config } from '../config.ts'
import { ConfigError, type Surroundings } from '../daemon.ts'
import { type AliasTables, openAliasTables } from './lookups/alias-tables.ts'
import { parseStores } from './stores/store-address.ts'
import { StoreClient } from './stores/store-client.ts'

export class Backends {
  readonly stores: StoreClient
  readonly aliases: AliasTables
  readonly #settings: string
  #users: number

  /** Opened for one user. Throws `ConfigError` for settings that cannot be used. */
  constructor(config: Config, { clock, log }: Pick<Surroundings, 'clock' | 'log'>) {
    const addresses = parseStores(config.api.stores ?? `unix:${config.run}/query.sock`)
    const aliases = openAliasTables(config, clock)
    if (!addresses.ok || !aliases.ok) {
      throw new ConfigError([
        ...(addresses.ok ? [] : [`api.stores: ${addresses.error}`]),
        ...(aliases.ok ? [] : aliases.error),
      ])
    }
    this.stores = new StoreClient({ stores: addresses.value, token: config.token, clock, log })
    this.aliases = aliases.value
    this.#settings = settingsOf(config)
    this.#users = 1
  }

  /** Whether a configuration asks for just these. */
  areFor(config: Config): boolean {
    return settingsOf(config) === this.#settings
  }

  /** One user more. */
  hold(): this {
    this.#users++
    return this
  }

  /** One user less; closed after the last. */
  release(): void {
    this.#users--
    if (this.#users > 0) return
    this.stores.close()
    this.aliases.close()
  }
}

function settingsOf({ api, run, token }: Config): string {
  const { stores, redis, postgres, postgres_queries: queries, lookup_timeout: timeout } = api
  return JSON.stringify([stores ?? run, token, redis, postgres, queries, timeout])
}
