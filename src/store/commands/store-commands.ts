/**
 * `bun run store snapshot DIR | check [DIR] | delete PATTERN… | rename FROM TO | stats | flush`: asks the store that
 * runs here. `check` also works without one, on the files, and on those of a snapshot. Exit code 0 when all is well,
 * 1 when not, 64 for a wrong command line.
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
import { asksForHelp, runCommand, wrongCommand } from './usage.ts'

const USAGE = `usage: bun run store                 run the store
       bun run store snapshot DIR    a copy by hard links in DIR, which must not exist: a store folder as it is
       bun run store check [DIR]     verify every checksum, of the store here or of a snapshot
       bun run store delete PATTERN… [--dry-run]
                                     series by name or glob, with all that is kept of them
       bun run store rename FROM TO  a series; TO must be free, and its prefix below its quota
       bun run store stats           its counters, and the prefixes with the most series
       bun run store flush           seal everything, empty the log: for measurements and before a copy`

export function runStoreCommand(words: readonly string[], config: Config): Promise<number> {
  return runCommand(() => run(words, config))
}

interface Command {
  /** How many words follow it. */
  readonly least: number
  readonly most: number
  readonly run: (call: Call) => Promise<number>
}

interface Call {
  readonly store: StoreAdminClient
  readonly config: Config
  /** As many as the command says. */
  readonly words: readonly string[]
  readonly dryRun: boolean
}

const COMMANDS: Readonly<Record<string, Command>> = {
  snapshot: {
    least: 1,
    most: 1,
    run: async ({ store, words }) =>
      print(await store.askSlow('/snapshot', { dir: resolve(words[0]!) })),
  },
  check: {
    least: 0,
    most: 1,
    run: async ({ store, config, words: [dir] }) =>
      printReport(await (dir === undefined ? check(store, config) : checkFolder(resolve(dir)))),
  },
  delete: { least: 1, most: Infinity, run: runDelete },
  rename: {
    least: 2,
    most: 2,
    run: async ({ store, words }) =>
      print(await store.ask('POST', '/rename', { query: { from: words[0]!, to: words[1]! } })),
  },
  stats: { least: 0, most: 0, run: ({ store }) => printStats(store) },
  flush: { least: 0, most: 0, run: async ({ store }) => print(await store.askSlow('/flush')) },
}

async function run(words: readonly string[], config: Config): Promise<number> {
  const dryRun = words.includes('--dry-run')
  const [name = '', ...rest] = words.filter((word) => word !== '--dry-run')
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined
  const fits = command && rest.length >= command.least && rest.length <= command.most
  if (!fits || asksForHelp(words) || (dryRun && name !== 'delete'))
    return wrongCommand(words, USAGE)
  const store = new StoreAdminClient(config.run)
  return await command.run({ store, config, words: rest, dryRun })
}

/** Says each name that goes, and how many there were. */
async function runDelete({ store, words: patterns, dryRun }: Call): Promise<number> {
  let found = 0
  for (const pattern of patterns) {
    const query = { pattern, ...(dryRun ? { dryRun: '1' } : {}) }
    const answer = await store.ask('POST', '/delete', { query })
    if (!answer.ok) return print(answer)
    const paths = JSON.parse(fromUtf8(answer.value)) as string[]
    for (const path of paths) console.log(path)
    if (paths.length === 0) console.error(`${pattern}: no such series`)
    found += paths.length
  }
  console.error(`${found} series ${dryRun ? 'would be deleted' : 'deleted'}`)
  return found > 0 ? 0 : 1
}

function print(answer: Result<Uint8Array | string>): number {
  if (answer.ok) process.stdout.write(answer.value)
  else console.error(answer.error)
  return answer.ok ? 0 : 1
}

async function printStats(store: StoreAdminClient): Promise<number> {
  const metrics = await store.ask('GET', '/metrics')
  if (!metrics.ok) return print(metrics)
  for (const line of fromUtf8(metrics.value).split('\n')) {
    if (line !== '' && !line.startsWith('#')) console.log(line)
  }
  const prefixes = await store.ask('GET', '/prefixes')
  if (!prefixes.ok) return print(prefixes)
  console.log('\nprefixes with the most series:')
  for (const { prefix, series } of JSON.parse(fromUtf8(prefixes.value)) as PrefixCount[]) {
    console.log(`${String(series).padStart(10)}  ${prefix}`)
  }
  return 0
}

/** By the store that runs, or, when there is none, by reading its files. */
async function check(store: StoreAdminClient, config: Config): Promise<Result<CheckReport>> {
  if ((await store.ping()).ok) {
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
  return ok(await checkStore(realDisk, dir, { slice: new TimeSlice(systemClock) }))
}

function printReport(report: Result<CheckReport>): number {
  if (!report.ok) return print(report)
  const { files, bytes, checked, problems } = report.value
  for (const problem of problems) console.log(problem)
  console.log(`${files} files, ${bytes} bytes, ${checked} checksums, ${problems.length} problems`)
  return problems.length === 0 ? 0 : 1
}
