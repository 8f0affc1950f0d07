/** The part of ./scripts/down that needs Bun. */
import { EXIT_CONFIG, loadConfig, PACKAGE_DIR } from '../src/config.ts'
import { monitrcFile } from '../src/installation.ts'
import { fromUtf8 } from '../src/lib/bytes.ts'
import { sleep, systemClock } from '../src/lib/clock.ts'
import { realDisk } from '../src/lib/disk.ts'
import { PROCESSES } from '../src/monitrc.ts'
import { isAlive, Monit } from './monit.ts'

const loaded = loadConfig({ environment: process.env, disk: realDisk })
if (!loaded.ok) {
  for (const complaint of loaded.error) console.error(complaint)
  process.exit(EXIT_CONFIG)
}
const config = loaded.value
const monit = new Monit(monitrcFile(config), config)
const watched = monit.answers()
const supervisor = pidOf('all')
if (watched) {
  const pids = PROCESSES.map(pidOf)
  monit.command('stop', 'all')
  await allGone(pids)
  await monit.quit()
} else if (supervisor !== undefined && isAlive(supervisor)) {
  process.kill(supervisor, 'SIGTERM')
  await allGone([supervisor])
}
stopLeftovers()
console.log('stopped')

/** What neither monit nor `bun run all` had. */
function stopLeftovers(): void {
  for (const name of ['relay', 'api', 'store', 'mailer']) {
    Bun.spawnSync([`${PACKAGE_DIR}/scripts/process`, 'stop', name], {
      env: { ...process.env, EMON_DATA: config.data, EMON_RUN: config.run },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
  }
}

async function allGone(pids: readonly (number | undefined)[]): Promise<void> {
  const giveUpMs = systemClock.monotonicMs() + 45_000
  while (pids.some((pid) => pid !== undefined && isAlive(pid))) {
    if (systemClock.monotonicMs() > giveUpMs) {
      console.error(`some processes do not stop; see ${config.data}/log`)
      process.exit(1)
    }
    await sleep(systemClock, 50)
  }
}

function pidOf(name: string): number | undefined {
  const file = `${config.run}/${name}.pid`
  if (!realDisk.stat(file)) return undefined
  return Number(fromUtf8(realDisk.readFile(file))) || undefined
}
