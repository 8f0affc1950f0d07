/**
 * The queue: folders of queue files, and the index of what is in them.
 *
 * ```
 * active/    accepted, not yet tried or never failed     hold/     set aside by hand
 * deferred/  has failed at least once                    corrupt/  damaged, for a person to look at
 * drop/      left by `sendmail` while the mailer was away (drop-folder.ts)
 * ```
 *
 * A message moves by rename, and only forwards by itself: active → deferred. Its name is its id: arrival
 * in milliseconds, then a count, in base 36, so names sort by arrival. New files need no sync of their
 * folder (ext4 and xfs commit the name with the file's first sync); removals and moves are made durable by
 * one pass a second later, deferred/ before active/, so no name is ever lost on the way.
 *
 * Fails: damage found when a file is read moves it to corrupt/, is logged and counted. Errors of the disk
 * are thrown.
 */

import { ByteWriter } from '../lib/bytes.ts'
import { type Clock, sleep, type Timer } from '../lib/clock.ts'
import { CorruptionError } from '../lib/corruption.ts'
import { appendWhole, type Disk, type DiskFile, isMissing } from '../lib/disk.ts'
import { type Log, reason } from '../lib/log.ts'
import type { Counter, Stats } from '../lib/stats.ts'
import { IncompleteError, QueueFile } from './queue-file.ts'
import {
  type Envelope,
  MODE_COMPLETE,
  RecordType,
  type State,
  writeJsonRecord,
} from './queue-format.ts'
import { QueueWriter } from './queue-writer.ts'

export type Folder = 'active' | 'deferred' | 'hold'

const FOLDERS: readonly Folder[] = ['active', 'deferred', 'hold']
const SYNC_DELAY_MS = 1_000
const FRESH_MAX = 1_000

/** What the index keeps of a message: little, so that a long queue stays cheap. */
export interface QueueEntry {
  readonly id: string
  folder: Folder
  readonly bytes: number
  readonly arrivalMs: number
  readonly expiresMs: number
  attempts: number
  nextAttemptMs: number
  /** The destination that is to blame for the last failure as a whole, or ''. */
  blamed: string
  /** The message that this one is a bounce of, or ''. */
  readonly bounceOf: string
  /** The file in drop/ that it was read from, or ''. */
  readonly drop: string
  /** What is known of it and could not be written: the disk was full. Counts instead of the file's state. */
  unsaved: State | undefined
}

export interface MailQueueOptions {
  readonly dir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
}

export class MailQueue {
  readonly entries: Map<string, QueueEntry>
  /** Of all messages together. */
  bytes: number
  private readonly options: MailQueueOptions
  private readonly corrupted: Counter
  private readonly torn: Counter
  /** Small messages that were just accepted and not asked for yet. */
  private readonly fresh: Map<string, QueueFile>
  private readonly removing: Set<Promise<void>>
  private lastIdMs: number
  private lastIdCount: number
  private syncTimer: Timer | undefined

  constructor(options: MailQueueOptions) {
    this.options = options
    this.entries = new Map()
    this.bytes = 0
    this.corrupted = options.stats.counter('queue.corrupt')
    this.torn = options.stats.counter('queue.torn')
    this.fresh = new Map()
    this.removing = new Set()
    this.lastIdMs = 0
    this.lastIdCount = 0
    this.syncTimer = undefined
    for (const folder of FOLDERS) {
      options.stats.gauge(`queue.${folder}`, () => this.count(folder))
    }
    options.stats.gauge('queue.bytes', () => this.bytes)
    options.stats.gauge('queue.oldestSeconds', () => this.oldestSeconds())
  }

  /** Makes the folders and reads what is in them. */
  async open(progress: (text: string) => void): Promise<void> {
    const { disk, dir, clock } = this.options
    disk.makeDir(dir, 0o711)
    for (const folder of [...FOLDERS, 'corrupt']) disk.makeDir(`${dir}/${folder}`, 0o700)
    for (const folder of FOLDERS) {
      const ids = disk.list(`${dir}/${folder}`)
      for (let i = 0; i < ids.length; i++) {
        this.recover(folder, ids[i]!)
        if (i % 200 !== 199) continue
        progress(`reading the queue: ${i + 1} of ${ids.length} in ${folder}`)
        await sleep(clock, 0)
      }
    }
    this.settleBounces()
  }

  /** Starts a new message. */
  create(): QueueWriter {
    const id = this.nextId()
    return new QueueWriter(this.options.disk, { id, path: this.path('active', id) })
  }

  /** Takes a committed message into the index. */
  add(writer: QueueWriter, envelope: Envelope): QueueEntry {
    const entry: QueueEntry = {
      id: writer.id,
      folder: 'active',
      bytes: writer.messageBytes,
      arrivalMs: envelope.arrivalMs,
      expiresMs: envelope.expiresMs,
      attempts: 0,
      nextAttemptMs: 0,
      blamed: '',
      bounceOf: envelope.bounceOf ?? '',
      drop: envelope.drop ?? '',
      unsaved: undefined,
    }
    this.entries.set(entry.id, entry)
    this.bytes += entry.bytes
    const file = this.fresh.size < FRESH_MAX ? writer.fresh() : undefined
    if (file) this.fresh.set(entry.id, file)
    return entry
  }

  /** A message's file, every byte of it checked. Undefined when it was damaged: it is in corrupt/ then. */
  load(entry: QueueEntry): QueueFile | undefined {
    const fresh = this.fresh.get(entry.id)
    if (fresh && this.fresh.delete(entry.id)) return fresh
    const path = this.path(entry.folder, entry.id)
    try {
      const file = QueueFile.open(this.options.disk, path)
      file.verify()
      return file
    } catch (error) {
      const isDamaged = error instanceof CorruptionError || error instanceof IncompleteError
      if (!isDamaged && !isMissing(error)) throw error
      this.forget(entry)
      if (isDamaged) this.moveToCorrupt(entry.folder, entry.id, error)
      else this.options.log.warn('somebody else removed a message', { id: entry.id })
      return undefined
    }
  }

  /** Records what has become of a message so far; with `durable`, resolves when that survives a power cut. */
  async save(entry: QueueEntry, state: State, durable: boolean): Promise<void> {
    entry.unsaved = state
    const file = this.append(this.path(entry.folder, entry.id), state)
    entry.unsaved = undefined
    try {
      entry.attempts = state.attempts
      entry.nextAttemptMs = state.nextAttemptMs
      entry.blamed = state.blamed ?? ''
      if (durable) await file.sync()
    } finally {
      file.close()
    }
  }

  move(entry: QueueEntry, to: Folder): void {
    if (entry.folder === to) return
    this.options.disk.rename(this.path(entry.folder, entry.id), this.path(to, entry.id))
    const from = entry.folder
    entry.folder = to
    if (from === 'active' && to === 'deferred') this.syncLater()
    else {
      this.options.disk.syncDir(`${this.options.dir}/${to}`)
      this.options.disk.syncDir(`${this.options.dir}/${from}`)
    }
  }

  /** Done with: marked so at once, which a kill cannot undo; the file goes when the disk has time. */
  remove(entry: QueueEntry): void {
    const { disk, log } = this.options
    const path = this.path(entry.folder, entry.id)
    this.forget(entry)
    try {
      this.append(path, { pending: [], attempts: entry.attempts, nextAttemptMs: 0 }).close()
    } catch (error) {
      // A full disk, most likely: removing the file makes room all the same.
      log.warn('cannot mark a message as done', { id: entry.id, reason: reason(error) })
    }
    const removed = disk.removeAsync(path).then(
      () => this.syncLater(),
      (error: unknown) =>
        log.warn('cannot remove a message', { id: entry.id, reason: reason(error) }),
    )
    this.removing.add(removed)
    void removed.finally(() => this.removing.delete(removed))
  }

  count(folder: Folder): number {
    let count = 0
    for (const entry of this.entries.values()) if (entry.folder === folder) count++
    return count
  }

  /** Makes removals and moves durable now. */
  async close(): Promise<void> {
    await Promise.all(this.removing)
    if (this.syncTimer) this.sync()
  }

  private oldestSeconds(): number {
    let oldest = Infinity
    for (const entry of this.entries.values()) oldest = Math.min(oldest, entry.arrivalMs)
    return oldest === Infinity ? 0 : Math.max(0, (this.options.clock.nowMs() - oldest) / 1000)
  }

  private recover(folder: Folder, id: string): void {
    const { disk, log } = this.options
    const path = this.path(folder, id)
    const stat = disk.stat(path)
    if (!stat?.isFile) return
    try {
      const file = QueueFile.open(disk, path)
      // Not marked complete: only its content can vouch for it.
      if (stat.mode !== MODE_COMPLETE) file.verify()
      if (file.state?.pending.length === 0) return disk.remove(path)
      this.index(folder, id, file)
      if (file.soundBytes < stat.bytes) this.truncate(path, file.soundBytes)
    } catch (error) {
      if (error instanceof IncompleteError && stat.mode !== MODE_COMPLETE) {
        this.torn.value++
        log.info('removed a message that was never accepted', { id, bytes: stat.bytes })
        disk.remove(path)
      } else if (error instanceof CorruptionError || error instanceof IncompleteError) {
        this.moveToCorrupt(folder, id, error)
      } else throw error
    }
  }

  private index(folder: Folder, id: string, file: QueueFile): void {
    this.entries.set(id, {
      id,
      folder,
      bytes: file.messageBytes,
      arrivalMs: file.envelope.arrivalMs,
      expiresMs: file.envelope.expiresMs,
      attempts: file.state?.attempts ?? 0,
      nextAttemptMs: file.state?.nextAttemptMs ?? 0,
      blamed: file.state?.blamed ?? '',
      bounceOf: file.envelope.bounceOf ?? '',
      drop: file.envelope.drop ?? '',
      unsaved: undefined,
    })
    this.bytes += file.messageBytes
  }

  /**
   * A bounce is committed before its message is told so, and sent only after. Where a crash came in
   * between, both are here: the message is done with the recipients that the bounce reports.
   */
  private settleBounces(): void {
    const bounces = [...this.entries.values()].filter(({ bounceOf }) => bounceOf !== '')
    for (const bounce of bounces) {
      const original = this.entries.get(bounce.bounceOf)
      if (!original) continue
      const report = this.load(bounce)
      const file = this.load(original)
      if (report && file) this.settleBounce(original, file, report)
    }
  }

  private settleBounce(original: QueueEntry, file: QueueFile, report: QueueFile): void {
    const reported = new Set(report.envelope.reported)
    const pending = (file.state?.pending ?? file.envelope.recipients.map(unanswered)).filter(
      ({ address }) => !reported.has(address),
    )
    if (pending.length === 0) this.remove(original)
    else {
      const { attempts, nextAttemptMs } = original
      void this.save(original, { pending, attempts, nextAttemptMs }, false)
    }
  }

  /** Adds a state to a message's file, whole or not at all; the caller closes it. */
  private append(path: string, state: State): DiskFile {
    const out = new ByteWriter(512)
    writeJsonRecord(out, RecordType.state, state)
    const file = this.options.disk.open(path, 'append')
    try {
      appendWhole(file, out.written())
      return file
    } catch (error) {
      file.close()
      throw error
    }
  }

  private truncate(path: string, bytes: number): void {
    const file = this.options.disk.open(path, 'append')
    file.truncate(bytes)
    file.close()
  }

  private moveToCorrupt(folder: Folder, id: string, error: Error): void {
    this.corrupted.value++
    this.options.log.error('moved a damaged message to corrupt', { id, reason: reason(error) })
    this.options.disk.rename(this.path(folder, id), `${this.options.dir}/corrupt/${id}`)
  }

  private forget(entry: QueueEntry): void {
    this.entries.delete(entry.id)
    this.fresh.delete(entry.id)
    this.bytes -= entry.bytes
  }

  private path(folder: Folder, id: string): string {
    return `${this.options.dir}/${folder}/${id}`
  }

  private nextId(): string {
    const nowMs = this.options.clock.nowMs()
    if (nowMs > this.lastIdMs) {
      this.lastIdMs = nowMs
      this.lastIdCount = 0
    }
    for (;;) {
      const id =
        `${this.lastIdMs.toString(36)}${(this.lastIdCount++).toString(36).padStart(3, '0')}`.toUpperCase()
      if (!this.entries.has(id)) return id
    }
  }

  private syncLater(): void {
    this.syncTimer ??= this.options.clock.after(SYNC_DELAY_MS, () => this.sync())
  }

  private sync(): void {
    this.syncTimer?.cancel()
    this.syncTimer = undefined
    try {
      for (const folder of ['deferred', 'active']) {
        this.options.disk.syncDir(`${this.options.dir}/${folder}`)
      }
    } catch (error) {
      this.options.log.warn('cannot sync the queue', { reason: reason(error) })
    }
  }
}

function unanswered(address: string): { address: string } {
  return { address }
}
