/**
 * File systems that tests may fill up, or take the power from. They take root, and the right to mount; where that
 * is missing they answer with the reason.
 */
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'

export interface Mounted {
  readonly path: string
  unmount(): void
}

export function mountTmpfs(mebibytes: number): Mounted | string {
  const path = mkdtempSync(`${tmpdir()}/emon-tmpfs-`)
  const problem = mount(['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', path])
  if (problem !== undefined) return problem
  return { path, unmount: () => unmount(path) }
}

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
    const made =
      run(['truncate', '-s', `${gibibytes}G`, disk.image]) ??
      run(['mkfs.ext4', '-q', '-E', 'nodiscard', disk.image]) ??
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

  unmount(): void {
    unmount(this.path)
    rmSync(this.dir, { recursive: true, force: true })
  }

  private get image(): string {
    return `${this.dir}/image`
  }

  /** The journal is not committed by time: nothing but a sync makes anything durable. */
  private mount(): string | undefined {
    return mount(['-o', 'loop,noatime,commit=3600', this.image, this.path])
  }
}

function mount(options: string[]): string | undefined {
  if (process.getuid?.() !== 0) return 'mounting takes root'
  return run(['mount', ...options])
}

function unmount(path: string): void {
  run(['umount', path])
  rmSync(path, { recursive: true, force: true })
}

/** Undefined, or why it failed. */
function run(command: string[]): string | undefined {
  if (Bun.which(command[0]!) === null) return `${command[0]} is not installed`
  const { exitCode, stderr } = Bun.spawnSync(command, { stdout: 'ignore', stderr: 'pipe' })
  return exitCode === 0 ? undefined : `${command[0]}: ${stderr.toString().trim()}`
}
