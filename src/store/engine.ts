/**
 * The engine's seam: what the store's edges (sockets, index, command lines) may ask of the part that logs,
 * keeps and finds points. Points are columns, series are dense u32 ids that the index gives and never
 * gives again.
 *
 * Reading order of what lies under it: wal-*, head, window, column-codec, block-*, late, rollup, manifest,
 * retention, fetch, checkpoint. Every file on disk is drawn in README.md.
 */

import type { Clock } from '../lib/clock.ts'
import type { Disk } from '../lib/disk.ts'
import type { Log } from '../lib/log.ts'
import type { Stats } from '../lib/stats.ts'
import type { AggregationMethod } from '../metric/consolidation.ts'
import type { Archive } from '../metric/retention.ts'

/** How a series is kept; finest archive first, valid as metric/retention.ts says. */
export interface SeriesRule {
  readonly archives: readonly Archive[]
  readonly method: AggregationMethod
  /** Share of known finer slots that a coarser slot needs, compared in float32. */
  readonly xFilesFactor: number
  /** It came with an import and keeps archives of its own: a changed schema does not touch it. */
  readonly pinned?: boolean
}

export interface SeriesDefinition extends SeriesRule {
  readonly id: number
  readonly path: string
}

/** Whose frame it is: 16 hex digits, and the frame's number in that sender's one sequence. */
export interface PointsSource {
  readonly sender: string
  readonly sequence: number
}

/** Slots in (from, until], as Whisper has it; `now` chooses the archive and clamps the range. */
export interface FetchRange {
  readonly from: number
  readonly until: number
  readonly now: number
}

/** Values at `start + i × step`, NaN where nothing is known. */
export interface FetchedSlots {
  readonly start: number
  readonly step: number
  readonly values: Float64Array
}

/** The slots that a fetch answers for a series. */
export interface SlotSpan {
  readonly start: number
  readonly step: number
  readonly count: number
}

/** What a fetch of some series will answer: each span once, and how many slots there are in all. */
export interface FetchPlan {
  readonly spans: readonly SlotSpan[]
  readonly slots: number
}

export interface EngineSettings {
  /** `always`: append returns after the sync (slow). `1s`: a sync starts every second. `off`: the kernel decides. */
  readonly fsync: 'always' | '1s' | 'off'
  readonly rollup: 'whisper' | 'exact'
  /** Seconds that a point may be ahead of the clock; others are dropped and counted (`dropped.time`). */
  readonly maxFuture: number
  /** Ballast to be given up when the disk is full; 32 MiB. */
  readonly reserveBytes?: number
}

export interface EngineOptions {
  /** The folder that the engine owns; made when missing. */
  readonly dir: string
  readonly disk: Disk
  readonly clock: Clock
  readonly log: Log
  readonly stats: Stats
  readonly settings: EngineSettings
  /** Called while opening, before `onSeries`: how often that is going to be called. */
  readonly onSeriesCount?: (count: number) => void
  /**
   * Called while opening, once for every series that is known, ids rising, before `open` resolves. The name is
   * `bytes[start, end)`, valid until it returns.
   */
  readonly onSeries: (id: number, bytes: Uint8Array, start: number, end: number) => void
  /** Called while opening with 0 to 1. */
  readonly onProgress: (done: number) => void
}

export interface CheckReport {
  readonly files: number
  readonly bytes: number
  /** Frames and records whose checksum was verified. */
  readonly checked: number
  /** One line a problem: file, offset, what is wrong. */
  readonly problems: readonly string[]
}

/** Opened by `openEngine(options)` in open-engine.ts. */
export interface Engine {
  /** The id that the next new series gets: ids are never given twice. */
  readonly nextId: number

  /** Logs a new series. `id` is `nextId`. */
  define(definition: SeriesDefinition): void

  /**
   * Logs and applies one frame's points, and returns true. Unknown and removed ids (0xffffffff too) are skipped
   * and counted. The columns may be reused when it returns. A source's sequence at or below
   * `lastSequences().written` must not be given again (the receiver skips it; here it is skipped too).
   * False: the store does not write now (disk full); nothing was taken, do not acknowledge.
   */
  append(
    source: PointsSource | undefined,
    ids: Uint32Array,
    timestamps: Uint32Array,
    values: Float64Array,
    count: number,
  ): boolean

  /**
   * Undefined when points can be written as fast as they came so far; else a promise, which is never rejected: who can
   * make a sender wait does so until then. `append` takes some more meanwhile.
   */
  whenRoom(): Promise<void> | undefined

  /** The latest time that a point may have now: ahead of the clock by `maxFuture`. */
  latestTime(): number

  /** The last frame that is in the log, and the last that is synced; zeros for an unknown sender. */
  lastSequences(sender: string): { written: number; synced: number }
  /** Calls back after every sync; read `lastSequences` then. */
  onSynced(callback: () => void): void
  /** Resolves when everything logged so far survives a power cut. */
  sync(): Promise<void>

  /**
   * Calls `each` once an id, in the order of `ids`; undefined when the id is not known or the range lies
   * outside what is kept. Neighbouring series share their reading, so give many ids at once; a promise that
   * `each` returns is waited for (back-pressure), and the values are valid until then; without one, until `each`
   * returns. Yields to the event loop; stops with the signal's reason when it is aborted.
   */
  fetch(
    ids: Uint32Array,
    range: FetchRange,
    each: (index: number, slots: FetchedSlots | undefined) => void | Promise<void>,
    signal?: AbortSignal,
  ): Promise<void>

  /** What `fetch` will answer, without reading it. */
  plan(ids: Uint32Array, range: FetchRange): FetchPlan

  /** The rule that is in force for the series now; undefined when the id is not known. */
  ruleOf(id: number): SeriesRule | undefined
  /** Logged; the points are gone from every answer at once, from the disk with the next compaction. */
  remove(id: number): void
  /** Logged. The caller knows that the path is free. */
  rename(id: number, path: string): void
  /** Logged; applies from the next window of the coarsest step, older windows stay readable under their own. */
  redefine(id: number, rule: SeriesRule): void
  /** Time of the newest point, 0 when there is none. */
  lastSeen(id: number): number
  /**
   * The time that decides what is too old to be kept: the earlier of the wall clock and the newest point.
   * Undefined while nothing may be deleted for its age, because the clock jumped, and
   * while no point is known.
   */
  deletionNow(): number | undefined

  /**
   * Puts slots as they are into the archive of that step: for imports. Logged. They feed no other archive.
   * NaN leaves what is there. Waits while too much waits for the disk. False: not writable now.
   */
  load(id: number, slots: FetchedSlots): Promise<boolean>

  /** Whether new points and new series are taken now (disk space). */
  acceptsPoints(): boolean
  acceptsSeries(): boolean
  /** Why the store cannot do its job, a line each; empty when it can. */
  notReady(): string[]

  /** Seals every window that has data, folds all overlays, truncates the log: for measurements and copies. */
  flush(): Promise<void>
  /** A consistent copy in `dir` (which must not exist) by hard links, that `openEngine` opens as it is. */
  snapshot(dir: string): Promise<void>
  /** Reads everything and verifies every checksum. */
  check(): Promise<CheckReport>
  /** Checkpoints and closes. */
  close(): Promise<void>
}
