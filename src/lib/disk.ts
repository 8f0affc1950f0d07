/**
 * Files. Everything that touches a disk takes a `Disk`, so a test can tear writes, forget what was not
 * synced and fill up (test/sim/disk.ts; the idea is leveldb's `Env`).
 *
 * Reads and appends block: they go to the page cache. `sync` can take long, and so, while it runs, can
 * making and removing names: those who must not wait have `openAsync`, `removeAsync` and so on. Errors of the
 * system are thrown as they come (`code` is ENOSPC, EACCES …).
 * Nothing here retries: after a failed `sync` what was appended may be lost, and the caller writes it
 * again to a new file.
 */

import * as fs from 'node:fs'
import { dirname } from 'node:path'

/**
 * How a file is opened. `read`: it must exist. `append`: made when missing, written at its end.
 * `create`: must not exist yet (O_EXCL).
 */
export type OpenMode = 'read' | 'append' | 'create'

export interface DiskFile {
  readonly path: string
  /** Bytes that it holds now. */
  size(): number
  /** Writes all of `bytes` at the end, or throws; a part may then have been written. */
  append(bytes: Uint8Array): void
  /** Up to `length` bytes from `offset`; fewer at the end of the file. */
  read(offset: number, length: number): Uint8Array
  /** Resolves when everything appended so far survives a power cut. */
  sync(): Promise<void>
  /** As `sync`, but blocks: for shutdown and tiny files. */
  syncNow(): void
  truncate(length: number): void
  /** The open file's facts, whatever its name stands for meanwhile. */
  stat(): FileStat
  /** Permission bits. */
  setMode(mode: number): void
  close(): void
}

export interface FileStat {
  readonly bytes: number
  readonly modifiedMs: number
  readonly mode: number
  readonly uid: number
  readonly isFile: boolean
  readonly isDirectory: boolean
  readonly isSymlink: boolean
  readonly inode: number
  readonly links: number
}

export interface Space {
  readonly freeBytes: number
  readonly totalBytes: number
}

export interface Disk {
  open(path: string, mode: OpenMode, permissions?: number): DiskFile
  /** As `open`, without blocking. */
  openAsync(path: string, mode: OpenMode, permissions?: number): Promise<DiskFile>
  /** The whole file. */
  readFile(path: string): Uint8Array
  /** Puts `bytes` at `path`: a crash leaves the old file or the new one, whole and synced. */
  replaceFile(path: string, bytes: Uint8Array, permissions?: number): void
  /** As `replaceFile`, without blocking; one at a time for a path. */
  replaceFileAsync(path: string, bytes: Uint8Array, permissions?: number): Promise<void>
  rename(from: string, to: string): void
  /** A second name for the same file. */
  link(from: string, to: string): void
  /** Removes a file; one that is not there is no error. */
  remove(path: string): void
  /** As `remove`, without blocking. */
  removeAsync(path: string): Promise<void>
  /** Removes a folder and all in it; one that is not there is no error. */
  removeTree(path: string): void
  /** Names in a folder, sorted; empty when there is no such folder. */
  list(dir: string): string[]
  /** Makes a folder and its parents. */
  makeDir(dir: string, permissions?: number): void
  /** The file's own facts (a link is not followed), or undefined when there is none. */
  stat(path: string): FileStat | undefined
  setPermissions(path: string, permissions: number): void
  /** Makes renames, links and new names in `dir` survive a power cut. */
  syncDir(dir: string): void
  /** As `syncDir`, without blocking. */
  syncDirAsync(dir: string): Promise<void>
  /** Space on the file system that holds `path`. */
  space(path: string): Space
}

export const realDisk: Disk = {
  open: (path, mode, permissions = 0o640) =>
    new RealFile(path, fs.openSync(path, FLAGS[mode], permissions)),
  openAsync: (path, mode, permissions = 0o640) =>
    new Promise((resolve, reject) => {
      fs.open(path, FLAGS[mode], permissions, (error, fd) =>
        error ? reject(error) : resolve(new RealFile(path, fd)),
      )
    }),
  readFile: (path) => new Uint8Array(fs.readFileSync(path)),
  replaceFile(path, bytes, permissions = 0o640) {
    const aside = `${path}.new`
    const fd = fs.openSync(aside, 'w', permissions)
    try {
      writeAll(fd, bytes)
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
    fs.renameSync(aside, path)
    realDisk.syncDir(dirname(path))
  },
  async replaceFileAsync(path, bytes, permissions = 0o640) {
    const aside = `${path}.new`
    const fd = fs.openSync(aside, 'w', permissions)
    try {
      writeAll(fd, bytes)
      await syncData(fd)
    } finally {
      fs.closeSync(fd)
    }
    fs.renameSync(aside, path)
    await realDisk.syncDirAsync(dirname(path))
  },
  rename: (from, to) => fs.renameSync(from, to),
  link: (from, to) => fs.linkSync(from, to),
  remove(path) {
    try {
      fs.unlinkSync(path)
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  },
  removeAsync: (path) =>
    new Promise((resolve, reject) => {
      fs.unlink(path, (error) => (error && !isMissing(error) ? reject(error) : resolve()))
    }),
  removeTree: (path) => fs.rmSync(path, { recursive: true, force: true }),
  list(dir) {
    try {
      return fs.readdirSync(dir).sort()
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  },
  makeDir(dir, permissions = 0o750) {
    fs.mkdirSync(dir, { recursive: true, mode: permissions })
  },
  stat(path) {
    const stat = fs.lstatSync(path, { throwIfNoEntry: false })
    return stat && factsOf(stat)
  },
  setPermissions: (path, permissions) => fs.chmodSync(path, permissions),
  syncDir(dir) {
    const fd = fs.openSync(dir, 'r')
    try {
      fs.fsyncSync(fd)
    } finally {
      fs.closeSync(fd)
    }
  },
  async syncDirAsync(dir) {
    const fd = fs.openSync(dir, 'r')
    try {
      await syncData(fd)
    } finally {
      fs.closeSync(fd)
    }
  },
  space(path) {
    const stat = fs.statfsSync(path)
    return { freeBytes: stat.bavail * stat.bsize, totalBytes: stat.blocks * stat.bsize }
  },
}

function factsOf(stat: fs.Stats): FileStat {
  return {
    bytes: stat.size,
    modifiedMs: stat.mtimeMs,
    mode: stat.mode & 0o7777,
    uid: stat.uid,
    isFile: stat.isFile(),
    isDirectory: stat.isDirectory(),
    isSymlink: stat.isSymbolicLink(),
    inode: stat.ino,
    links: stat.nlink,
  }
}

/** True for "no such file or folder". */
export function isMissing(error: unknown): boolean {
  return errorCode(error) === 'ENOENT'
}

/** Appends all of the bytes, or none of them: what went in of them is cut off before the error is thrown on. */
export function appendWhole(file: DiskFile, bytes: Uint8Array): void {
  const size = file.size()
  try {
    file.append(bytes)
  } catch (error) {
    file.truncate(size)
    throw error
  }
}

/** True when the disk is full, over quota, read-only or failing: the conditions under which writing stops. */
export function isDiskFull(error: unknown): boolean {
  const code = errorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EROFS' || code === 'EIO'
}

/** The system's error name (`ENOENT`, `EADDRINUSE` …), or ''. */
export function errorCode(error: unknown): string {
  if (error instanceof Error && 'code' in error && typeof error.code === 'string') return error.code
  return ''
}

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_APPEND, O_NOFOLLOW, O_NONBLOCK } = fs.constants

const FLAGS = {
  // Not to wait for a writer, should somebody have put a FIFO there.
  read: O_RDONLY | O_NOFOLLOW | O_NONBLOCK,
  append: O_RDWR | O_NOFOLLOW | O_CREAT | O_APPEND,
  create: O_RDWR | O_NOFOLLOW | O_CREAT | O_EXCL | O_APPEND,
} as const

class RealFile implements DiskFile {
  readonly path: string
  private readonly fd: number
  private open: boolean

  constructor(path: string, fd: number) {
    this.path = path
    this.fd = fd
    this.open = true
  }

  size(): number {
    return fs.fstatSync(this.fd).size
  }

  append(bytes: Uint8Array): void {
    writeAll(this.fd, bytes)
  }

  read(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(length)
    let filled = 0
    while (filled < length) {
      const count = fs.readSync(this.fd, bytes, filled, length - filled, offset + filled)
      if (count === 0) break
      filled += count
    }
    return filled === length ? bytes : bytes.subarray(0, filled)
  }

  sync(): Promise<void> {
    return syncData(this.fd)
  }

  syncNow(): void {
    fs.fdatasyncSync(this.fd)
  }

  truncate(length: number): void {
    fs.ftruncateSync(this.fd, length)
  }

  stat(): FileStat {
    return factsOf(fs.fstatSync(this.fd))
  }

  setMode(mode: number): void {
    fs.fchmodSync(this.fd, mode)
  }

  close(): void {
    if (!this.open) return
    this.open = false
    fs.closeSync(this.fd)
  }
}

function syncData(fd: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.fdatasync(fd, (error) => (error ? reject(error) : resolve()))
  })
}

function writeAll(fd: number, bytes: Uint8Array): void {
  let done = 0
  while (done < bytes.length) done += fs.writeSync(fd, bytes, done, bytes.length - done)
}
