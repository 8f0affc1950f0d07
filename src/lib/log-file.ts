/**
 * A log file that can be moved away while it is written to: `reopen` goes on in a new one of the same name,
 * as logrotate wants it after a HUP. Log lines are never a reason to stop: what the disk does not take is lost.
 */

import { toUtf8 } from './bytes.ts'
import type { Disk, DiskFile } from './disk.ts'

export class LogFile {
  private readonly disk: Disk
  private readonly path: string
  private file: DiskFile

  constructor(disk: Disk, path: string) {
    this.disk = disk
    this.path = path
    this.file = disk.open(path, 'append')
  }

  write(line: string): void {
    try {
      this.file.append(toUtf8(line))
    } catch {
      // The line went to stderr too.
    }
  }

  reopen(): void {
    const next = this.disk.open(this.path, 'append')
    this.file.close()
    this.file = next
  }
}
