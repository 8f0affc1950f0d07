/**
 * Where this copy of emon-metrics is installed, and so who its processes run as: in /opt/emon, set up by root,
 * they are a user's of their own and the data is in /var/lib/emon; anywhere else all is the invoking user's, in the
 * project folder.
 */

import { type Config, loadConfig, PACKAGE_DIR } from './config.ts'
import { fromUtf8 } from './lib/bytes.ts'
import type { Clock } from './lib/clock.ts'
import { type Disk, realDisk } from './lib/disk.ts'
import { monitrc } from './monitrc.ts'

const SYSTEM_HOME = '/opt/emon'
const SYSTEM_DATA = '/var/lib/emon'
const SYSTEM_USER = 'emon'

/** The user to run as, where that is not the invoking one. */
export function processUser(uid: number | undefined): string | undefined {
  return uid === 0 && PACKAGE_DIR === SYSTEM_HOME ? SYSTEM_USER : undefined
}

export function monitrcFile(config: Config): string {
  return `${config.data}/monitrc`
}

/** Monit's configuration for this installation; the control socket's password stays the one that is in the file. */
export function installedMonitrc(
  config: Config,
  surroundings: { disk: Disk; clock: Clock; uid: number | undefined },
): string {
  const { disk, clock, uid } = surroundings
  const file = monitrcFile(config)
  const before = disk.stat(file) ? fromUtf8(disk.readFile(file)) : ''
  const password = /allow emon:"(\w+)"/.exec(before)?.[1] ?? clock.randomBytes(16).toHex()
  return monitrc(config, { home: PACKAGE_DIR, user: processUser(uid), password })
}

/** The monitrc that is committed: an install in /opt/emon that mails its alerts. */
export function specimenMonitrc(): string {
  const environment = { EMON_DATA: SYSTEM_DATA, EMAIL_ALERT_ADDR: 'alerts@example.com' }
  const config = loadConfig({ environment, disk: emptyDisk })
  if (!config.ok) throw new Error(config.error.join('\n'))
  return monitrc(config.value, {
    home: SYSTEM_HOME,
    user: SYSTEM_USER,
    password: 'madebyscriptsup',
  })
}

/** What this machine has configured has no say in the specimen. */
const emptyDisk: Disk = {
  ...realDisk,
  readFile(path) {
    throw Object.assign(new Error(`no ${path}`), { code: 'ENOENT' })
  },
}
