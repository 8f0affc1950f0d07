/**
 * A limit on the memory of some processes together, page cache included: a control group of Linux, version 1 or
 * 2, which takes root. `man 7 cgroups`.
 */
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'

const ROOT = '/sys/fs/cgroup'

export class MemoryLimit {
  private readonly dir: string
  private readonly isUnified: boolean

  /** Throws where no group can be made. */
  constructor(name: string, bytes: number) {
    this.isUnified = existsSync(`${ROOT}/cgroup.controllers`)
    this.dir = this.isUnified ? `${ROOT}/${name}` : `${ROOT}/memory/${name}`
    if (this.isUnified) writeFileSync(`${ROOT}/cgroup.subtree_control`, '+memory')
    mkdirSync(this.dir)
    writeFileSync(`${this.dir}/${this.file('memory.limit_in_bytes', 'memory.max')}`, `${bytes}`)
  }

  /** Put before a command, it runs in the group, and so does what it starts. */
  get launcher(): string[] {
    return ['sh', '-c', `echo $$ > ${this.dir}/cgroup.procs && exec "$@"`, 'sh']
  }

  /** The most that it took, page cache included, which goes when somebody needs the memory. */
  get peakBytes(): number {
    return Number(this.read(this.file('memory.max_usage_in_bytes', 'memory.peak')))
  }

  /** Processes that were killed because they wanted more. */
  get kills(): number {
    const text = this.read(this.file('memory.oom_control', 'memory.events'))
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
  }

  /** Call it when nothing runs there any more. */
  remove(): void {
    rmdirSync(this.dir)
  }

  private file(first: string, second: string): string {
    return this.isUnified ? second : first
  }

  private read(file: string): string {
    return readFileSync(`${this.dir}/${file}`, 'utf8')
  }
}
