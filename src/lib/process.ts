/**
 * What makes a program a well-behaved process: one of a kind per run folder, a pid file, signals.
 *
 * `run/NAME.lock` holds `pid startTime` (start time as in /proc/PID/stat, so that a recycled pid is not
 * taken for us). It is made under another name and linked into place, so two starters cannot both have
 * it. A lock whose process is gone is taken over. On stop only what is still ours is removed.
 */

import { assert } from './assert.ts'
import { fromUtf8, toUtf8 } from './bytes.ts'
import type { Clock } from './clock.ts'
import { type Disk, errorCode } from './disk.ts'
import { reason } from './log.ts'
import { err, ok, type Result } from './result.ts'

export interface ProcessLock {
  release(): void
}

/** Takes run/NAME.lock and writes run/NAME.pid; the error names the process that has it. */
export function takeLock(disk: Disk, runDir: string, name: string): Result<ProcessLock> {
  const lockPath = `${runDir}/${name}.lock`
  const pidPath = `${runDir}/${name}.pid`
  const mine = `${process.pid} ${startTime(disk, process.pid) ?? 0}\n`
  const aside = `${lockPath}.${process.pid}`
  try {
    disk.replaceFile(aside, toUtf8(mine), 0o600)
  } catch (error) {
    return err(`cannot write in ${runDir}: ${reason(error)}`)
  }
  try {
    for (let tries = 0; tries < 10; tries++) {
      const holder = linkOrHolder(disk, aside, lockPath)
      if (holder === undefined) {
        disk.replaceFile(pidPath, toUtf8(`${process.pid}\n`), 0o644)
        return ok({ release: () => removeOwn(disk, { lockPath, pidPath, mine }) })
      }
      if (isAlive(disk, holder)) {
        return err(`another ${name} runs with pid ${holder.split(' ')[0]} (${lockPath})`)
      }
      removeStale(disk, lockPath, holder)
    }
  } finally {
    disk.remove(aside)
  }
  return err(`cannot take ${lockPath}: other processes keep taking it`)
}

/** Links the lock into place, or says what the lock that is there holds. */
function linkOrHolder(disk: Disk, aside: string, lockPath: string): string | undefined {
  try {
    disk.link(aside, lockPath)
    return undefined
  } catch (error) {
    if (errorCode(error) !== 'EEXIST') throw error
    return readText(disk, lockPath) ?? ''
  }
}

/** Moves a dead process's lock away; if another starter was quicker, its lock is put back. */
function removeStale(disk: Disk, lockPath: string, stale: string): void {
  const grave = `${lockPath}.stale.${process.pid}`
  try {
    disk.rename(lockPath, grave)
  } catch (error) {
    if (errorCode(error) === 'ENOENT') return
    throw error
  }
  if (readText(disk, grave) !== stale) disk.link(grave, lockPath)
  disk.remove(grave)
}

function removeOwn(disk: Disk, own: { lockPath: string; pidPath: string; mine: string }): void {
  if (readText(disk, own.pidPath) === `${process.pid}\n`) disk.remove(own.pidPath)
  if (readText(disk, own.lockPath) === own.mine) disk.remove(own.lockPath)
}

function isAlive(disk: Disk, holder: string): boolean {
  const [pid, started] = holder.trim().split(' ').map(Number)
  if (!pid || !Number.isInteger(pid)) return false
  return startTime(disk, pid) === started
}

/** Field 22 of /proc/PID/stat: clock ticks since boot when the process started. */
function startTime(disk: Disk, pid: number): number | undefined {
  const stat = readText(disk, `/proc/${pid}/stat`)
  if (stat === undefined) return undefined
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  assert(fields.length > 19, `/proc/${pid}/stat has ${fields.length} fields`)
  return fields[0] === 'Z' ? undefined : Number(fields[19])
}

function readText(disk: Disk, path: string): string | undefined {
  try {
    return fromUtf8(disk.readFile(path))
  } catch (error) {
    const code = errorCode(error)
    if (code === 'ENOENT' || code === 'ESRCH') return undefined
    throw error
  }
}

export interface SignalHandlers {
  /** TERM, INT and QUIT; resolves when everything is drained. */
  stop(): Promise<void>
  /** HUP. */
  reload(): void
  /** USR1. */
  toggleDebug(): void
}

const SHUTDOWN_MS_MAX = 8_000

/** Calls `exit` with 0 after `stop`, with 1 at a second signal or when `stop` takes too long. */
export function handleSignals(
  clock: Clock,
  handlers: SignalHandlers,
  exit: (code: number) => void,
  stopMsMax: number = SHUTDOWN_MS_MAX,
): void {
  let stopping = false
  const stop = (): void => {
    if (stopping) return exit(1)
    stopping = true
    clock.after(stopMsMax, () => exit(1))
    handlers.stop().then(
      () => exit(0),
      () => exit(1),
    )
  }
  process.on('SIGTERM', stop)
  process.on('SIGINT', stop)
  process.on('SIGQUIT', stop)
  process.on('SIGHUP', () => handlers.reload())
  process.on('SIGUSR1', () => handlers.toggleDebug())
}
