/**
 * StatsD at work: bytes from UDP and TCP to lines, the flush every interval, the journal every 200 ms. Points
 * of a flush go through the relay as lines, like all others; the journal forgets what they were made of when
 * they have had SETTLE_MS to be written somewhere (promise 3 gives them 200 ms). Settings that a reload changed
 * hold from the next flush on: the interval that has begun ends as it began.
 */

import { ByteWriter, copyOf, NEWLINE } from '../../lib/bytes.ts'
import { type Clock, nowSeconds, type Timer } from '../../lib/clock.ts'
import type { Disk } from '../../lib/disk.ts'
import type { Stats } from '../../lib/stats.ts'
import { PART_POINTS } from '../../ipc/sources-format.ts'
import type { Dispatcher } from '../routing/dispatcher.ts'
import type { Network } from '../routing/network.ts'
import { appendField } from './line-builder.ts'
import { type EmitPoint, Statsd, type StatsdSettings } from './statsd.ts'
import { StatsdJournal } from './statsd-journal.ts'

const JOURNAL_MS = 200
const SETTLE_MS = 500
const LINE_BYTES_MAX = 65_536
const BLANK = 0x20

export interface StatsdInputOptions {
  /** As they are now. */
  readonly settings: () => StatsdSettings
  readonly namesMax: number
  readonly clock: Clock
  readonly disk: Disk
  readonly stats: Stats
  readonly dispatcher: Dispatcher
  readonly network: Network
  readonly journalPath: string
}

export class StatsdInput {
  readonly statsd: Statsd
  private readonly options: StatsdInputOptions
  private readonly journal: StatsdJournal
  private readonly lines: ByteWriter
  private lineCount: number
  /** While the journal has something to write. */
  private journalTimer: Timer | undefined
  private flushTimer: Timer
  private readonly emit: EmitPoint
  private last: number
  /** Monotonic, of the last bytes that came. */
  private takenMs: number
  /** Monotonic. */
  private flushedMs: number
  /** Monotonic, of the next flush. */
  private dueMs: number

  constructor(options: StatsdInputOptions) {
    const { clock, disk, stats, journalPath, settings, namesMax } = options
    this.options = options
    this.statsd = new Statsd(settings(), namesMax)
    this.journal = new StatsdJournal(disk, journalPath, clock.randomBytes(8))
    this.lines = new ByteWriter(4096)
    this.lineCount = 0
    this.last = 0
    this.takenMs = clock.monotonicMs()
    this.flushedMs = 0
    this.dueMs = clock.monotonicMs()
    this.emit = (name, value, timestamp) => this.append(name, value, timestamp)
    this.journalTimer = undefined
    this.recover()
    this.flushTimer = this.flushLater()
    const { statsd } = this
    stats.total('statsd.samples', () => statsd.samples)
    stats.total('statsd.badLines', () => statsd.badLines)
    stats.total('statsd.ignored', () => statsd.ignored)
    stats.total('dropped.statsdNames', () => statsd.refused)
    stats.total('dropped.statsdValues', () => statsd.left)
  }

  /** Whole lines; the last one may come without its newline. */
  take(bytes: Uint8Array): void {
    this.statsd.packetsReceived++
    this.takenMs = this.options.clock.monotonicMs()
    for (let start = 0; start < bytes.length;) {
      const newline = bytes.indexOf(NEWLINE, start)
      const next = newline < 0 ? bytes.length : newline
      let end = next
      while (end > start && bytes[end - 1]! <= BLANK) end--
      if (this.statsd.take(bytes, start, end, this.emit)) this.journal.note(bytes, start, end)
      start = next + 1
    }
    this.dispatch()
    this.writeJournalLater()
  }

  /** For how long nothing has come. */
  get silentSeconds(): number {
    return (this.options.clock.monotonicMs() - this.takenMs) / 1000
  }

  /** One TCP connection: `feed` what comes. */
  stream(): { feed(bytes: Uint8Array): void } {
    let rest: Uint8Array = new Uint8Array(0)
    return {
      feed: (bytes) => {
        const end = bytes.lastIndexOf(NEWLINE) + 1
        const whole = rest.length === 0 ? bytes.subarray(0, end) : joined(rest, bytes, end)
        if (end > 0) {
          this.take(whole)
          rest = copyOf(bytes.subarray(end))
        } else if (rest.length + bytes.length > LINE_BYTES_MAX) {
          this.statsd.badLines++
          rest = new Uint8Array(0)
        } else rest = joined(rest, bytes, bytes.length)
      },
    }
  }

  /** Nothing, as long as nobody has sent anything. */
  flush(): void {
    if (this.statsd.isUnused) return
    const timestamp = nowSeconds(this.options.clock)
    const isNoted = this.journal.noteFlush(timestamp)
    this.send(timestamp, isNoted)
  }

  /** What is gathered stays in the journal. */
  close(): void {
    this.journalTimer?.cancel()
    this.flushTimer.cancel()
    this.journal.close()
  }

  /** At even distances, but for a process that was suspended. */
  private flushLater(): Timer {
    const { clock, settings } = this.options
    this.statsd.settings = settings()
    const now = clock.monotonicMs()
    const intervalMs = this.statsd.settings.flushSeconds * 1000
    this.dueMs = this.dueMs + intervalMs > now ? this.dueMs + intervalMs : now + intervalMs
    return clock.after(this.dueMs - now, () => {
      this.flush()
      this.flushTimer = this.flushLater()
    })
  }

  private recover(): void {
    this.journal.read({
      sample: (bytes, start, end) => this.statsd.take(bytes, start, end, this.emit),
      idle: (line) => this.statsd.restore(line),
      flush: (timestamp) => this.send(timestamp, true),
    })
  }

  /** `isNoted`: when it is made again, its parts will have the same sequences. */
  private send(timestamp: number, isNoted: boolean): void {
    this.statsd.flush(timestamp, (name, value, time) => {
      this.append(name, value, time)
      if (this.lineCount === PART_POINTS) this.sendPart(isNoted)
    })
    this.sendPart(isNoted)
    this.journal.flushed(this.statsd.idleLines())
    this.flushedMs = this.options.clock.monotonicMs()
    this.writeJournalLater()
  }

  private sendPart(isNoted: boolean): void {
    if (!isNoted) return this.dispatch()
    const { network } = this.options
    network.beginPart(this.journal.source, this.journal.nextSequence())
    this.dispatch()
    network.endPart(true)
  }

  private writeJournalLater(): void {
    if (this.journal.isSettled) return
    this.journalTimer ??= this.options.clock.after(JOURNAL_MS, () => {
      this.journalTimer = undefined
      this.writeJournal()
      this.writeJournalLater()
    })
  }

  private writeJournal(): void {
    const { journal, flushedMs } = this
    journal.write()
    if (this.options.clock.monotonicMs() - flushedMs >= SETTLE_MS) journal.settle()
  }

  private append(name: string, value: number, timestamp: number): void {
    const { lines } = this
    appendField(lines, name)
    lines.u8(BLANK)
    lines.decimal(value)
    lines.u8(BLANK)
    lines.decimal(timestamp)
    lines.u8(NEWLINE)
    this.lineCount++
  }

  private dispatch(): void {
    const { lines } = this
    if (lines.length === 0) return
    this.last = this.options.dispatcher.dispatch(lines.bytes, 0, lines.length, this.last)
    lines.reset()
    this.lineCount = 0
  }
}

function joined(a: Uint8Array, b: Uint8Array, bEnd: number): Uint8Array {
  const both = new Uint8Array(a.length + bEnd)
  both.set(a)
  both.set(b.subarray(0, bEnd), a.length)
  return both
}
