/**
 * What statsd has gathered since its last flush, as the lines that it was told, so that a killed relay goes
 * on where it was: `spool/statsd.journal`, text, one line each, after the line `emon-statsd 1`. Lines are
 * appended every 200 ms; a flush begins the file anew with what outlives it. A last line without its newline
 * is a write cut short.
 */

import { fromUtf8, toUtf8 } from '../../lib/bytes.ts'
import { type Disk, type DiskFile, isDiskFull, isMissing } from '../../lib/disk.ts'

const HEADER = 'emon-statsd 1\n'

export class StatsdJournal {
  private readonly disk: Disk
  private readonly path: string
  private file: DiskFile | undefined
  private waiting: string

  constructor(disk: Disk, path: string) {
    this.disk = disk
    this.path = path
    this.file = undefined
    this.waiting = ''
  }

  /** The lines of an earlier process. */
  read(): string[] {
    let text: string
    try {
      text = fromUtf8(this.disk.readFile(this.path))
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
    if (!text.startsWith(HEADER)) return []
    return text.slice(HEADER.length, text.lastIndexOf('\n') + 1).split('\n')
  }

  note(line: string): void {
    this.waiting += `${line}\n`
  }

  /** Appends what was noted; on a full disk it waits for the next call. */
  write(): void {
    if (this.waiting === '') return
    try {
      this.file ??= this.open()
      this.file.append(toUtf8(this.waiting))
      this.waiting = ''
    } catch (error) {
      if (!isDiskFull(error)) throw error
    }
  }

  /** Begins anew with these lines, if there is anything to begin anew from. */
  restart(lines: Iterable<string>): void {
    if (!this.file && this.waiting === '') return
    this.file?.close()
    this.file = undefined
    this.waiting = ''
    let text = HEADER
    for (const line of lines) text += `${line}\n`
    try {
      this.disk.replaceFile(this.path, toUtf8(text))
    } catch (error) {
      if (!isDiskFull(error)) throw error
    }
  }

  close(): void {
    this.write()
    this.file?.close()
    this.file = undefined
  }

  private open(): DiskFile {
    const file = this.disk.open(this.path, 'append')
    if (file.size() === 0) file.append(toUtf8(HEADER))
    return file
  }
}
