/**
 * Imports a Whisper tree through the running store, file by file. What is done is noted, with the file's time
 * and size, in a journal beside the store's data after the store has synced it; a second run goes on from there
 * and takes only files that are new or have changed. A file that cannot be read is reported and left. A store that
 * restarts, or whose disk is full, is waited for; when it does not come back the run ends, and the next goes on.
 */

import { type Clock, sleep } from '../../lib/clock.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import { fromUtf8, toUtf8 } from '../../lib/bytes.ts'
import { type Disk, type DiskFile, isMissing } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import { showRetentions } from '../../metric/retention.ts'
import { ProgressBar, type ProgressOutput } from './progress-bar.ts'
import type { Schemas } from '../index/schemas.ts'
import type { StoreAdminClient } from './store-client.ts'
import { encodeSeries, type ImportReport } from '../whisper/whisper-exchange.ts'
import type { WhisperSeries } from '../whisper/whisper-format.ts'
import { readWhisper } from '../whisper/whisper-reader.ts'
import { type WhisperFile, walkWhisperTree } from '../whisper/whisper-walk.ts'

/** Files between two syncs. */
const SYNC_FILES = 200
const STORE_WAIT_MS_MAX = 60_000
const STORE_ASK_MS = 500

export interface WhisperImportOptions {
  readonly disk: Disk
  readonly clock: Clock
  readonly root: string
  readonly store: StoreAdminClient
  /** The journal. */
  readonly journalPath: string
  readonly schemas: Schemas
  readonly dryRun: boolean
  readonly output: ProgressOutput
  readonly report: (line: string) => void
}

export interface WhisperImportTotals {
  imported: number
  slots: number
  /** Done by an earlier run. */
  skipped: number
  failed: number
  /** Why it ended before the last file. */
  stopped: string | undefined
}

export async function importWhisperTree(
  options: WhisperImportOptions,
): Promise<WhisperImportTotals> {
  const { disk, root, clock, output } = options
  const files = [...walkWhisperTree(disk, root)]
  const run = new ImportRun(options)
  const bar = new ProgressBar(clock, output, files.length)
  let done = 0
  for (; done < files.length && run.totals.stopped === undefined; done++) {
    await run.take(files[done]!)
    bar.update(done + 1)
  }
  await run.finish()
  bar.finish(done)
  return run.totals
}

class ImportRun {
  readonly totals: WhisperImportTotals
  private readonly options: WhisperImportOptions
  private readonly done: Set<string>
  private readonly pending: string[]

  constructor(options: WhisperImportOptions) {
    this.totals = { imported: 0, slots: 0, skipped: 0, failed: 0, stopped: undefined }
    this.options = options
    this.done = options.dryRun ? new Set() : readJournal(options.disk, options.journalPath)
    this.pending = []
  }

  async take(file: WhisperFile): Promise<void> {
    const { disk, root, dryRun } = this.options
    const full = `${root}/${file.path}`
    const stat = disk.stat(full)
    const entry = `${full}\t${stat?.modifiedMs ?? 0}\t${stat?.bytes ?? 0}`
    if (this.done.has(entry)) {
      this.totals.skipped++
      return
    }
    const series = this.read(file, full)
    if (!series) return
    if (dryRun) return this.compare(file.name!, series)
    if (!(await this.send(file.name!, series))) return
    this.pending.push(entry)
    if (this.pending.length >= SYNC_FILES) await this.finish()
  }

  /** Notes in the journal what the store has synced. */
  async finish(): Promise<void> {
    const { store, disk, journalPath, report } = this.options
    if (this.pending.length === 0) return
    const synced = await store.ask('POST', '/sync')
    if (!synced.ok) return report(`not noted as done: ${synced.error}`)
    let journal: DiskFile | undefined
    try {
      journal = disk.open(journalPath, 'append')
      journal.append(toUtf8(this.pending.map((entry) => `${entry}\n`).join('')))
    } finally {
      journal?.close()
    }
    this.pending.length = 0
  }

  private read({ name, path }: WhisperFile, full: string): WhisperSeries | undefined {
    if (name === undefined) return this.fail(`${path}: its name is a hash, the series is unknown`)
    try {
      return readWhisper(this.options.disk.readFile(full), full)
    } catch (error) {
      if (error instanceof CorruptionError) return this.fail(error.message)
      return this.fail(`${full}: ${reason(error)}`)
    }
  }

  private async send(name: string, series: WhisperSeries): Promise<boolean> {
    const { store, report } = this.options
    const options = { query: { path: name }, body: encodeSeries(series) }
    let answer = await store.ask('POST', '/series', options)
    if (!answer.ok && !(await this.isReady())) {
      await this.waitForStore()
      if (this.totals.stopped !== undefined) return false
      answer = await store.ask('POST', '/series', options)
    }
    if (!answer.ok) {
      this.fail(`${name}: ${answer.error}`)
      return false
    }
    const { slots, stepsLeftOut } = JSON.parse(fromUtf8(answer.value)) as ImportReport
    this.totals.imported++
    this.totals.slots += slots
    for (const step of stepsLeftOut)
      report(`${name}: its ${step} s archive has no place in the store`)
    return true
  }

  private async isReady(): Promise<boolean> {
    return (await this.options.store.ask('GET', '/readyz')).ok
  }

  private async waitForStore(): Promise<void> {
    const { store, clock, report } = this.options
    const sinceMs = clock.monotonicMs()
    for (let isTold = false; ; isTold = true) {
      const ready = await store.ask('GET', '/readyz')
      if (ready.ok) return
      const why = ready.error.replaceAll('\n', '; ')
      if (!isTold) report(`waiting for the store: ${why}`)
      if (clock.monotonicMs() - sinceMs > STORE_WAIT_MS_MAX) {
        this.totals.stopped = why
        return
      }
      await sleep(clock, STORE_ASK_MS)
    }
  }

  /** What an import would bring beside the schemas. */
  private compare(name: string, series: WhisperSeries): void {
    const { retention, aggregation } = this.options.schemas.match(name)
    const file = describeRule(series)
    const rule = describeRule({ ...aggregation, archives: retention.archives })
    this.totals.imported++
    if (file !== rule) this.options.report(`${name}: file: ${file}; schemas: ${rule}`)
  }

  private fail(line: string): undefined {
    this.totals.failed++
    this.options.report(line)
  }
}

/** In words; factors that a file takes for the same are the same. */
export function describeRule({
  archives,
  method,
  xFilesFactor,
}: Omit<WhisperSeries, 'slots'>): string {
  const factor = Number(Math.fround(xFilesFactor).toPrecision(7))
  return `${showRetentions(archives)}, ${method}, xFilesFactor ${factor}`
}

function readJournal(disk: Disk, path: string): Set<string> {
  try {
    return new Set(fromUtf8(disk.readFile(path)).split('\n'))
  } catch (error) {
    if (isMissing(error)) return new Set()
    throw error
  }
}
