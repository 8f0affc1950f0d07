/**
 * The definitions of all series, as records of the log's kinds (wal-format.ts) in a file of their own. A
 * checkpoint appends what the log had since the last one; when most of the file is about series that are
 * gone or were renamed, the next checkpoint writes it anew. Paths live here and in the index only.
 *
 * Records that are damaged cost the series that they are about; the next save writes the others to a new file.
 */

import { ByteWriter } from '../../lib/bytes.ts'
import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import type { SeriesDefinition } from '../engine.ts'
import { seriesDir, seriesLogPath } from './filenames.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'
import {
  appendDefine,
  appendRedefine,
  appendRemove,
  appendSwitch,
  decodeDefine,
  decodeRedefine,
  decodeRemove,
  decodeRename,
  decodeSwitch,
  type Redefinition,
} from './series-records.ts'
import {
  beginRecord,
  endRecord,
  FILE_HEADER_BYTES,
  fileHeader,
  RecordType,
  SERIES_MAGIC,
} from './wal-format.ts'
import { readLog, readLogInSlices } from './wal-reader.ts'

const REWRITE_RECORDS_MIN = 10_000
/** A burst of new series makes more of them, once. */
const PENDING_BYTES_KEPT = 64 * 1024

export class SeriesLog {
  private readonly disk: Disk
  private readonly dir: string
  /** Opened with the first save. */
  private file: DiskFile | undefined
  generation: number
  /** Bytes of the file that count, without those of `pending`; 0 when it is not made yet. */
  bytes = 0
  /** The first damage that was met while it was read. */
  damage: CorruptionError | undefined
  private records = 0
  /** Bytes behind those that count may be there, in part or not for sure. */
  private isSuspect = true
  private readonly pending = new ByteWriter(1024)

  /** One that is made with the first save. */
  constructor(disk: Disk, dir: string, generation: number) {
    this.disk = disk
    this.dir = dir
    this.generation = generation
  }

  /** Reads what a manifest names, as far as it counts on it, and calls `each` for its records. */
  static async load(
    disk: Disk,
    dir: string,
    at: { readonly generation: number; readonly bytes: number },
    reading: {
      readonly each: (type: number, payload: Uint8Array) => void
      readonly slice: TimeSlice
      readonly onRead: (bytes: number) => void
    },
  ): Promise<SeriesLog> {
    const log = new SeriesLog(disk, dir, at.generation)
    const path = seriesLogPath(dir, at.generation)
    const { whole, records } = await readLogInSlices(disk, path, {
      ...reading,
      magic: SERIES_MAGIC,
      end: at.bytes,
      onDamage(from, to) {
        log.damage ??= new CorruptionError(path, from, `no whole record in ${to - from} bytes`)
      },
    })
    if (whole < at.bytes && at.bytes < Infinity)
      log.damage ??= new CorruptionError(path, whole, 'file is cut short')
    log.bytes = whole
    log.records = records
    return log
  }

  /** A record of the log, to be written with the next `save`. */
  add(type: number, payload: Uint8Array): void {
    const at = beginRecord(this.pending, type)
    this.pending.raw(payload)
    endRecord(this.pending, at)
    this.records++
  }

  /**
   * Writes and syncs what was added; `live` is how many series there are. What a failed sync may have lost is
   * written again with the next call. Answers the path of a damaged file that another one has taken the place of.
   */
  async save(live: number, nextGeneration: () => number): Promise<string | undefined> {
    if (this.pending.length > 0 || this.bytes === 0) await this.append(this.pending.copy())
    const isMostlyPast = this.records > REWRITE_RECORDS_MIN && this.records > 3 * live
    if (!this.damage && !isMostlyPast) return undefined
    const damaged = this.damage?.file
    await this.rewrite(nextGeneration())
    return damaged
  }

  close(): void {
    this.file?.close()
    this.file = undefined
  }

  private async append(added: Uint8Array): Promise<void> {
    this.file ??= this.disk.open(seriesLogPath(this.dir, this.generation), 'append')
    const { file } = this
    if (this.isSuspect) file.truncate(this.bytes)
    this.isSuspect = true
    const header = this.bytes === 0 ? fileHeader(SERIES_MAGIC) : new Uint8Array(0)
    file.append(header)
    file.append(added)
    await file.sync()
    if (this.bytes === 0) await this.disk.syncDirAsync(seriesDir(this.dir))
    this.isSuspect = false
    this.bytes += header.length + added.length
    const since = this.pending.written().slice(added.length)
    this.pending.resetTo(PENDING_BYTES_KEPT)
    this.pending.raw(since)
  }

  /** The same series in one record each, and what changed their rules after that. */
  private async rewrite(generation: number): Promise<void> {
    const definitions = new Map<number, SeriesDefinition>()
    const changes: (Redefinition | Omit<Redefinition, 'rule'>)[] = []
    let highest = 0
    const old = seriesLogPath(this.dir, this.generation)
    const each = (type: number, payload: Uint8Array): void => {
      if (type === RecordType.define) {
        const definition = decodeDefine(payload)
        definitions.set(definition.id, definition)
        highest = Math.max(highest, definition.id)
      } else if (type === RecordType.rename) {
        const { id, path } = decodeRename(payload)
        const definition = definitions.get(id)
        if (definition) definitions.set(id, { ...definition, path })
      } else if (type === RecordType.redefine) changes.push(decodeRedefine(payload))
      else if (type === RecordType.switch) changes.push(decodeSwitch(payload))
      else if (type === RecordType.remove) {
        const id = decodeRemove(payload)
        definitions.delete(id)
        highest = Math.max(highest, id)
      }
    }
    readLog(this.disk, old, { magic: SERIES_MAGIC, each, end: this.bytes, onDamage() {} })
    const dst = new ByteWriter(1 << 20)
    for (const definition of definitions.values()) appendDefine(dst, definition)
    for (const change of changes) {
      if (!definitions.has(change.id)) continue
      if ('rule' in change) appendRedefine(dst, change)
      else appendSwitch(dst, change.id, change.from)
    }
    // An id that was given is not given again, even when it was the highest.
    if (!definitions.has(highest)) appendRemove(dst, highest)
    const file = await this.create(generation, dst.written())
    this.close()
    this.file = file
    this.damage = undefined
    this.generation = generation
    this.bytes = FILE_HEADER_BYTES + dst.length
    this.records = definitions.size
  }

  /** A file with these records, synced; there is none when that fails. */
  private async create(generation: number, records: Uint8Array): Promise<DiskFile> {
    const path = seriesLogPath(this.dir, generation)
    const file = this.disk.open(path, 'create')
    try {
      file.append(fileHeader(SERIES_MAGIC))
      file.append(records)
      await file.sync()
      await this.disk.syncDirAsync(seriesDir(this.dir))
      return file
    } catch (error) {
      file.close()
      this.disk.remove(path)
      throw error
    }
  }
}
