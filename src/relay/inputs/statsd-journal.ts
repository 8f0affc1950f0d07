/**
 * What statsd has gathered since its last flush, as the lines that it was told, so that a killed relay goes
 * on where it was: `spool/statsd.journal`, text in the bytes that came.
 *
 * ```
 *   emon-statsd 4 5e1ff00dcafe0123 41        the source of its results (ipc/sources-format.ts), its last sequence
 *   counter hits                  what the flush before left (`Statsd.idleLines`)
 *   hits:1|c                      lines, appended every 200 ms
 *   flush 1700000010              a flush with that time; what follows came after it
 *   hits:3|c
 * ```
 *
 * A flush is noted before its results leave. When they have been somewhere for a while (`settle`), the file
 * begins anew with what outlives the flush and what came since; a process that dies earlier leaves a file whose
 * reader flushes again, with the same time and the same results in the same order, so that their parts are the same.
 * A last line without its newline is a write cut short, and is cut off before more is appended. Every sample has a
 * bar, and no other line. Version 3 has what a flush left as samples, and not all of it.
 */

import { ByteWriter, NEWLINE } from '../../lib/bytes.ts'
import { NewerVersionError } from '../../lib/corruption.ts'
import { appendWhole, type Disk, type DiskFile, isDiskFull, isMissing } from '../../lib/disk.ts'
import { latin1 } from '../../metric/number.ts'

const VERSION = 4
const HEADER_RE = /^emon-statsd (\d+)(?: ([0-9a-f]{16}) (\d+))?\n/
const HEADER_BYTES_MAX = 64
const FLUSH_RE = /^flush (\d+)$/
const BAR = 0x7c
const TAIL_BYTES = 4096
/** More than this of lines that wait is given back when they have been written. */
const WAITING_BYTES_KEPT = 64 * 1024

export interface JournalReplay {
  /** The line `bytes[start, end)`. */
  readonly sample: (bytes: Uint8Array, start: number, end: number) => void
  readonly idle: (line: string) => void
  readonly flush: (timestamp: number) => void
}

export class StatsdJournal {
  /** Where results come from: the same as long as the file is there. */
  source: string
  /** Of the last part of a flush. */
  private sequence: number
  private readonly disk: Disk
  private readonly path: string
  private file: DiskFile | undefined
  private readonly waiting: ByteWriter
  /** What a flush left and what was written since: the next file. Undefined: no flush is unsettled. */
  private next: ByteWriter | undefined

  /** `id`: eight bytes that no other journal has. */
  constructor(disk: Disk, path: string, id: Uint8Array) {
    this.source = Buffer.from(id).toString('hex')
    this.sequence = 0
    this.disk = disk
    this.path = path
    this.file = undefined
    this.waiting = new ByteWriter(4096)
    this.next = undefined
  }

  /** What an earlier process was told, in order; call `flushed` when a flush has been made again. */
  read({ sample, idle, flush }: JournalReplay): void {
    let bytes: Uint8Array
    try {
      bytes = this.disk.readFile(this.path)
    } catch (error) {
      if (isMissing(error)) return
      throw error
    }
    const header = HEADER_RE.exec(latin1(bytes, 0, Math.min(bytes.length, HEADER_BYTES_MAX)))
    if (!header) return
    const version = Number(header[1])
    if (version > VERSION) throw new NewerVersionError(this.path, version, VERSION)
    this.source = header[2] ?? this.source
    this.sequence = Number(header[3] ?? 0)
    let start = header[0].length
    for (let end; (end = bytes.indexOf(NEWLINE, start)) >= 0; start = end + 1) {
      const bar = bytes.indexOf(BAR, start)
      if (bar >= 0 && bar < end) {
        sample(bytes, start, end)
        this.next?.raw(bytes.subarray(start, end + 1))
        continue
      }
      const line = latin1(bytes, start, end)
      const time = FLUSH_RE.exec(line)?.[1]
      if (time === undefined) idle(line)
      else flush(Number(time))
    }
  }

  /** Of the next part of a flush that was noted. */
  nextSequence(): number {
    return ++this.sequence
  }

  /** The line `bytes[start, end)` has been taken. */
  note(bytes: Uint8Array, start: number, end: number): void {
    const { waiting } = this
    const at = waiting.skip(end - start + 1) - start
    for (let i = start; i < end; i++) waiting.bytes[at + i] = bytes[i]!
    waiting.bytes[at + end] = NEWLINE
  }

  /** The file has all that was noted, and nothing that it does not need. */
  get isSettled(): boolean {
    return this.waiting.length === 0 && this.next === undefined
  }

  /** Appends what was noted; on a full disk it waits for the next call. */
  write(): void {
    const { waiting } = this
    if (waiting.length === 0) return
    try {
      this.file ??= this.open()
      appendWhole(this.file, waiting.written())
      this.next?.raw(waiting.written())
      waiting.resetTo(WAITING_BYTES_KEPT)
    } catch (error) {
      if (!isDiskFull(error)) throw error
    }
  }

  /** Everything until now is about to be flushed; false when the disk is full, so that nothing will tell of it. */
  noteFlush(timestamp: number): boolean {
    this.next = undefined
    this.waiting.raw(Buffer.from(`flush ${timestamp}\n`))
    this.write()
    return this.waiting.length === 0
  }

  /** The flush has been made, and this is what outlives it. What a full disk did not take before is settled too. */
  flushed(lines: Iterable<string>): void {
    this.waiting.resetTo(WAITING_BYTES_KEPT)
    this.next = new ByteWriter(4096)
    this.next.raw(this.header)
    for (const line of lines) this.next.raw(Buffer.from(`${line}\n`, 'latin1'))
  }

  /** The results of the last flush are where they belong. On a full disk the next call tries again. */
  settle(): void {
    if (this.next === undefined) return
    try {
      this.disk.replaceFile(this.path, this.next.written())
    } catch (error) {
      if (!isDiskFull(error)) throw error
      return
    }
    this.file?.close()
    this.file = undefined
    this.next = undefined
  }

  close(): void {
    this.write()
    this.settle()
    this.file?.close()
    this.file = undefined
  }

  private get header(): Uint8Array {
    return Buffer.from(`emon-statsd ${VERSION} ${this.source} ${this.sequence}\n`)
  }

  private open(): DiskFile {
    const file = this.disk.open(this.path, 'append')
    try {
      const whole = wholeLines(file, file.size())
      file.truncate(whole)
      if (whole === 0) appendWhole(file, this.header)
      return file
    } catch (error) {
      file.close()
      throw error
    }
  }
}

/** Where the file's last newline ends: the piece of a line behind it may read as another one. */
function wholeLines(file: DiskFile, size: number): number {
  for (let end = size; end > 0; end -= TAIL_BYTES) {
    const start = Math.max(0, end - TAIL_BYTES)
    const newline = file.read(start, end - start).lastIndexOf(NEWLINE)
    if (newline >= 0) return start + newline + 1
  }
  return 0
}
