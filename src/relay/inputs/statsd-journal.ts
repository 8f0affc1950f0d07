/**
 * What statsd has gathered since its last flush, as the lines that it was told, so that a killed relay goes
 * on where it was: `spool/statsd.journal`, text.
 *
 * ```
 *   emon-statsd 3 5e1ff00dcafe0123 41        the source of its results (ipc/sources-format.ts), its last sequence
 *   hits:1|c                      lines, appended every 200 ms
 *   flush 1700000010              a flush with that time; what follows came after it
 *   hits:3|c
 * ```
 *
 * A flush is noted before its results leave. When they have been somewhere for a while (`settle`), the file
 * begins anew with what outlives the flush and what came since; a process that dies earlier leaves a file whose
 * reader flushes again, with the same time and the same results. A last line without its newline is a write
 * cut short. No sample looks like a `flush` line: it would have a colon.
 */

import { ByteWriter, fromUtf8, NEWLINE, toUtf8 } from '../../lib/bytes.ts'
import { NewerVersionError } from '../../lib/corruption.ts'
import { type Disk, type DiskFile, isDiskFull, isMissing } from '../../lib/disk.ts'

const VERSION = 3
const HEADER_RE = /^emon-statsd (\d+)(?: ([0-9a-f]{16}) (\d+))?\n/
const FLUSH_RE = /^flush (\d+)$/

export interface JournalReplay {
  readonly sample: (line: string) => void
  readonly flush: (timestamp: number) => void
}

export class StatsdJournal {
  /** Where results come from: the same as long as the file is there. */
  source: string
  /** Of the last flush. */
  sequence: number
  private readonly disk: Disk
  private readonly path: string
  private file: DiskFile | undefined
  private waiting: string
  /** What a flush left and what was written since: the next file. Undefined: no flush is unsettled. */
  private next: ByteWriter | undefined

  /** `id`: eight bytes that no other journal has. */
  constructor(disk: Disk, path: string, id: Uint8Array) {
    this.source = Buffer.from(id).toString('hex')
    this.sequence = 0
    this.disk = disk
    this.path = path
    this.file = undefined
    this.waiting = ''
    this.next = undefined
  }

  /** What an earlier process was told, in order; call `flushed` when a flush has been made again. */
  read({ sample, flush }: JournalReplay): void {
    let text: string
    try {
      text = fromUtf8(this.disk.readFile(this.path))
    } catch (error) {
      if (isMissing(error)) return
      throw error
    }
    const header = HEADER_RE.exec(text)
    if (!header) return
    const version = Number(header[1])
    if (version > VERSION) throw new NewerVersionError(this.path, version, VERSION)
    this.source = header[2] ?? this.source
    this.sequence = Number(header[3] ?? 0)
    const end = text.lastIndexOf('\n')
    for (const line of text.slice(header[0].length, end).split('\n')) {
      const timestamp = FLUSH_RE.exec(line)?.[1]
      if (timestamp !== undefined) {
        this.sequence++
        flush(Number(timestamp))
        continue
      }
      sample(line)
      this.next?.raw(toUtf8(`${line}\n`))
    }
  }

  note(line: string): void {
    this.waiting += `${line}\n`
  }

  /** Appends what was noted; on a full disk it waits for the next call. */
  write(): void {
    if (this.waiting === '') return
    try {
      this.file ??= this.open()
      const bytes = toUtf8(this.waiting)
      this.file.append(bytes)
      this.next?.raw(bytes)
      this.waiting = ''
    } catch (error) {
      if (!isDiskFull(error)) throw error
    }
  }

  /** Everything until now is about to be flushed; false when the disk is full, so that nothing will tell of it. */
  noteFlush(timestamp: number): boolean {
    this.next = undefined
    this.note(`flush ${timestamp}`)
    this.write()
    if (this.waiting !== '') return false
    this.sequence++
    return true
  }

  /** The flush has been made, and this is what outlives it. What a full disk did not take before is settled too. */
  flushed(lines: Iterable<string>): void {
    this.waiting = ''
    let text = this.header
    for (const line of lines) text += `${line}\n`
    this.next = new ByteWriter(2 * text.length)
    this.next.raw(toUtf8(text))
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

  private get header(): string {
    return `emon-statsd ${VERSION} ${this.source} ${this.sequence}\n`
  }

  private open(): DiskFile {
    const file = this.disk.open(this.path, 'append')
    const size = file.size()
    if (size === 0) file.append(toUtf8(this.header))
    else if (file.read(size - 1, 1)[0] !== NEWLINE) file.append(toUtf8('\n'))
    return file
  }
}
