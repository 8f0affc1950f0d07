/**
 * A lane: all series that have the same archives. They share the head's ring, and one set of windows an
 * archive (a level). What a coarser level holds is made from the finer one when a window of that is sealed;
 * until then it is computed when asked for (rollup.ts).
 *
 * With exact roll-ups every level whose slots divide a finest window is made from the finest archive itself.
 * Such a level's windows have nothing to wait for: they are settled from the start.
 *
 * A window has at least 3,600 slots and a whole number of the next level's, so every coarser slot is made
 * of one window only.
 */

import type { Archive } from '../../metric/retention.ts'
import { Head } from './head.ts'
import { LatePoints } from './late.ts'
import { TouchedSlots } from './touched-slots.ts'
import { Window, type WindowParts } from './window.ts'

const WINDOW_SLOTS_MIN = 3_600
/** Closed slots that are worth an extent. */
export const FLUSH_SLOTS_MIN = 15
/** Seconds between checkpoints, for which the ring needs room. */
export const CHECKPOINT_SECONDS = 60
/** Slots that the ring has beside those: what is still open, and what is ahead. */
const SPARE_SLOTS = 6
/**
 * Room for what comes while rows are written, which takes so long on a machine that has too much to do. Without
 * it points count as late, and cost more.
 */
const WRITING_SECONDS = 10
const ROOM_SLOTS_MIN = 4

export class Level {
  readonly step: number
  readonly count: number
  /** Slots of this level in one of the next, 0 for the last level. */
  readonly ratio: number
  readonly windowSlots: number
  /** Its windows' slots go to no coarser level when they are sealed, so they are settled from the start. */
  isBornSettled = false
  /** Unix time of the start → window. */
  readonly windows = new Map<number, Window>()
  /** What came late since it was last written, and what is being written now. */
  late = new LatePoints()
  writing: LatePoints | undefined
  /** The same for imported slots. They lie under everything else, and feed no other level. */
  loaded = new LatePoints()
  loading: LatePoints | undefined
  /** Slots of the next level that are to be made anew. */
  readonly touched = new TouchedSlots()
  /** To be filled next. */
  private spare: LatePoints | undefined
  private readonly parts: WindowParts

  constructor(archive: Archive, next: Archive | undefined, parts: WindowParts) {
    this.parts = parts
    this.step = archive.step
    this.count = archive.count
    this.ratio = next ? next.step / archive.step : 0
    const unit = Math.max(1, this.ratio)
    this.windowSlots = Math.ceil(WINDOW_SLOTS_MIN / unit) * unit
  }

  /** What came is going to be written; what comes from now on is collected by itself. */
  beginWriting(): void {
    if (this.loaded.length > 0) {
      this.loading = this.loaded
      this.loaded = new LatePoints()
    }
    if (this.late.length > 0) {
      this.writing = this.late
      this.late = this.spare ?? new LatePoints()
    }
    this.spare = undefined
  }

  /** What came late is written. */
  endWriting(): void {
    if (this.writing?.clear()) this.spare = this.writing
    this.writing = undefined
  }

  get windowSeconds(): number {
    return this.windowSlots * this.step
  }

  /** Seconds that are kept. */
  get retention(): number {
    return this.step * this.count
  }

  windowStart(slot: number): number {
    return Math.floor(slot / this.windowSlots) * this.windowSeconds
  }

  windowOf(slot: number): Window | undefined {
    return this.windows.get(this.windowStart(slot))
  }

  /** The window of `slot`, made when there is none. */
  openWindow(slot: number): Window {
    const start = this.windowStart(slot)
    let window = this.windows.get(start)
    if (!window) {
      window = new Window(this.step, { start, slots: this.windowSlots }, this.parts)
      if (this.isBornSettled) window.state = 'settled'
      this.windows.set(start, window)
    }
    return window
  }

  /** Windows with slots in [from, to), by rising start. */
  windowsWithin(from: number, to: number): Window[] {
    const found: Window[] = []
    for (const window of this.windows.values()) {
      if (window.firstSlot < to && window.firstSlot + window.slots > from) found.push(window)
    }
    return found.sort((a, b) => a.start - b.start)
  }
}

export interface LaneOptions {
  readonly number: number
  readonly archives: readonly Archive[]
  /** First slot of the head. */
  readonly headFrom: number
  /** Roll-ups are made from the finest archive (`store.rollup`). */
  readonly isExact: boolean
  readonly windows: WindowParts
}

export class Lane {
  readonly number: number
  readonly archives: readonly Archive[]
  readonly levels: readonly Level[]
  readonly head: Head
  /** Its folder says which archives it has. */
  hasFile = false
  /** Time of the newest point that came ahead of the head: slots up to it may be in files already. */
  aheadUntil = 0
  /** When a series last came here with a new rule: what is older may belong to another lane. */
  switchedUntil = 0
  /** The coarsest level that is made from the finest: the second, or a coarser one when roll-ups are exact. */
  readonly directDepth: number

  constructor(options: LaneOptions) {
    const { archives, windows } = options
    this.number = options.number
    this.archives = archives
    this.levels = archives.map((archive, i) => new Level(archive, archives[i + 1], windows))
    this.directDepth = options.isExact ? this.deepestDirect() : 1
    if (options.isExact) this.markBornSettled()
    const { step } = archives[0]!
    this.head = new Head(step, ringOf(step), options.headFrom)
  }

  get finest(): Level {
    return this.levels[0]!
  }

  /** The level that this one's slots are made from. */
  sourceOf(depth: number): number {
    return depth <= this.directDepth ? 0 : depth - 1
  }

  /** The levels whose slots are made anew when this one's change, finest first. */
  fedBy(depth: number): number[] {
    const last = depth === 0 ? this.directDepth : depth + 1
    const fed: number[] = []
    for (let target = depth + 1; target <= last && target < this.levels.length; target++)
      fed.push(target)
    return fed
  }

  /** How many slots of level `source` make one of level `depth`. */
  ratio(source: number, depth: number): number {
    return this.levels[depth]!.step / this.levels[source]!.step
  }

  private deepestDirect(): number {
    const { windowSeconds } = this.finest
    const tooCoarse = this.levels.findIndex((level) => windowSeconds % level.step !== 0)
    return tooCoarse < 0 ? this.levels.length - 1 : tooCoarse - 1
  }

  private markBornSettled(): void {
    for (const [depth, level] of this.levels.entries()) {
      const isLast = depth === this.levels.length - 1
      level.isBornSettled =
        depth > 0 && (depth < this.directDepth || (isLast && depth === this.directDepth))
    }
  }

  /** Slots of the head that may still be written to by those who are in time. */
  get openSlots(): number {
    return this.head.step >= 10 ? 2 : 4
  }

  /** Bytes of points that came late and are not written. */
  get lateBytes(): number {
    let bytes = 0
    for (const level of this.levels) bytes += level.late.bytes + level.loaded.bytes
    return bytes
  }
}

/**
 * Rows for what comes between checkpoints; where that is not worth an extent, for what was carried over from before
 * too; and the room for what comes while they are written.
 */
function ringOf(step: number): { rows: number; roomMin: number } {
  const slots = Math.ceil(CHECKPOINT_SECONDS / step)
  const carried = slots < FLUSH_SLOTS_MIN ? FLUSH_SLOTS_MIN : 0
  const writing = Math.ceil(WRITING_SECONDS / step)
  return {
    rows: carried + slots + SPARE_SLOTS + writing,
    roomMin: Math.max(ROOM_SLOTS_MIN, writing),
  }
}

export function sameArchives(a: readonly Archive[], b: readonly Archive[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) {
    if (a[i]!.step !== b[i]!.step || a[i]!.count !== b[i]!.count) return false
  }
  return true
}
