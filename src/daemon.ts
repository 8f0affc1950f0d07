/**
 * What every process does around its concern: configuration, lock and pid file, the admin socket (open
 * before recovery starts), the log, signals, garbage, and its own statistics as points every 10 s.
 *
 * A script in scripts/ calls `runDaemon` with the function that starts its concern, and nothing else.
 */

import { hostname } from 'node:os'
import { type Config, EXIT_CONFIG, loadConfig } from './config.ts'
import { type AdminRoute, serveAdmin } from './ipc/admin.ts'
import { toUtf8 } from './lib/bytes.ts'
import { type Clock, nowSeconds, systemClock } from './lib/clock.ts'
import { collectGarbage } from './lib/collector.ts'
import { NewerVersionError } from './lib/corruption.ts'
import { type Disk, realDisk } from './lib/disk.ts'
import { createLog, type Log, reason } from './lib/log.ts'
import { LogFile } from './lib/log-file.ts'
import { oneAtATime } from './lib/one-at-a-time.ts'
import { handleSignals, takeLock } from './lib/process.ts'
import { Stats } from './lib/stats.ts'
import { openSyslog, type Severity } from './lib/syslog.ts'

/** A configuration, of a concern's own files too, that cannot be used: the process ends with exit code 78. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly complaints: readonly string[]

  constructor(complaints: readonly string[]) {
    super(complaints.join('\n'))
    this.complaints = complaints
  }
}

/** What a concern is given. */
export interface Surroundings {
  readonly config: Config
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  /** Routes of its own on run/NAME-admin.sock; filled by the concern. */
  readonly adminRoutes: Map<string, AdminRoute>
  /** Progress before the concern has started, for /readyz: `recovering 43 %`. */
  readonly progress: (text: string) => void
}

/** A concern that runs. */
export interface Concern {
  /** Why it cannot do its job now, a line each; empty when it can. */
  notReady(): readonly string[]
  /** HUP, with a configuration that has been read again and is good. Throws `ConfigError` to keep the old one. */
  reload(config: Config): Promise<void>
  /** Drains; it has 8 s. */
  stop(): Promise<void>
}

export interface DaemonOptions {
  readonly name: 'relay' | 'store' | 'api' | 'mailer'
  readonly start: (surroundings: Surroundings) => Promise<Concern>
  readonly flags?: ReadonlyMap<string, string>
  /** A log file of one's own, beside `log.dir`. */
  readonly logFile?: string | undefined
  /** Gets the process id, beside run/NAME.pid. */
  readonly pidFile?: string | undefined
}

const STATISTICS_INTERVAL_MS = 10_000

/** Where each concern's points go, under `carbon.` and before the host's name. */
const STATISTICS_NODE = { relay: 'relays', store: 'agents', api: 'api', mailer: 'mailer' } as const

/** Runs until a signal stops it, then exits; a start that fails exits with 78 (configuration) or 1. */
export async function runDaemon(options: DaemonOptions): Promise<void> {
  const config = readConfig(options)
  let debugging = config.log.debug
  const logFiles = openLogFiles(options, config)
  const log = createLog({
    concern: options.name,
    clock: systemClock,
    write: logWriter(options.name, config, logFiles),
    debugging: () => debugging,
  })
  prepareFolders(config, log)
  const lock = takeLock(realDisk, config.run, options.name)
  if (!lock.ok) return exitWith(log, EXIT_CONFIG, lock.error)
  writePidFile(options.pidFile, log)
  const exit = (code: number): never => {
    if (options.pidFile !== undefined) realDisk.remove(options.pidFile)
    lock.value.release()
    process.exit(code)
  }

  let progress = 'starting'
  let concern: Concern | undefined
  const surroundings: Surroundings = {
    config,
    disk: realDisk,
    clock: systemClock,
    log,
    stats: processStats(),
    adminRoutes: new Map(),
    progress: (text) => (progress = text),
  }
  const reload = oneAtATime(async () => {
    if (concern) await reloadConcern(concern, options, log)
  })
  const admin = serveAdmin({
    concern: options.name,
    socketPath: `${config.run}/${options.name}-admin.sock`,
    disk: realDisk,
    stats: surroundings.stats,
    notReady: () => concern?.notReady() ?? [progress],
    routes: surroundings.adminRoutes,
  })
  handleSignals(
    systemClock,
    {
      async stop() {
        log.info('stopping')
        await concern?.stop()
        await admin.stop()
        log.info('stopped')
      },
      reload() {
        reopenLogFiles(logFiles, log)
        void reload()
      },
      toggleDebug() {
        debugging = !debugging
        log.info('debugging', { on: debugging })
      },
    },
    exit,
  )
  try {
    concern = await options.start(surroundings)
  } catch (error) {
    for (const line of reason(error).split('\n')) log.error(line)
    await admin.stop()
    exit(error instanceof ConfigError || error instanceof NewerVersionError ? EXIT_CONFIG : 1)
  }
  collectGarbage(systemClock)
  log.info('started', { pid: process.pid })
  if (options.name !== 'relay') publishStatistics(options.name, surroundings)
}

async function reloadConcern(concern: Concern, options: DaemonOptions, log: Log): Promise<void> {
  try {
    const loaded = loadConfig(input(options))
    if (!loaded.ok) throw new ConfigError(loaded.error)
    await concern.reload(loaded.value)
    log.info('reloaded')
  } catch (error) {
    for (const line of reason(error).split('\n')) log.error(line)
    log.error('the configuration in force stays')
  }
}

function readConfig(options: DaemonOptions): Config {
  const loaded = loadConfig(input(options))
  if (loaded.ok) return loaded.value
  for (const complaint of loaded.error) process.stderr.write(`${complaint}\n`)
  process.exit(EXIT_CONFIG)
}

function input(options: DaemonOptions): Parameters<typeof loadConfig>[0] {
  const base = { environment: process.env, disk: realDisk }
  return options.flags ? { ...base, flags: options.flags } : base
}

function prepareFolders(config: Config, log: Log): void {
  try {
    realDisk.makeDir(config.data, 0o750)
    realDisk.makeDir(config.run, 0o700)
  } catch (error) {
    exitWith(
      log,
      EXIT_CONFIG,
      `data folder ${config.data} cannot be used: ${reason(error)}; set EMON_DATA`,
    )
  }
}

function exitWith(log: Log, code: number, message: string): never {
  log.error(message)
  process.exit(code)
}

function openLogFiles(options: DaemonOptions, config: Config): readonly LogFile[] {
  const { dir } = config.log
  const paths: string[] = []
  if (dir !== undefined) {
    realDisk.makeDir(dir)
    paths.push(`${dir}/${options.name}.log`)
  }
  if (options.logFile !== undefined) paths.push(options.logFile)
  try {
    return paths.map((path) => new LogFile(realDisk, path))
  } catch (error) {
    process.stderr.write(`the log file cannot be opened: ${reason(error)}\n`)
    process.exit(EXIT_CONFIG)
  }
}

function reopenLogFiles(files: readonly LogFile[], log: Log): void {
  try {
    for (const file of files) file.reopen()
  } catch (error) {
    log.warn('a log file cannot be opened anew', { reason: reason(error) })
  }
}

function writePidFile(path: string | undefined, log: Log): void {
  if (path === undefined) return
  try {
    realDisk.replaceFile(path, toUtf8(`${process.pid}\n`), 0o644)
  } catch (error) {
    exitWith(log, EXIT_CONFIG, `failed to open pidfile '${path}': ${reason(error)}`)
  }
}

/** Stderr, files, and the syslog server when configured. Lines before the server is known go without. */
function logWriter(
  name: string,
  config: Config,
  files: readonly LogFile[],
): (line: string, level: Severity) => void {
  const { syslog } = config.log
  let toSyslog: ((line: string, level: Severity) => void) | undefined
  if (syslog !== undefined) {
    const source = { host: hostname(), program: `emon-${name}`, pid: process.pid }
    openSyslog(syslog, source).then(
      (send) => (toSyslog = send),
      (error: unknown) =>
        process.stderr.write(`syslog ${syslog} cannot be used: ${reason(error)}\n`),
    )
  }
  return (line, level) => {
    process.stderr.write(line)
    for (const file of files) file.write(line)
    toSyslog?.(line, level)
  }
}

function processStats(): Stats {
  const stats = new Stats()
  stats.gauge('process.residentBytes', () => process.memoryUsage.rss())
  stats.gauge('process.cpuMicroseconds', () => {
    const { user, system } = process.cpuUsage()
    return user + system
  })
  stats.gauge('process.uptimeSeconds', () => Math.floor(process.uptime()))
  return stats
}

/** Sends the concern's numbers to the local relay; what it does not take is counted and gone. */
function publishStatistics(name: keyof typeof STATISTICS_NODE, surroundings: Surroundings): void {
  const { clock, config, stats } = surroundings
  const lost = stats.counter('statistics.lost')
  const prefix = statisticsPrefix(name)
  clock.every(STATISTICS_INTERVAL_MS, () => {
    const lines = stats.graphiteLines(prefix, nowSeconds(clock))
    const give = { data() {}, error() {}, open: (socket: Bun.Socket) => void socket.end(lines) }
    Bun.connect({ unix: `${config.run}/relay.sock`, socket: give }).catch(() => lost.value++)
  })
}

/** `carbon.agents.HOST`, dots in the host's name as underscores. */
function statisticsPrefix(name: keyof typeof STATISTICS_NODE): string {
  return `carbon.${STATISTICS_NODE[name]}.${hostname().replaceAll('.', '_')}`
}
