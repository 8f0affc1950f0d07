/**
 * The configuration of monit, made from ours: what starts, watches and restarts the processes.
 *
 * Written for Monit 5.33 (`man monit`). One cycle a second, so that a process that was killed is back in about
 * one. A process is restarted when its pid is gone, when /healthz on its admin socket does not answer, or
 * when it takes half of the machine's memory; /readyz alone only alerts, because a restart does not help
 * a process whose disk is full or whose peer is missing. Nothing is ever unmonitored: after that, monit
 * would leave a dead process dead.
 *
 * Monit's own files are apart from the system's: pid, id, state, control socket.
 */

import type { Config } from './config.ts'
import { reachableAddress } from './readiness.ts'

export interface MonitSetup {
  /** The project folder, absolute. */
  readonly home: string
  /** The user that the processes run as when monit runs as root; none: monit's own. */
  readonly user?: string | undefined
  /** For the control socket; letters and digits. */
  readonly password: string
}

/** In the order in which they start. */
export const PROCESSES = ['store', 'relay', 'mailer', 'api'] as const

type Environment = Readonly<Record<string, string>>

/**
 * Bun's allocator looks every five seconds for pages that it can give back, not ten times a second. It finds as many,
 * and of a process that has little to do that is an eighth of the CPU.
 */
const ALLOCATOR: Environment = { MIMALLOC_PURGE_HOLES_MIN_INTERVAL: '5000' }

/**
 * What comes from sockets lets its memory go by itself (lib/bytes.ts, letGo), but counts as garbage until it is
 * collected, which is done twice a second then, of a heap in which next to nothing has died. Seldom is enough:
 * lib/collector.ts looks after the rest.
 */
const SELDOM_COLLECTED: Environment = {
  BUN_GC_TIMER_INTERVAL: '10000',
  BUN_JSC_percentCPUPerMBForEdenTimer: '0.0001',
}

/** What a process's environment tells the Bun of the version that package.json asks for. */
export function runtimeOf(name: string): Environment {
  return name === 'relay' || name === 'store' ? { ...ALLOCATOR, ...SELDOM_COLLECTED } : ALLOCATOR
}

export function monitrc(config: Config, setup: MonitSetup): string {
  const sections = [
    ownFiles(config),
    mail(config),
    control(config, setup),
    ...PROCESSES.map((name) => processCheck(name, config, setup)),
    machineChecks(config, setup),
  ]
  return `${sections.map((lines) => lines.join('\n')).join('\n\n')}\n`
}

function ownFiles(config: Config): string[] {
  return [
    '# Made by `bun run monitrc` from the configuration; ./scripts/up writes it anew when that has changed.',
    'set daemon 1',
    'set onreboot start',
    `set log ${quote(`${config.data}/log/monit.log`)}`,
    `set pidfile ${quote(`${config.data}/monit/pid`)}`,
    `set idfile ${quote(`${config.data}/monit/id`)}`,
    `set statefile ${quote(`${config.data}/monit/state`)}`,
    'set limits { networkTimeout: 2 s, startTimeout: 3 s, stopTimeout: 10 s, restartTimeout: 5 s }',
  ]
}

function mail(config: Config): string[] {
  const { alert_address: address, from, smtp_port: port } = config.mailer
  if (address === undefined || port === 0) {
    return ['# Nobody is mailed: set EMAIL_ALERT_ADDR (mailer.alert_address), and EMAIL_SERVER.']
  }
  return [
    `set mailserver ${reachableAddress(config.mailer.bind)} port ${port} with timeout 3 seconds`,
    `set eventqueue basedir ${quote(`${config.data}/monit/events`)} slots 1000`,
    'set mail-format {',
    `  from: ${from ?? 'monit@$HOST'}`,
    '  subject: [emon] $HOST $SERVICE: $EVENT',
    '  message: $DATE $HOST',
    '    $SERVICE: $EVENT, action: $ACTION',
    '    $DESCRIPTION',
    '}',
    `set alert ${address} not on { instance, action }`,
  ]
}

function control(config: Config, setup: MonitSetup): string[] {
  const lines = [
    `set httpd unixsocket ${quote(`${config.run}/monit.sock`)} permission 0600`,
    `  allow emon:${quote(setup.password)}`,
  ]
  if (config.monit.port !== 0) {
    // The password is for both.
    lines.push(`set httpd port ${config.monit.port} address ${config.monit.bind}`)
  }
  return lines
}

function processCheck(name: string, config: Config, setup: MonitSetup): string[] {
  const admin = quote(`${config.run}/${name}-admin.sock`)
  const start = quote(command(`start ${name}`, config, setup, runtimeOf(name)))
  const stop = quote(command(`stop ${name}`, config, setup))
  const user = setup.user === undefined ? '' : ` as uid ${setup.user} and gid ${setup.user}`
  const asks = (path: string): string =>
    `if failed unixsocket ${admin} protocol http request ${quote(path)} with timeout 2 seconds`
  return [
    `check process ${name} with pidfile ${quote(`${config.run}/${name}.pid`)}`,
    `  start program = ${start}${user} with timeout 3 seconds`,
    `  stop program = ${stop}${user} with timeout 10 seconds`,
    `  ${asks('/healthz')} for 3 cycles then restart`,
    `  ${asks('/readyz')} for 60 cycles then alert`,
    '  if memory usage > 50% for 30 cycles then restart',
    '  if cpu usage > 95% for 60 cycles then alert',
    '  if 5 restarts within 60 cycles then alert',
  ]
}

function machineChecks(config: Config, setup: MonitSetup): string[] {
  return [
    'check system $HOST',
    '  if memory usage > 90% for 60 cycles then alert',
    '  if loadavg (5min) per core > 4 for 60 cycles then alert',
    '',
    ...programCheck('space', config, setup),
    '',
    ...programCheck('rotate', config, setup),
  ]
}

function programCheck(verb: string, config: Config, setup: MonitSetup): string[] {
  const run = quote(command(verb, config, setup))
  return [
    `check program ${verb} with path ${run} with timeout 10 seconds`,
    '  every 60 cycles',
    '  if status != 0 then alert',
  ]
}

/** What scripts/process needs is in the command, so that it works after a reboot too. */
function command(
  words: string,
  config: Config,
  setup: MonitSetup,
  runtime: Environment = {},
): string {
  const environment = [`EMON_DATA=${config.data}`, `EMON_RUN=${config.run}`]
  for (const [name, value] of Object.entries(runtime)) environment.push(`${name}=${value}`)
  if (config.file !== `${config.data}/emon.toml`) environment.push(`EMON_CONFIG=${config.file}`)
  return `/usr/bin/env ${environment.map(word).join(' ')} ${word(`${setup.home}/scripts/process`)} ${words}`
}

/** One argument of a command, inside of `quote`. */
function word(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text}'`
}

function quote(text: string): string {
  return `"${text}"`
}

/** Monit knows no way to write these inside of a string. */
export function monitCanName(path: string): boolean {
  return !/["'\\\p{Cc}]/u.test(path)
}
