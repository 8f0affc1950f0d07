/** Runs every process in the foreground, as children of this one: `bun run all`. TERM or Ctrl-C stops them. */
import { EXIT_CONFIG, loadConfig, PACKAGE_DIR } from '../src/config.ts'
import { systemClock } from '../src/lib/clock.ts'
import { realDisk } from '../src/lib/disk.ts'
import { createLog } from '../src/lib/log.ts'
import { handleSignals, takeLock } from '../src/lib/process.ts'
import { PROCESSES, runtimeOf } from '../src/monitrc.ts'
import { curlLine, waitForPoint, waitUntilReady } from '../src/readiness.ts'
import { Supervisor } from '../src/supervisor.ts'

const STOP_MS_MAX = 30_000
const READY_MS_MAX = 600_000

/** Children end with us even when we are killed, where util-linux is there to see to it. */
const WITH_PARENT = Bun.which('setpriv') ? ['setpriv', '--pdeathsig', 'TERM'] : []

const clock = systemClock
const write = (line: string): void => void process.stderr.write(line)
const log = createLog({ concern: 'all', clock, write })
const fail = (complaints: readonly string[]): never => {
  for (const complaint of complaints) log.error(complaint)
  process.exit(EXIT_CONFIG)
}

const loaded = loadConfig({ environment: process.env, disk: realDisk })
if (!loaded.ok) fail(loaded.error)
const config = loaded.ok ? loaded.value : fail([])
realDisk.makeDir(config.data, 0o750)
realDisk.makeDir(config.run, 0o700)
const lock = takeLock(realDisk, config.run, 'all')
if (!lock.ok) fail([lock.error])

let exitCode = 0
const supervisor = new Supervisor({
  names: PROCESSES,
  stopFirst: ['relay', 'api', 'store'],
  clock,
  log,
  spawn: (name) =>
    // In a session of its own: Ctrl-C is for us alone, who stop them in order.
    Bun.spawn([...WITH_PARENT, process.execPath, `scripts/${name}.ts`], {
      cwd: PACKAGE_DIR,
      env: { ...runtimeOf(name), ...process.env },
      stdio: ['ignore', 'inherit', 'inherit'],
      detached: true,
    }),
  onRefusal() {
    exitCode = EXIT_CONFIG
    process.kill(process.pid, 'SIGTERM')
  },
})
handleSignals(
  clock,
  {
    stop: () => supervisor.stop(),
    reload: () => supervisor.signal('SIGHUP'),
    toggleDebug: () => supervisor.signal('SIGUSR1'),
  },
  (code) => {
    if (lock.ok) lock.value.release()
    process.exit(code === 0 ? exitCode : code)
  },
  STOP_MS_MAX,
)
supervisor.start()
await waitUntilReady(config, PROCESSES, { clock, timeoutMs: READY_MS_MAX })
await waitForPoint(config, { clock, timeoutMs: READY_MS_MAX })
log.info('ready; TERM or Ctrl-C stops everything')
log.info(curlLine(config))
