/** One line on a terminal that says how far a long command is; on anything else, a line every ten seconds. */

import type { Clock } from '../../lib/clock.ts'

const REDRAW_MS = 100
const LINE_MS = 10_000
const BAR_COLUMNS = 30

export interface ProgressOutput {
  readonly isTTY?: boolean
  write(text: string): unknown
}

/** Prints a line where a bar may be drawn, which is drawn again below it. */
export function printOver(output: ProgressOutput, line: string): void {
  if (output.isTTY) output.write('\r\x1b[K')
  console.log(line)
}

export class ProgressBar {
  private readonly clock: Clock
  private readonly output: ProgressOutput
  private readonly total: number
  private readonly startedMs: number
  private drawnMs: number

  constructor(clock: Clock, output: ProgressOutput, total: number) {
    this.clock = clock
    this.output = output
    this.total = total
    this.startedMs = clock.monotonicMs()
    this.drawnMs = this.startedMs
  }

  update(done: number): void {
    const nowMs = this.clock.monotonicMs()
    if (nowMs - this.drawnMs < (this.output.isTTY ? REDRAW_MS : LINE_MS)) return
    this.drawnMs = nowMs
    this.draw(done)
  }

  /** Draws the last state and leaves the line. */
  finish(done: number): void {
    if (!this.output.isTTY) return
    this.draw(done)
    this.output.write('\n')
  }

  private draw(done: number): void {
    const share = this.total === 0 ? 1 : done / this.total
    const filled = Math.round(share * BAR_COLUMNS)
    const bar = '#'.repeat(filled).padEnd(BAR_COLUMNS, '.')
    const text = `[${bar}] ${done}/${this.total} ${Math.floor(share * 100)} %, ${this.left(done)} left`
    this.output.write(this.output.isTTY ? `\r${text} ` : `${text}\n`)
  }

  private left(done: number): string {
    if (done === 0) return '?'
    const perItemMs = (this.clock.monotonicMs() - this.startedMs) / done
    const seconds = Math.ceil(((this.total - done) * perItemMs) / 1000)
    return seconds < 120 ? `${seconds} s` : `${Math.ceil(seconds / 60)} min`
  }
}
