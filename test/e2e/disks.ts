/**
 * File systems that tests may fill up, slow down, make read-only, or take the power from. They take root, and the right
 * to mount; where that is missing they answer with the reason. A mount is undone even when the test is killed: a guardian
 * waits for the test's process to end.
 */
import {
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmdirSync,
  rmSync,
  statfsSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename } from 'node:path'

export interface Mounted {
  readonly path: string
  unmount(): void
}

/** A file system in memory. */
export class TmpfsDisk implements Mounted {
  readonly path: string

  private constructor(path: string) {
    this.path = path
  }

  static mount(mebibytes: number): TmpfsDisk | string {
    const path = mkdtempSync(`${tmpdir()}/emon-tmpfs-`)
    guard(path, path)
    const problem = mount(['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path])
    if (problem === undefined) return new TmpfsDisk(path)
    rmSync(path, { recursive: true })
    return problem
  }

  /** Nothing may have a file open to be written. */
  remount(mode: 'ro' | 'rw'): void {
    const problem = mount(['-o', `remount,${mode}`, this.path])
    if (problem !== undefined) throw new Error(problem)
  }

  unmount(): void {
    unmount(this.path, this.path)
  }
}

/** Of cgroup version 1. */
const BLKIO = '/sys/fs/cgroup/blkio'
const FILL_STEP_BYTES = 64 * 1024

/** Takes all room that is left, or gives it back; answers what it did. */
export function fillOrEmpty(dir: string, full: boolean): boolean {
  const path = `${dir}/ballast`
  if (!full) {
    rmSync(path, { force: true })
    return false
  }
  const file = openSync(path, 'w')
  for (let step = FILL_STEP_BYTES; step >= 1;) {
    try {
      writeSync(file, new Uint8Array(step))
    } catch {
      step = Math.floor(step / 8)
    }
  }
  closeSync(file)
  return true
}

/** Takes all room of a real disk but a little, without writing it; answers what gives it back. */
export function allocate(dir: string): () => void {
  const path = `${dir}/allocated`
  const { bavail, bsize } = statfsSync(dir)
  const problem = run(['fallocate', '-l', String(bavail * bsize - 1024 * 1024), path])
  if (problem !== undefined) throw new Error(problem)
  return () => rmSync(path)
}

/**
 * An ext4 on a loop device. Its power is cut by going on with a copy of what had reached the device: what was
 * neither synced nor written back yet is gone, names and sizes included.
 */
export class LoopDisk implements Mounted {
  readonly path: string
  private readonly dir: string

  private constructor(dir: string) {
    this.dir = dir
    this.path = `${dir}/mount`
  }

  static create(gibibytes: number): LoopDisk | string {
    const disk = new LoopDisk(mkdtempSync(`${tmpdir()}/emon-loop-`))
    guard(disk.path, disk.dir)
    const made =
      run(['truncate', '-s', `${gibibytes}G`, disk.image]) ??
      run(['mkfs.ext4', '-q', '-m', '0', '-E', 'nodiscard', disk.image]) ??
      run(['mkdir', disk.path]) ??
      disk.mount()
    if (made === undefined) return disk
    rmSync(disk.dir, { recursive: true, force: true })
    return made
  }

  /** Nothing may have a file open on it. */
  cutPower(): void {
    const copy = `${this.image}.cut`
    const problem =
      run(['cp', '--sparse=always', this.image, copy]) ??
      run(['umount', this.path]) ??
      run(['mv', copy, this.image]) ??
      this.mount()
    if (problem !== undefined) throw new Error(problem)
  }

  /**
   * From now on what the process writes reaches the device at so many bytes a second (0: as fast as it goes). Answers why
   * that cannot be done.
   */
  slowDown(pid: number, bytesPerSecond: number): string | undefined {
    const group = groupOf(this.dir)
    if (!existsSync(`${BLKIO}/blkio.throttle.write_bps_device`))
      return 'there is no blkio controller of cgroup version 1'
    mkdirSync(group, { recursive: true })
    const { dev } = statSync(this.path)
    const device = `${(dev >> 8) & 0xfff}:${(dev & 0xff) | ((dev >> 12) & 0xfff00)}`
    writeFileSync(`${group}/blkio.throttle.write_bps_device`, `${device} ${bytesPerSecond}`)
    writeFileSync(`${group}/cgroup.procs`, String(pid))
    return undefined
  }

  unmount(): void {
    unmount(this.path, this.dir)
    // Its processes have ended.
    if (existsSync(groupOf(this.dir))) rmdirSync(groupOf(this.dir))
  }

  private get image(): string {
    return `${this.dir}/image`
  }

  /** The journal is not committed by time: nothing but a sync makes anything durable. */
  private mount(): string | undefined {
    return mount(['-o', 'loop,noatime,commit=3600', this.image, this.path])
  }
}

/**
 * A folder that is passed through FUSE (fuse-disk.py) and becomes read-only while files on it are open to be written,
 * as a file system does that met an error, and as no remount would.
 */
export class FuseDisk implements Mounted {
  readonly path: string
  private readonly dir: string

  private constructor(dir: string, path: string) {
    this.dir = dir
    this.path = path
  }

  /** Mounts it at `path`, a folder that is made. */
  static async mount(path: string): Promise<FuseDisk | string> {
    const problem =
      process.getuid?.() === 0
        ? run(['/usr/bin/python3', '-c', 'import fusepy'])
        : 'mounting takes root'
    if (problem !== undefined) return problem
    const dir = mkdtempSync(`${tmpdir()}/emon-fuse-`)
    const disk = new FuseDisk(dir, path)
    mkdirSync(`${dir}/real`)
    mkdirSync(path, { recursive: true })
    guard(path, dir)
    const script = `${import.meta.dir}/fuse-disk.py`
    const server = Bun.spawn(['/usr/bin/python3', script, `${dir}/real`, path, disk.control], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    for (const untilMs = performance.now() + 10_000; performance.now() < untilMs;) {
      if (isMounted(path)) return disk
      if (server.exitCode !== null) break
      await Bun.sleep(20)
    }
    disk.unmount()
    return `FUSE cannot be used: ${await new Response(server.stderr).text()}`
  }

  setReadOnly(isReadOnly: boolean): void {
    if (isReadOnly) writeFileSync(this.control, '')
    else rmSync(this.control)
  }

  unmount(): void {
    unmount(this.path, this.dir)
  }

  private get control(): string {
    return `${this.dir}/read-only`
  }
}

/** The control group of those who are slowed down on a disk. */
function groupOf(dir: string): string {
  return `${BLKIO}/${basename(dir)}`
}

function mount(options: string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting takes root'
  return run(['mount', ...options])
}

/** Who still has a file open there, a process that is just ending or a reader of every mount, does not keep it mounted. */
function unmount(path: string, dir: string): void {
  for (let i = 0; i < 20 && isMounted(path); i++) {
    if (run(['umount', path]) !== undefined) Bun.sleepSync(50)
  }
  if (isMounted(path)) run(['umount', '--lazy', path])
  rmSync(dir, { recursive: true, force: true })
}

function isMounted(path: string): boolean {
  return readFileSync('/proc/mounts', 'utf8').includes(` ${path} `)
}

/** Unmounts and removes what is left when this process has ended, however it did. */
function guard(path: string, dir: string): void {
  if (process.getuid?.() !== 0) return
  const script = `exec >/dev/null 2>&1; tail --pid="$1" -f /dev/null
    umount --lazy "$2"; rm -rf --one-file-system "$3"; rmdir "$4"`
  const files = [path, dir, groupOf(dir)]
  run(['setsid', '-f', 'sh', '-c', script, 'sh', String(process.pid), ...files])
}

/** Undefined, or why it failed. */
function run(command: string[]): string | undefined {
  if (Bun.which(command[0]!) === null) return `${command[0]} is not installed`
  const { exitCode, stderr } = Bun.spawnSync(command, { stdout: 'ignore', stderr: 'pipe' })
  return exitCode === 0 ? undefined : `${command[0]}: ${stderr.toString().trim()}`
}
