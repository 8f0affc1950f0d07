/**
 * A disk in memory that behaves as badly as a real one may (leveldb's FaultInjectionTestEnv):
 *
 * - `powerCut()` goes back to what was synced: a file's bytes up to its last `sync`, and names (new,
 *   renamed, linked, removed) as the folder had them at its last `syncDir`. With `tornBytes`, up to that
 *   many unsynced bytes of each file survive, as zeros with `zeroed` (the length was written, the bytes were
 *   not). Syncing a file makes its name durable too when it was just created, as ext4 and xfs do. With `random`,
 *   each unsynced name is there or not, and each file keeps none, all or a part of its unsynced bytes, with or
 *   without zeros up to its length.
 * - `crashAfter(n)`: the n-th change from now throws `SimulatedCrash`, after doing `partial` of an append;
 *   all later changes throw too until `revive()`.
 * - `capacityBytes`: appends beyond it write what fits and throw ENOSPC.
 * - `failSyncs(n)`: the next n syncs throw EIO and lose what they were to make durable: a process still reads
 *   it, a later sync of the same file succeeds without it (fsyncgate), and after a power cut it is zeros.
 * - `readOnly`: every change throws EROFS.
 *
 * A process that is killed with -9 loses nothing here: reopen the files and go on. What it was at when it was killed
 * must not go on: `newProcess()` is the disk as one process has it until it is killed.
 */
import { dirname } from 'node:path'
import type { Disk, DiskFile, FileStat, OpenMode, Space } from '../../src/lib/disk.ts'

/** What the simulated kill throws; nothing under test may catch it and go on as if nothing were. */
export class SimulatedCrash extends Error {
  override readonly name = 'SimulatedCrash'
}

interface Inode {
  readonly number: number
  bytes: Uint8Array
  length: number
  syncedLength: number
  /** What failed syncs were to make durable. */
  lost: { readonly from: number; readonly to: number }[]
  mode: number
  modifiedMs: number
  links: number
}

type Names = Map<string, Inode>

export interface SimProcess {
  readonly disk: Disk
  /** Nothing that it was at reaches the disk any more. */
  kill(): void
}

export class SimDisk implements Disk {
  private names: Names = new Map()
  private durableNames: Names = new Map()
  private folders = new Set<string>(['/'])
  private nextInode = 1
  private changesLeft = Infinity
  private partial = 0
  private failingSyncs = 0
  capacityBytes = Infinity
  readOnly = false
  nowMs: () => number = () => 0
  /** What a sync that does not block waits for. */
  beforeSync: () => Promise<void> = () => Promise.resolve()
  /** That nobody has closed. */
  openFiles = 0
  /** Called before each change, with the path and the bytes of an append. */
  onChange: (append?: { readonly path: string; readonly bytes: Uint8Array }) => void = () => {}
  /** Changes so far: appends, syncs, renames … A sweep crashes at each of them in turn. */
  changes = 0

  // ── faults ──

  crashAfter(changes: number, partial = 0): void {
    this.changesLeft = changes
    this.partial = partial
  }

  revive(): void {
    this.changesLeft = Infinity
    this.partial = 0
  }

  /** The crash of `crashAfter` has come. */
  get isCrashed(): boolean {
    return this.changesLeft < 0
  }

  failSyncs(count: number): void {
    this.failingSyncs = count
  }

  powerCut(
    options: { tornBytes?: number; zeroed?: boolean } | { random: (below: number) => number } = {},
  ): void {
    this.revive()
    const random = 'random' in options ? options.random : undefined
    const newer = this.names
    this.names = new Map(this.durableNames)
    for (const path of random ? new Set([...newer.keys(), ...this.names.keys()]) : []) {
      const inode = newer.get(path)
      if (random!(2) === 0) continue
      if (inode) this.names.set(path, inode)
      else this.names.delete(path)
    }
    for (const inode of new Set(this.names.values())) {
      const unsynced = inode.length - inode.syncedLength
      const torn = 'random' in options ? tearAnyhow(inode, options.random) : options.tornBytes
      const kept = inode.syncedLength + Math.min(unsynced, torn ?? 0)
      if ('zeroed' in options && options.zeroed) inode.bytes.fill(0, inode.syncedLength, kept)
      for (const { from, to } of inode.lost) inode.bytes.fill(0, from, to)
      inode.lost = []
      inode.length = kept
      inode.syncedLength = kept
    }
    this.durableNames = new Map(this.names)
  }

  /** The same disk, to go another way from here. */
  clone(): SimDisk {
    const other = new SimDisk()
    const inodes = new Map<Inode, Inode>()
    const copy = (inode: Inode): Inode => {
      const known = inodes.get(inode)
      if (known) return known
      const made = { ...inode, bytes: inode.bytes.slice(0, inode.length), lost: [...inode.lost] }
      inodes.set(inode, made)
      return made
    }
    other.names = new Map([...this.names].map(([path, inode]) => [path, copy(inode)]))
    other.durableNames = new Map([...this.durableNames].map(([path, inode]) => [path, copy(inode)]))
    other.folders = new Set(this.folders)
    other.nextInode = this.nextInode
    return other
  }

  /** The same disk for one process, until that is killed. */
  newProcess(): SimProcess {
    let isKilled = false
    const disk = new Proxy<Disk>(this, {
      get(target, key, proxy) {
        const value: unknown = Reflect.get(target, key)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (isKilled) throw new SimulatedCrash('this process was killed')
          // What it calls in turn is its own too, and so are the files that it opens.
          return Reflect.apply(value, proxy, args)
        }
      },
    })
    return { disk, kill: () => (isKilled = true) }
  }

  /** Flips the bits of one byte, as a bad disk does. */
  corrupt(path: string, offset: number): void {
    const inode = this.find(path)
    inode.bytes[offset] = (inode.bytes[offset] ?? 0) ^ 0xff
  }

  /** Every file with its bytes, for comparing two states. */
  contents(): Map<string, Uint8Array> {
    return new Map(
      [...this.names].map(([path, inode]) => [path, inode.bytes.slice(0, inode.length)]),
    )
  }

  // ── Disk ──

  open(path: string, mode: OpenMode, permissions = 0o640): DiskFile {
    let inode = this.names.get(path)
    if (inode && mode === 'create') throw systemError('EEXIST', path)
    if (!inode) {
      if (mode === 'read') throw systemError('ENOENT', path)
      this.change()
      this.requireFolder(dirname(path))
      inode = this.newInode(permissions)
      this.names.set(path, inode)
    }
    return new SimFile(this, path, inode, mode === 'read')
  }

  async openAsync(path: string, mode: OpenMode, permissions?: number): Promise<DiskFile> {
    await Promise.resolve()
    return this.open(path, mode, permissions)
  }

  readFile(path: string): Uint8Array {
    const inode = this.find(path)
    return inode.bytes.slice(0, inode.length)
  }

  replaceFile(path: string, bytes: Uint8Array, permissions = 0o640): void {
    const aside = `${path}.new`
    this.remove(aside)
    const file = this.open(aside, 'create', permissions)
    try {
      file.append(bytes)
      file.syncNow()
    } finally {
      file.close()
    }
    this.rename(aside, path)
    this.syncDir(dirname(path))
  }

  async replaceFileAsync(path: string, bytes: Uint8Array, permissions?: number): Promise<void> {
    const aside = `${path}.new`
    this.remove(aside)
    const file = this.open(aside, 'create', permissions)
    try {
      file.append(bytes)
      await file.sync()
    } finally {
      file.close()
    }
    this.rename(aside, path)
    await this.syncDirAsync(dirname(path))
  }

  rename(from: string, to: string): void {
    const inode = this.names.get(from)
    if (!inode && this.folders.has(from)) return this.renameFolder(from, to)
    if (!inode) throw systemError('ENOENT', from)
    this.change()
    this.requireFolder(dirname(to))
    this.names.delete(from)
    this.names.set(to, inode)
  }

  link(from: string, to: string): void {
    const inode = this.find(from)
    if (this.names.has(to)) throw systemError('EEXIST', to)
    this.change()
    this.requireFolder(dirname(to))
    inode.links++
    this.names.set(to, inode)
  }

  remove(path: string): void {
    const inode = this.names.get(path)
    if (!inode) return
    this.change()
    inode.links--
    this.names.delete(path)
  }

  async removeAsync(path: string): Promise<void> {
    await Promise.resolve()
    this.remove(path)
  }

  removeTree(path: string): void {
    for (const name of this.names.keys()) if (isUnder(name, path)) this.remove(name)
    for (const folder of this.folders) if (isUnder(folder, path)) this.folders.delete(folder)
  }

  list(dir: string): string[] {
    const found = new Set<string>()
    for (const name of [...this.names.keys(), ...this.folders]) {
      if (name !== dir && dirname(name) === dir)
        found.add(name.slice(dir === '/' ? 1 : dir.length + 1))
    }
    return [...found].sort()
  }

  makeDir(dir: string): void {
    for (let path = dir; !this.folders.has(path); path = dirname(path)) this.folders.add(path)
  }

  stat(path: string): FileStat | undefined {
    const inode = this.names.get(path)
    const isDirectory = this.folders.has(path)
    return inode || isDirectory ? factsOf(inode) : undefined
  }

  /** A folder's are not kept. */
  setPermissions(path: string, permissions: number): void {
    this.change()
    if (!this.folders.has(path)) this.find(path).mode = permissions
  }

  syncDir(dir: string): void {
    this.change()
    this.failSync()
    for (const path of this.durableNames.keys()) {
      if (dirname(path) === dir && !this.names.has(path)) this.durableNames.delete(path)
    }
    for (const [path, inode] of this.names) {
      if (dirname(path) === dir) this.durableNames.set(path, inode)
    }
  }

  async syncDirAsync(dir: string): Promise<void> {
    await this.beforeSync()
    this.syncDir(dir)
  }

  space(): Space {
    let used = 0
    for (const inode of new Set(this.names.values())) used += inode.length
    const totalBytes = Number.isFinite(this.capacityBytes) ? this.capacityBytes : 1e12
    return { freeBytes: Math.max(0, totalBytes - used), totalBytes }
  }

  // ── for SimFile ──

  appendTo(path: string, inode: Inode, bytes: Uint8Array): void {
    let count = bytes.length
    let failure: Error | undefined
    try {
      this.change({ path, bytes })
    } catch (error) {
      if (!(error instanceof SimulatedCrash)) throw error
      count = Math.min(count, this.partial)
      this.partial = 0
      failure = error
    }
    const room = this.space().freeBytes
    if (!failure && count > room) {
      count = room
      failure = systemError('ENOSPC', path)
    }
    const length = inode.length + count
    if (length > inode.bytes.length) {
      const grown = new Uint8Array(Math.max(length, inode.bytes.length * 2, 256))
      grown.set(inode.bytes.subarray(0, inode.length))
      inode.bytes = grown
    }
    inode.bytes.set(bytes.subarray(0, count), inode.length)
    inode.length = length
    inode.modifiedMs = this.nowMs()
    if (failure) throw failure
  }

  syncFile(path: string, inode: Inode): void {
    this.change()
    try {
      this.failSync()
    } catch (error) {
      inode.lost.push({ from: inode.syncedLength, to: inode.length })
      inode.syncedLength = inode.length
      throw error
    }
    inode.syncedLength = inode.length
    if (this.names.get(path) === inode && !this.durableNames.has(path))
      this.durableNames.set(path, inode)
  }

  truncateFile(inode: Inode, length: number): void {
    this.change()
    inode.length = Math.min(inode.length, length)
    inode.syncedLength = Math.min(inode.syncedLength, length)
    inode.lost = inode.lost.filter(({ from }) => from < length)
  }

  change(append?: { readonly path: string; readonly bytes: Uint8Array }): void {
    if (this.readOnly) throw systemError('EROFS', '/')
    this.onChange(append)
    this.changes++
    if (this.changesLeft-- <= 0)
      throw new SimulatedCrash(`simulated crash at change ${this.changes}`)
  }

  private failSync(): void {
    if (this.failingSyncs === 0) return
    this.failingSyncs--
    throw systemError('EIO', '/')
  }

  private renameFolder(from: string, to: string): void {
    this.change()
    const moved = [...this.names].filter(([path]) => isUnder(path, from))
    for (const [path, inode] of moved) {
      this.names.delete(path)
      this.names.set(to + path.slice(from.length), inode)
    }
    const movedFolders = [...this.folders].filter((folder) => isUnder(folder, from))
    for (const folder of movedFolders) {
      this.folders.delete(folder)
      this.makeDir(to + folder.slice(from.length))
    }
  }

  private newInode(mode: number): Inode {
    return {
      number: this.nextInode++,
      bytes: new Uint8Array(256),
      length: 0,
      syncedLength: 0,
      lost: [],
      mode,
      modifiedMs: this.nowMs(),
      links: 1,
    }
  }

  private find(path: string): Inode {
    const inode = this.names.get(path)
    if (!inode) throw systemError('ENOENT', path)
    return inode
  }

  private requireFolder(dir: string): void {
    if (!this.folders.has(dir)) throw systemError('ENOENT', dir)
  }
}

class SimFile implements DiskFile {
  readonly path: string
  private readonly disk: SimDisk
  private readonly inode: Inode
  private readonly isReadOnly: boolean
  private isOpen = true

  constructor(disk: SimDisk, path: string, inode: Inode, isReadOnly: boolean) {
    this.disk = disk
    this.path = path
    this.inode = inode
    this.isReadOnly = isReadOnly
    disk.openFiles++
  }

  size(): number {
    return this.inode.length
  }

  append(bytes: Uint8Array): void {
    this.requireWritable()
    this.disk.appendTo(this.path, this.inode, bytes)
  }

  read(offset: number, length: number): Uint8Array {
    this.requireOpen()
    return this.inode.bytes.slice(offset, Math.min(offset + length, this.inode.length))
  }

  async sync(): Promise<void> {
    await this.disk.beforeSync()
    this.syncNow()
  }

  syncNow(): void {
    this.requireOpen()
    this.disk.syncFile(this.path, this.inode)
  }

  truncate(length: number): void {
    this.requireWritable()
    this.disk.truncateFile(this.inode, length)
  }

  stat(): FileStat {
    this.requireOpen()
    return factsOf(this.inode)
  }

  setMode(mode: number): void {
    this.disk.change()
    this.inode.mode = mode
  }

  close(): void {
    if (this.isOpen) this.disk.openFiles--
    this.isOpen = false
  }

  private requireOpen(): void {
    if (!this.isOpen) throw systemError('EBADF', this.path)
  }

  private requireWritable(): void {
    this.requireOpen()
    if (this.isReadOnly) throw systemError('EBADF', this.path)
  }
}

/** Of a folder when there is no inode. */
function factsOf(inode: Inode | undefined): FileStat {
  return {
    bytes: inode?.length ?? 0,
    modifiedMs: inode?.modifiedMs ?? 0,
    mode: inode?.mode ?? 0o750,
    uid: 0,
    isFile: inode !== undefined,
    isDirectory: inode === undefined,
    isSymlink: false,
    inode: inode?.number ?? 0,
    links: inode?.links ?? 1,
  }
}

/** How many of a file's unsynced bytes survive; the last of them may be zeros. */
function tearAnyhow(inode: Inode, random: (below: number) => number): number {
  const unsynced = inode.length - inode.syncedLength
  const kept = [0, unsynced, random(unsynced + 1)][random(3)]!
  if (random(3) > 0) return kept
  inode.bytes.fill(0, inode.syncedLength + kept, inode.length)
  return unsynced
}

function isUnder(path: string, dir: string): boolean {
  return path === dir || path.startsWith(`${dir}/`)
}

function systemError(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}
