/**
 * `bun run whisper import DIR [--dry-run] | export DIR [PREFIX] | info FILE… | diff DIR`. Import, export and diff
 * go through the running store. Exit code 0 when all is well, 1 when not, 64 for a wrong command line.
 */

import { dirname, resolve } from 'node:path'
import { type Config, EXIT_CONFIG } from '../../config.ts'
import type { IndexReply } from '../../ipc/store-protocol.ts'
import { fromUtf8 } from '../../lib/bytes.ts'
import { systemClock } from '../../lib/clock.ts'
import { type Disk, realDisk } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { FetchedSlots } from '../engine.ts'
import { whisperJournalPath } from '../files/filenames.ts'
import { loadSchemas } from '../index/schemas.ts'
import { ok, type Result } from '../../lib/result.ts'
import { printOver, ProgressBar } from './progress-bar.ts'
import { StoreAdminClient } from './store-client.ts'
import { runCommand, wrongCommand } from './usage.ts'
import type { WhisperSeries } from '../whisper/whisper-format.ts'
import { describeRule, importWhisperTree } from './whisper-import.ts'
import { fileOfName } from '../whisper/whisper-names.ts'
import { readWhisper } from '../whisper/whisper-reader.ts'
import { walkWhisperTree } from '../whisper/whisper-walk.ts'

const USAGE = `usage: bun run whisper import DIR [--dry-run]   a tree into the running store; once more: it goes on
                                                --dry-run: says where files and schemas differ
       bun run whisper export DIR [PREFIX]      all series, or those whose name starts so, as Whisper files
       bun run whisper info FILE…               what a file holds
       bun run whisper diff DIR                 a tree against the store, slot by slot`

export function runWhisperCommand(words: readonly string[], config: Config): Promise<number> {
  return runCommand(() => run(words, config))
}

async function run(words: readonly string[], config: Config): Promise<number> {
  const [command, ...rest] = words.filter((word) => word !== '--dry-run')
  const [target, prefix = ''] = rest
  const store = new StoreAdminClient(config.run)
  const dryRun = words.length > rest.length + 1
  const isPlain = !rest.some((word) => word.startsWith('-'))
  if (target === undefined || !isPlain || (dryRun && command !== 'import'))
    return wrongCommand(words, USAGE)
  const root = resolve(target)
  if (command === 'info') return printInfo(realDisk, rest)
  if (command === 'export' && rest.length <= 2)
    return await runExport(store, realDisk, { root, prefix })
  if (rest.length === 1 && (command === 'import' || command === 'diff')) {
    if (!realDisk.stat(root)?.isDirectory) return fail(`${root} is no folder`)
    if (command === 'import') return await runImport(config, store, { root, dryRun })
    return await runDiff(store, realDisk, root)
  }
  return wrongCommand(words, USAGE)
}

async function runImport(
  config: Config,
  store: StoreAdminClient,
  { root, dryRun }: { root: string; dryRun: boolean },
): Promise<number> {
  const schemas = loadSchemas(config, realDisk)
  if (!schemas.ok) {
    for (const complaint of schemas.error) console.error(complaint)
    return EXIT_CONFIG
  }
  const alive = dryRun ? ok('') : await store.ping()
  if (!alive.ok) return fail(alive.error)
  const totals = await importWhisperTree({
    disk: realDisk,
    clock: systemClock,
    root,
    store,
    journalPath: whisperJournalPath(`${config.data}/store`),
    schemas: schemas.value,
    dryRun,
    output: process.stderr,
    report: (line) => printOver(process.stderr, line),
  })
  const { imported, slots, skipped, failed, stopped } = totals
  const verb = dryRun ? 'to import' : 'imported'
  console.log(
    `${imported} series ${verb}, ${slots} slots, ${skipped} done before, ${failed} failed`,
  )
  if (stopped !== undefined)
    return fail(`stopped: ${stopped}; run the same command again and it goes on`)
  return failed === 0 ? 0 : 1
}

/** Writes every series whose name starts with the prefix as a file. */
async function runExport(
  store: StoreAdminClient,
  disk: Disk,
  { root, prefix }: { root: string; prefix: string },
): Promise<number> {
  const names = await namesWith(store, prefix)
  if (!names.ok) return fail(names.error)
  const bar = new ProgressBar(systemClock, process.stderr, names.value.length)
  let exported = 0
  for (const [i, name] of names.value.entries()) {
    const file = await store.ask('GET', '/whisper', { query: { path: name } })
    if (!file.ok) {
      // It may have gone since the names were asked for; without a store nothing more can be had.
      const alive = await store.ping()
      if (!alive.ok) return fail(alive.error)
      printOver(process.stderr, `${name}: ${file.error}`)
      continue
    }
    const path = `${root}/${fileOfName(name)}`
    try {
      disk.makeDir(dirname(path), 0o755)
      disk.replaceFile(path, file.value, 0o644)
    } catch (error) {
      return fail(`${path}: cannot be written: ${reason(error)}; run the same command again`)
    }
    exported++
    bar.update(i + 1)
  }
  bar.finish(names.value.length)
  console.log(`${exported} series exported to ${root}`)
  return 0
}

async function namesWith(store: StoreAdminClient, prefix: string): Promise<Result<string[]>> {
  const names: string[] = []
  for (let after = ''; ;) {
    const answer = await store.ask('GET', '/names', { query: { after } })
    if (!answer.ok) return answer
    const { paths, more } = JSON.parse(fromUtf8(answer.value)) as IndexReply
    for (const path of paths) if (path.startsWith(prefix)) names.push(path)
    if (!more) return ok(names)
    after = paths.at(-1)!
  }
}

function printInfo(disk: Disk, files: readonly string[]): number {
  let failed = 0
  for (const file of files) {
    try {
      const { archives, method, xFilesFactor, slots } = readWhisper(disk.readFile(file), file)
      console.log(`${file}\n  ${describeRule({ archives, method, xFilesFactor })}`)
      archives.forEach(({ step, count }, i) =>
        console.log(`  ${step} s: ${count} slots, ${describe(slots[i]!)}`),
      )
    } catch (error) {
      failed++
      console.error(`${file}: ${reason(error)}`)
    }
  }
  return failed === 0 ? 0 : 1
}

function describe({ start, step, values }: FetchedSlots): string {
  if (values.length === 0) return 'empty'
  const known = values.reduce((count, value) => count + Number(value === value), 0)
  const time = (seconds: number): string => new Date(seconds * 1000).toISOString()
  return `${known} known, ${time(start)} to ${time(start + (values.length - 1) * step)}`
}

/** Compares every file of a tree with what the store has: slots that the file knows and the store does not have so. */
async function runDiff(store: StoreAdminClient, disk: Disk, root: string): Promise<number> {
  const alive = await store.ping()
  if (!alive.ok) return fail(alive.error)
  const files = [...walkWhisperTree(disk, root)].filter(({ name }) => name !== undefined)
  const bar = new ProgressBar(systemClock, process.stderr, files.length)
  let different = 0
  for (const [i, { path, name }] of files.entries()) {
    const lines = await compareFile(store, disk, { file: `${root}/${path}`, name: name! })
    if (lines.length > 0) different++
    for (const line of lines) printOver(process.stderr, `${name}: ${line}`)
    bar.update(i + 1)
  }
  bar.finish(files.length)
  console.log(`${files.length} series compared, ${different} differ`)
  return different === 0 ? 0 : 1
}

async function compareFile(
  store: StoreAdminClient,
  disk: Disk,
  { file, name }: { file: string; name: string },
): Promise<string[]> {
  try {
    const theirs = readWhisper(disk.readFile(file), file)
    const answer = await store.ask('GET', '/whisper', { query: { path: name } })
    return answer.ok ? differences(theirs, readWhisper(answer.value, name)) : [answer.error]
  } catch (error) {
    return [reason(error)]
  }
}

/** One line an archive. Slots that are older than the store keeps do not count. */
function differences(file: WhisperSeries, own: WhisperSeries): string[] {
  const lines: string[] = []
  for (const row of file.slots) {
    const kept = own.slots.find(({ step }) => step === row.step)
    if (!kept) {
      if (row.values.length > 0) lines.push(`${row.step} s: the store has no such archive`)
      continue
    }
    let count = 0
    for (let i = 0; i < row.values.length; i++) {
      const value = row.values[i]!
      const at = (row.start - kept.start) / row.step + i
      if (value === value && at >= 0 && kept.values[at] !== value) count++
    }
    if (count > 0) lines.push(`${row.step} s: ${count} of ${row.values.length} slots differ`)
  }
  return lines
}

function fail(text: string): number {
  console.error(text)
  return 1
}
