/**
 * A clock that the test turns. Timers fire in order of their time, inside `advance`; promises that they
 * settle are given a chance to run before the next one fires. Randomness comes from the seed.
 */
import type { Clock, Timer } from '../../src/lib/clock.ts'

interface Pending {
  atMs: number
  order: number
  run: () => void
  intervalMs: number
}

export class SimClock implements Clock {
  private wallMs: number
  private elapsedMs = 0
  private nextOrder = 0
  private pending: Pending[] = []
  private state: number

  constructor(options: { startMs?: number; seed?: number } = {}) {
    this.wallMs = options.startMs ?? 1_800_000_000_000
    this.state = (options.seed ?? 1) >>> 0 || 1
  }

  nowMs(): number {
    return this.wallMs
  }

  monotonicMs(): number {
    return this.elapsedMs
  }

  after(delayMs: number, run: () => void): Timer {
    return this.schedule(delayMs, run, 0)
  }

  every(intervalMs: number, run: () => void): Timer {
    return this.schedule(intervalMs, run, Math.max(intervalMs, 1))
  }

  /** xorshift32. */
  random(): number {
    let x = this.state
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    this.state = x >>> 0
    return this.state / 4294967296
  }

  randomBytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => Math.floor(this.random() * 256))
  }

  /** Lets time pass: both clocks move, what is due fires. */
  async advance(ms: number): Promise<void> {
    const end = this.elapsedMs + ms
    await settle()
    for (;;) {
      const next = this.takeDue(end)
      if (!next) break
      this.moveTo(Math.max(next.dueMs, this.elapsedMs))
      next.run()
      await settle()
    }
    this.moveTo(end)
  }

  /** Sets the wall clock, as a person or NTP does; the monotonic clock and the timers do not notice. */
  step(ms: number): void {
    this.wallMs += ms
  }

  private schedule(delayMs: number, run: () => void, intervalMs: number): Timer {
    const entry = {
      atMs: this.elapsedMs + Math.max(0, delayMs),
      order: this.nextOrder++,
      run,
      intervalMs,
    }
    this.pending.push(entry)
    return { cancel: () => (this.pending = this.pending.filter((other) => other !== entry)) }
  }

  private takeDue(end: number): { dueMs: number; run: () => void } | undefined {
    let best: Pending | undefined
    for (const entry of this.pending) {
      if (entry.atMs > end) continue
      if (
        !best ||
        entry.atMs < best.atMs ||
        (entry.atMs === best.atMs && entry.order < best.order)
      ) {
        best = entry
      }
    }
    if (!best) return undefined
    const due = { dueMs: best.atMs, run: best.run }
    if (best.intervalMs === 0) this.pending = this.pending.filter((entry) => entry !== best)
    else {
      best.atMs += best.intervalMs
      best.order = this.nextOrder++
    }
    return due
  }

  private moveTo(elapsedMs: number): void {
    this.wallMs += elapsedMs - this.elapsedMs
    this.elapsedMs = elapsedMs
  }
}

/** Lets promises that are already settled, and what hangs on them, run. */
export async function settle(): Promise<void> {
  for (let i = 0; i < 20; i++) await Promise.resolve()
}
