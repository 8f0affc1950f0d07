/** An api over fake stores, on a free port, for tests: started in a temporary folder and stopped by `close`. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { startApi } from '../../src/api/api.ts'
import { type Config, loadConfig } from '../../src/config.ts'
import type { Concern } from '../../src/daemon.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { realDisk } from '../../src/lib/disk.ts'
import { silentLog } from '../../src/lib/log.ts'
import { Stats } from '../../src/lib/stats.ts'
import { FakeStore } from './fake-store.ts'
import { freePort } from '../peers/waiting.ts'

export class TestApi {
  readonly url: string
  readonly socketPath: string
  readonly store: FakeStore
  readonly stats: Stats
  readonly concern: Concern
  readonly config: Config
  private readonly dir: string

  private constructor(parts: {
    dir: string
    config: Config
    concern: Concern
    stats: Stats
    store: FakeStore
  }) {
    this.dir = parts.dir
    this.config = parts.config
    this.concern = parts.concern
    this.stats = parts.stats
    this.store = parts.store
    this.url = `http${parts.config.api.tls_key ? 's' : ''}://127.0.0.1:${parts.config.api.port}`
    this.socketPath = `${parts.config.run}/api.sock`
  }

  /** Throws what the api says of settings that it does not take; nothing stays behind then. */
  static async start(environment: Readonly<Record<string, string>> = {}): Promise<TestApi> {
    const dir = mkdtempSync(`${tmpdir()}/api-`)
    const store = new FakeStore()
    try {
      return await TestApi.startIn(dir, store, environment)
    } catch (error) {
      store.close()
      rmSync(dir, { recursive: true })
      throw error
    }
  }

  private static async startIn(
    dir: string,
    store: FakeStore,
    environment: Readonly<Record<string, string>>,
  ): Promise<TestApi> {
    const loaded = loadConfig({
      disk: realDisk,
      environment: {
        EMON_DATA: dir,
        EMON_API_PORT: String(freePort()),
        EMON_STORES: `unix:${store.path}`,
        ...environment,
      },
    })
    if (!loaded.ok) throw new Error(loaded.error.join('\n'))
    const config = loaded.value
    realDisk.makeDir(config.run)
    const stats = new Stats()
    const concern = await startApi({
      config,
      disk: realDisk,
      clock: systemClock,
      log: silentLog,
      stats,
      adminRoutes: new Map(),
      progress: () => {},
    })
    const api = new TestApi({ dir, config, concern, stats, store })
    while (api.concern.notReady().length > 0) await Bun.sleep(5)
    return api
  }

  /** The answer to GET, or to a form POST when a body is given. */
  ask(path: string, init: RequestInit = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, init)
  }

  post(path: string, body: string, type = 'application/x-www-form-urlencoded'): Promise<Response> {
    return this.ask(path, { method: 'POST', body, headers: { 'content-type': type } })
  }

  async json(path: string, init: RequestInit = {}): Promise<unknown> {
    const response = await this.ask(path, init)
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    return response.json()
  }

  async close(): Promise<void> {
    await this.concern.stop()
    this.store.close()
    rmSync(this.dir, { recursive: true, force: true })
  }
}
