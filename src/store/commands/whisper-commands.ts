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
import { formatRetentions } from '../../metric/retention.ts'
import type { FetchedSlots } from '../engine.ts'
import { loadSchemas } from '../index/schemas.ts'
import { StoreAdminClient } from './store-client.ts'
import type { WhisperSeries } from '../whisper/whisper-format.ts'
import { importWhisperTree } from './whisper-import.ts'
import { fileOfName } from '../whisper/whisper-names.ts'
import { readWhisper } from '../whisper/whisper-reader.ts'
import { walkWhisperTree } from '../whisper/whisper-walk.ts'

const USAGE = `usage: bun run whisper import DIR [--dry-run]
       bun run whisper export DIR [PREFIX]
       bun run whisper info FILE…
       bun run whisper diff DIR`
const EXIT_USAGE = 64

export async function runWhisperCommand(words: readonly string[], config: Config): Promise<number> {
  const [command, ...rest] = words.filter((word) => !word.startsWith('--'))
  const [target] = rest
  const store = new StoreAdminClient(config.run)
  const dryRun = words.includes('--dry-run')
  if (target !== undefined) {
    switch (command) {
      case 'import':
        return await runImport(config, store, { root: resolve(target), dryRun })
      case 'export':
        return await runExport(store, realDisk, { root: resolve(target), prefix: rest[1] ?? '' })
      case 'info':
        return printInfo(realDisk, rest)
      case 'diff':
        return await runDiff(store, realDisk, resolve(target))
    }
  }
  console.error(USAGE)
  return EXIT_USAGE
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
  if (!dryRun && !(await store.isRunning())) return fail(`no store runs in ${config.run}`)
  const totals = await importWhisperTree({
    disk: realDisk,
    clock: systemClock,
    root,
    store,
    journalPath: `${config.data}/whisper-import.journal`,
    schemas: schemas.value,
    dryRun,
    output: process.stderr,
    report: (line) => console.log(line),
  })
  const { imported, slots, skipped, failed } = totals
  const verb = dryRun ? 'to import' : 'imported'
  console.log(
    `${imported} series ${verb}, ${slots} slots, ${skipped} done before, ${failed} failed`,
  )
  return failed === 0 ? 0 : 1
}

/** Writes every series whose name starts with the prefix as a file. */
async function runExport(
  store: StoreAdminClient,
  disk: Disk,
  { root, prefix }: { root: string; prefix: string },
): Promise<number> {
  let exported = 0
  for await (const name of allNames(store)) {
    if (typeof name !== 'string') return fail(name.error)
    if (!name.startsWith(prefix)) continue
    const file = await store.ask('GET', '/whisper', { query: { path: name } })
    if (!file.ok) return fail(`${name}: ${file.error}`)
    const path = `${root}/${fileOfName(name)}`
    disk.makeDir(dirname(path))
    disk.replaceFile(path, file.value, 0o644)
    exported++
  }
  console.log(`${exported} series exported to ${root}`)
  return 0
}

async function* allNames(store: StoreAdminClient): AsyncGenerator<string | { error: string }> {
  for (let after = ''; ;) {
    const answer = await store.ask('GET', '/names', { query: { after } })
    if (!answer.ok) {
      yield { error: answer.error }
      return
    }
    const { paths, more } = JSON.parse(fromUtf8(answer.value)) as IndexReply
    yield* paths
    if (!more) return
    after = paths.at(-1)!
  }
}

function printInfo(disk: Disk, files: readonly string[]): number {
  let failed = 0
  for (const file of files) {
    try {
      const { archives, method, xFilesFactor, slots } = readWhisper(disk.readFile(file), file)
      console.log(
        `${file}\n  ${formatRetentions(archives)}, ${method}, xFilesFactor ${xFilesFactor}`,
      )
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
  let compared = 0
  let different = 0
  for (const { path, name } of walkWhisperTree(disk, root)) {
    if (name === undefined) continue
    const answer = await store.ask('GET', '/whisper', { query: { path: name } })
    compared++
    const lines = answer.ok
      ? differences(
          readWhisper(disk.readFile(`${root}/${path}`), path),
          readWhisper(answer.value, name),
        )
      : [answer.error]
    if (lines.length > 0) different++
    for (const line of lines) console.log(`${name}: ${line}`)
  }
  console.log(`${compared} series compared, ${different} differ`)
  return different === 0 ? 0 : 1
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
