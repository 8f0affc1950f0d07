/**
 * `bun run store snapshot DIR | check [DIR] | stats | flush`: asks the store that runs here. `check` also works
 * without one, on the files, and on those of a snapshot. Exit code 0 when all is well, 1 when not, 64 for a wrong
 * command line.
 */

import { resolve } from 'node:path'
import type { Config } from '../../config.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { realDisk } from '../../lib/disk.ts'
import { takeLock } from '../../lib/process.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { TimeSlice } from '../../lib/time-slice.ts'
import type { CheckReport } from '../engine.ts'
import { checkStore } from '../engine/check.ts'
import { manifestPath } from '../files/filenames.ts'
import type { PrefixCount } from '../index/series-index.ts'
import { StoreAdminClient } from './store-client.ts'
import { wrongCommand } from './usage.ts'

const USAGE = `usage: bun run store                 run the store
       bun run store snapshot DIR    a copy by hard links in DIR, which must not exist: a store folder as it is
       bun run store check [DIR]     verify every checksum, of the store here or of a snapshot
       bun run store stats           its counters, and the prefixes with the most series
       bun run store flush           seal everything, empty the log: for measurements and before a copy`

export async function runStoreCommand(words: readonly string[], config: Config): Promise<number> {
  const [command, argument, ...more] = words
  const store = new StoreAdminClient(config.run)
  if (more.length > 0) return wrongCommand(words, USAGE)
  if (command === 'snapshot' && argument !== undefined)
    return print(await store.askSlow('/snapshot', { dir: resolve(argument) }))
  if (command === 'check') {
    const checked = argument === undefined ? check(store, config) : checkFolder(resolve(argument))
    return printReport(await checked)
  }
  if (argument === undefined) {
    if (command === 'flush') return print(await store.askSlow('/flush'))
    if (command === 'stats') return await printStats(store)
  }
  return wrongCommand(words, USAGE)
}

function print(answer: Result<Uint8Array | string>): number {
  if (answer.ok) process.stdout.write(answer.value)
  else console.error(answer.error)
  return answer.ok ? 0 : 1
}

async function printStats(store: StoreAdminClient): Promise<number> {
  const metrics = await store.ask('GET', '/metrics')
  const prefixes = await store.ask('GET', '/prefixes')
  if (!metrics.ok || !prefixes.ok) return print(metrics)
  for (const line of fromUtf8(metrics.value).split('\n')) {
    if (line !== '' && !line.startsWith('#')) console.log(line)
  }
  console.log('\nprefixes with the most series:')
  for (const { prefix, series } of JSON.parse(fromUtf8(prefixes.value)) as PrefixCount[]) {
    console.log(`${String(series).padStart(10)}  ${prefix}`)
  }
  return 0
}

/** By the store that runs, or, when there is none, by reading its files. */
async function check(store: StoreAdminClient, config: Config): Promise<Result<CheckReport>> {
  if (await store.isRunning()) {
    const answer = await store.askSlow('/check')
    return answer.ok ? ok(JSON.parse(answer.value) as CheckReport) : answer
  }
  const dir = `${config.data}/store`
  if (!realDisk.stat(dir)) return err(`there is no store in ${config.data}: set EMON_DATA`)
  // Without that folder nobody can run.
  if (!realDisk.stat(config.run)) return checkFolder(dir)
  const lock = takeLock(realDisk, config.run, 'store')
  if (!lock.ok) return lock
  try {
    return await checkFolder(dir)
  } finally {
    lock.value.release()
  }
}

async function checkFolder(dir: string): Promise<Result<CheckReport>> {
  if (!realDisk.stat(manifestPath(dir))) return err(`${dir} is no store: it has no MANIFEST`)
  return ok(await checkStore(realDisk, dir, new TimeSlice(systemClock)))
}

function printReport(report: Result<CheckReport>): number {
  if (!report.ok) return print(report)
  const { files, bytes, checked, problems } = report.value
  for (const problem of problems) console.log(problem)
  console.log(`${files} files, ${bytes} bytes, ${checked} checksums, ${problems.length} problems`)
  return problems.length === 0 ? 0 : 1
}
