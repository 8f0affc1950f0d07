/**
 * Runs every process as a child of this one: what monit does, for a machine or a container without it.
 *
 * A child that ends is started again, after 100 ms at first and at most every 10 s when it keeps ending.
 * One that ends with 78 at its first start has a configuration that cannot work: then all are stopped.
 * The others are left alone by any child's end; they carry on and reconnect.
 *
 * They are stopped one after the other: first the relay, which hands what it holds to the store.
 */

import { Backoff } from './lib/backoff.ts'
import { type Clock, sleep } from './lib/clock.ts'
import type { Log } from './lib/log.ts'

/** A running program; `Bun.spawn` answers one. */
export interface Child {
  readonly pid: number
  /** Its exit code; a signal counts 128 and its number. */
  readonly exited: Promise<number>
  kill(signal: NodeJS.Signals): void
}

export interface SupervisorOptions {
  /** In the order in which they start. */
  readonly names: readonly string[]
  /** Some of them are stopped first, in this order; then the rest. */
  readonly stopFirst: readonly string[]
  readonly spawn: (name: string) => Child
  readonly clock: Clock
  readonly log: Log
  /** A child says at its first start that it cannot work with this configuration. */
  readonly onRefusal: () => void
}

const RESTART_DELAY_MS = { minMs: 100, maxMs: 10_000 }
/** Who has run as long as this is started again at once. */
const STEADY_MS = 10_000
/** Their own limit is 8 s. */
const STOP_MS_MAX = 9_000
const EXIT_REFUSED = 78

export class Supervisor {
  private readonly options: SupervisorOptions
  private readonly children: Map<string, Child>
  private stopping: boolean

  constructor(options: SupervisorOptions) {
    this.options = options
    this.children = new Map()
    this.stopping = false
  }

  start(): void {
    for (const name of this.options.names) void this.keepRunning(name)
  }

  signal(signal: NodeJS.Signals): void {
    for (const child of this.children.values()) child.kill(signal)
  }

  /** Resolves when every child has ended. */
  async stop(): Promise<void> {
    this.stopping = true
    for (const name of this.options.stopFirst) await this.end(name)
    await Promise.all(this.options.names.map((name) => this.end(name)))
  }

  private async keepRunning(name: string): Promise<void> {
    const { clock, log, spawn } = this.options
    const backoff = new Backoff(clock, RESTART_DELAY_MS)
    let starts = 0
    while (!this.stopping) {
      const startedMs = clock.monotonicMs()
      const child = spawn(name)
      starts++
      this.children.set(name, child)
      const code = await child.exited
      this.children.delete(name)
      if (this.stopping) return
      log.warn(`${name} ended`, { pid: child.pid, code, starts })
      if (code === EXIT_REFUSED && starts === 1) return this.options.onRefusal()
      if (clock.monotonicMs() - startedMs >= STEADY_MS) backoff.reset()
      await sleep(clock, backoff.delayMs())
    }
  }

  private async end(name: string): Promise<void> {
    const child = this.children.get(name)
    if (!child) return
    child.kill('SIGTERM')
    const timer = this.options.clock.after(STOP_MS_MAX, () => {
      this.options.log.error(`${name} does not stop: killed`, { pid: child.pid })
      child.kill('SIGKILL')
    })
    await child.exited
    timer.cancel()
  }
}
