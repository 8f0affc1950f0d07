/**
 * `bun run store snapshot DIR | check | stats | flush`: asks the store that runs here. `check` also works
 * without one, on the files. Exit code 0 when all is well, 1 when not, 64 for a wrong command line.
 */

import { resolve } from 'node:path'
import type { Config } from '../../config.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { realDisk } from '../../lib/disk.ts'
import { silentLog } from '../../lib/log.ts'
import { takeLock } from '../../lib/process.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { Stats } from '../../lib/stats.ts'
import type { CheckReport } from '../engine.ts'
import { openEngine } from '../engine/open-engine.ts'
import type { PrefixCount } from '../index/series-index.ts'
import { StoreAdminClient } from './store-client.ts'

const USAGE = 'usage: bun run store [snapshot DIR | check | stats | flush]'
const EXIT_USAGE = 64

export async function runStoreCommand(words: readonly string[], config: Config): Promise<number> {
  const [command, argument] = words
  const store = new StoreAdminClient(config.run)
  switch (command) {
    case 'snapshot':
      if (argument === undefined) break
      return print(await store.askSlow('/snapshot', { dir: resolve(argument) }))
    case 'flush':
      return print(await store.askSlow('/flush'))
    case 'stats':
      return await printStats(store)
    case 'check':
      return printReport(await check(store, config))
  }
  console.error(USAGE)
  return EXIT_USAGE
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

/** By the store that runs, or, when there is none, by opening its files. */
async function check(store: StoreAdminClient, config: Config): Promise<Result<CheckReport>> {
  if (await store.isRunning()) {
    const answer = await store.askSlow('/check')
    return answer.ok ? ok(JSON.parse(answer.value) as CheckReport) : answer
  }
  if (!realDisk.stat(config.run)) return err(`there is no store in ${config.data}`)
  const lock = takeLock(realDisk, config.run, 'store')
  if (!lock.ok) return lock
  try {
    const engine = await openEngine({
      dir: `${config.data}/store`,
      disk: realDisk,
      clock: systemClock,
      log: silentLog,
      stats: new Stats(),
      settings: { fsync: 'off', rollup: config.store.rollup, maxFuture: config.store.max_future },
      onSeries() {},
      onProgress() {},
    })
    const report = await engine.check()
    await engine.close()
    return ok(report)
  } finally {
    lock.value.release()
  }
}

function printReport(report: Result<CheckReport>): number {
  if (!report.ok) return print(report)
  const { files, bytes, checked, problems } = report.value
  for (const problem of problems) console.log(problem)
  console.log(`${files} files, ${bytes} bytes, ${checked} checksums, ${problems.length} problems`)
  return problems.length === 0 ? 0 : 1
}
