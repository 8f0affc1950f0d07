/**
 * The definitions of all series, as records of the log's kinds (wal-format.ts) in a file of their own. A
 * checkpoint appends what the log had since the last one; when most of the file is about series that are
 * gone or were renamed, the next checkpoint writes it anew. Paths live here and in the index only.
 */

import { ByteWriter } from '../../lib/bytes.ts'
import type { Disk, DiskFile } from '../../lib/disk.ts'
import type { SeriesDefinition } from '../engine.ts'
import { seriesLogPath } from './filenames.ts'
import type { TimeSlice } from '../../lib/time-slice.ts'
import {
  appendDefine,
  appendRedefine,
  appendRemove,
  appendSwitch,
  beginRecord,
  decodeDefine,
  decodeRedefine,
  decodeRemove,
  decodeRename,
  decodeSwitch,
  endRecord,
  FILE_HEADER_BYTES,
  fileHeader,
  RecordType,
  type Redefinition,
  SERIES_MAGIC,
} from './wal-format.ts'
import { readLog, readLogInSlices } from './wal-reader.ts'

const REWRITE_RECORDS_MIN = 10_000
/** A burst of new series makes more of them, once. */
const PENDING_BYTES_KEPT = 64 * 1024

export class SeriesLog {
  private readonly disk: Disk
  private readonly dir: string
  private file: DiskFile
  generation: number
  /** Bytes that are in the file, without those of `pending`. */
  bytes: number
  private records = 0
  /** Bytes behind those are there in part, or not for sure. */
  private isSuspect = false
  private readonly pending = new ByteWriter(1024)

  private constructor(disk: Disk, dir: string, generation: number, file: DiskFile, bytes: number) {
    this.disk = disk
    this.dir = dir
    this.generation = generation
    this.file = file
    this.bytes = bytes
  }

  static create(disk: Disk, dir: string, generation: number): SeriesLog {
    const file = disk.open(seriesLogPath(dir, generation), 'create')
    file.append(fileHeader(SERIES_MAGIC))
    file.syncNow()
    return new SeriesLog(disk, dir, generation, file, FILE_HEADER_BYTES)
  }

  /** Opens what a manifest names, cut to the bytes that it counts on, and calls `each` for its records. */
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
    const path = seriesLogPath(dir, at.generation)
    const options = { ...reading, magic: SERIES_MAGIC, end: at.bytes }
    const { whole, records } = await readLogInSlices(disk, path, options)
    const file = disk.open(path, 'append')
    file.truncate(whole)
    const log = new SeriesLog(disk, dir, at.generation, file, whole)
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
   * written again with the next call.
   */
  async save(live: number, nextGeneration: () => number): Promise<void> {
    const added = this.pending.copy()
    if (added.length > 0) {
      if (this.isSuspect) this.file.truncate(this.bytes)
      this.isSuspect = true
      this.file.append(added)
      await this.file.sync()
      this.isSuspect = false
      this.bytes += added.length
      const since = this.pending.written().slice(added.length)
      this.pending.resetTo(PENDING_BYTES_KEPT)
      this.pending.raw(since)
    }
    if (this.records > REWRITE_RECORDS_MIN && this.records > 3 * live)
      await this.rewrite(nextGeneration())
  }

  close(): void {
    this.file.close()
  }

  /** The same series in one record each, and what changed their rules after that. */
  private async rewrite(generation: number): Promise<void> {
    const definitions = new Map<number, SeriesDefinition>()
    const changes: (Redefinition | Omit<Redefinition, 'rule'>)[] = []
    let highest = 0
    const old = seriesLogPath(this.dir, this.generation)
    readLog(this.disk, old, SERIES_MAGIC, (type, payload) => {
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
      else if (type === RecordType.remove) definitions.delete(decodeRemove(payload))
    })
    const dst = new ByteWriter(1 << 20)
    for (const definition of definitions.values()) appendDefine(dst, definition)
    for (const change of changes) {
      if (!definitions.has(change.id)) continue
      if ('rule' in change) appendRedefine(dst, change)
      else appendSwitch(dst, change.id, change.from)
    }
    // An id that was given is not given again, even when it was the highest.
    if (!definitions.has(highest)) appendRemove(dst, highest)
    const file = this.disk.open(seriesLogPath(this.dir, generation), 'create')
    file.append(fileHeader(SERIES_MAGIC))
    file.append(dst.written())
    await file.sync()
    this.file.close()
    this.file = file
    this.generation = generation
    this.bytes = FILE_HEADER_BYTES + dst.length
    this.records = definitions.size
  }
}
