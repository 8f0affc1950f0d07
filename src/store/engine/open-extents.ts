/**
 * Extents of sealed blocks that were read lately, unpacked: who looks at one series soon looks at its neighbours or
 * at the same again, and a large fetch comes back to an extent with its next batch. What a block holds never
 * changes, so nothing here is ever stale. A reader is lent to one at a time; who comes meanwhile reads anew.
 *
 * Limits: 16 extents and 8 MiB with what was decoded for the sake of other columns, the one lent longest ago goes
 * first; and one reader of any size, for its scratch space. All are let go when nobody came for 10 s. A frame's
 * checksum is verified when it is read.
 */

import type { Clock, Timer } from '../../lib/clock.ts'
import type { Counter } from '../../lib/stats.ts'
import { ExtentReader } from '../files/extent-format.ts'
import type { ExtentSource } from './window.ts'

const KEPT_MAX = 16
const KEPT_BYTES_MAX = 8 * 1024 * 1024
/** One of which so much was decoded was read from end to end: it would only drive out the others. */
const ONE_BYTES_MAX = 4 * 1024 * 1024
/** Smaller ones are unpacked faster than it is worth to keep them. */
const KEPT_BYTES_MIN = 16 * 1024
const IDLE_MS = 10_000

interface Kept {
  readonly source: ExtentSource
  readonly at: number
  readonly reader: ExtentReader
  readonly bytes: number
}

export interface OpenExtentsCounters {
  readonly opened: Counter
  /** Found here. */
  readonly reused: Counter
}

export class OpenExtents {
  private readonly clock: Clock
  private readonly counters: OpenExtentsCounters
  /** Lent longest ago first. */
  private kept: Kept[]
  private bytes: number
  /** Of an extent that was not kept: its scratch space is of use. */
  private spare: ExtentReader | undefined
  private timer: Timer | undefined
  private isInUse: boolean

  constructor(clock: Clock, counters: OpenExtentsCounters) {
    this.clock = clock
    this.counters = counters
    this.kept = []
    this.bytes = 0
    this.spare = undefined
    this.timer = undefined
    this.isInUse = false
  }

  /** A reader of extent `at`, the caller's until it is given back. Throws `CorruptionError`. */
  take(source: ExtentSource, at: number): ExtentReader {
    const found = this.kept.findIndex((one) => one.source === source && one.at === at)
    if (found >= 0) {
      this.counters.reused.value++
      return this.remove(found).reader
    }
    this.counters.opened.value++
    const reader = this.spare ?? new ExtentReader()
    this.spare = undefined
    reader.open(source.read(at), source.path, source.index.offsets[at]!)
    return reader
  }

  giveBack(source: ExtentSource, at: number, reader: ExtentReader): void {
    this.isInUse = true
    this.timer ??= this.clock.after(IDLE_MS, () => this.tidy())
    const { bytes } = reader
    if (!source.isSealed || bytes < KEPT_BYTES_MIN || bytes > ONE_BYTES_MAX) {
      this.spare = reader
    } else {
      reader.trim()
      this.kept.push({ source, at, reader, bytes })
      this.bytes += bytes
      while (this.kept.length > KEPT_MAX || this.bytes > KEPT_BYTES_MAX)
        this.spare = this.remove(0).reader
    }
  }

  close(): void {
    this.timer?.cancel()
    this.forget()
  }

  private tidy(): void {
    this.timer = undefined
    if (!this.isInUse) return this.forget()
    this.isInUse = false
    this.timer = this.clock.after(IDLE_MS, () => this.tidy())
  }

  private forget(): void {
    this.kept = []
    this.bytes = 0
    this.spare = undefined
  }

  private remove(position: number): Kept {
    const [one] = this.kept.splice(position, 1)
    this.bytes -= one!.bytes
    return one!
  }
}
