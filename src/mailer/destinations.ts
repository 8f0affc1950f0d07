/**
 * All destinations that mail waits for or went to lately, and the timers of those whose next transaction is due
 * later. One is forgotten when nothing has been done with it for a minute; a failing one is remembered longer.
 */

import type { Clock, Timer } from '../lib/clock.ts'
import { Destination, type DestinationLimits } from './destination.ts'

export class Destinations<Job> {
  private readonly clock: Clock
  private readonly limits: () => DestinationLimits
  private readonly byName: Map<string, Destination<Job>>
  private readonly timers: Map<string, Timer>

  constructor(clock: Clock, limits: () => DestinationLimits) {
    this.clock = clock
    this.limits = limits
    this.byName = new Map()
    this.timers = new Map()
  }

  get size(): number {
    return this.byName.size
  }

  /** The one of that name, made when there is none. */
  get(name: string): Destination<Job> {
    let destination = this.byName.get(name)
    if (!destination) {
      destination = new Destination<Job>(name, this.clock, this.limits)
      this.byName.set(name, destination)
    }
    return destination
  }

  all(): IterableIterator<Destination<Job>> {
    return this.byName.values()
  }

  /** How long that one is still to be left alone; 0 when nothing is known of it. */
  suspendedMs(name: string): number {
    return this.byName.get(name)?.suspendedMs() ?? 0
  }

  /** Transactions under way. */
  running(): number {
    let running = 0
    for (const destination of this.all()) running += destination.running
    return running
  }

  /** Calls `run` once after `waitMs`, however often this is asked meanwhile. */
  later(destination: Destination<Job>, waitMs: number, run: () => void): void {
    const { name } = destination
    if (this.timers.has(name)) return
    const timer = this.clock.after(Math.ceil(waitMs), () => {
      this.timers.delete(name)
      run()
    })
    this.timers.set(name, timer)
  }

  forgetStale(): void {
    for (const destination of this.all()) {
      if (destination.isStale) this.byName.delete(destination.name)
    }
  }

  stop(): void {
    for (const timer of this.timers.values()) timer.cancel()
  }
}
