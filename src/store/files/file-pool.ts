/**
 * Bounds how many files of windows are open: the one that was used longest ago is closed, with what it keeps
 * in memory, and opened again when it is needed. A file that waits for a sync stays open.
 */

const OPEN_FILES_MAX = 200

export interface PooledFile {
  readonly isBusy: boolean
  release(): void
}

export class FilePool {
  /** Used longest ago first. */
  private readonly files = new Set<PooledFile>()

  /** Says that `file` is open and in use. */
  use(file: PooledFile): void {
    this.files.delete(file)
    this.files.add(file)
    if (this.files.size <= OPEN_FILES_MAX) return
    for (const other of this.files) {
      if (other === file || other.isBusy) continue
      other.release()
      return
    }
  }

  /** Says that `file` is closed. */
  forget(file: PooledFile): void {
    this.files.delete(file)
  }
}
