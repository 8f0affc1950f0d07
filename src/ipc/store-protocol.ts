/**
 * Questions to the store, on query.sock and, behind HELLO and AUTH, on a remote relay's port.
 *
 * ```
 * → REQUEST  u32 id, JSON of a StoreRequest
 * → CANCEL   u32 id                          the work stops; nothing more comes for that id
 * ← REPLY    u32 id, JSON of the answer      every request but fetch
 * ← SERIES   u32 id, one series              fetch: any number, selector by selector, by name
 * ← END      u32 id, JSON of a FetchEnd      fetch: the last frame
 * ← FAILURE  u32 id, JSON of a StoreFailure  instead of, or in the middle of, an answer
 * ```
 *
 * A SERIES payload, so that the values can be used as they lie when the payload is 8-byte aligned:
 * `u32 id, u32 selector, u32 start, u32 step, u32 count, f32 xFilesFactor, u8 method, u8 flags, u16 length of
 * name, name, zeros up to a multiple of 8, f64 × count` with NaN for no value. Flags: 1 = the values are those to
 * be shown.
 *
 * A fetch may ask for less than all values (`display`, `combine`), where the asker would come to the very same
 * numbers from all of them. A store may always answer with all, as one does that does not know of this: for `display`
 * the flag tells, and combining once more what is combined changes nothing.
 *
 * Ids are the client's; many requests may be open on one connection. `now` is what the question takes for
 * the present: it chooses the archive and clamps the range, and pins a test's clock.
 */

import { assert } from '../lib/assert.ts'
import { ByteReader, type ByteWriter, fromUtf8, toUtf8 } from '../lib/bytes.ts'
import { AGGREGATION_METHODS, type AggregationMethod } from '../metric/consolidation.ts'
import type { Consolidation } from '../metric/display.ts'
import type { Archive } from '../metric/retention.ts'
import type { Combination } from '../metric/rows.ts'
import type { Series } from '../metric/series.ts'
import { beginFrame, endFrame, FrameError, FrameType } from './frame-format.ts'

/** What names series: a glob pattern (or a plain path), or tag expressions that must all hold. */
export type Selector = (
  { readonly pattern: string } | { readonly tagExpressions: readonly string[] }
) & {
  /** How these series are put together for `display`. */
  readonly consolidation?: Consolidation
  /**
   * Only what all these series make together is of interest, row by row, by name in order. The store may leave
   * out the values of all of them (a count of 0) but the last, which then has what they make.
   */
  readonly combine?: Combination
}

/** The series will be shown as JSON with at most so many points, and used for nothing else (metric/display.ts). */
export interface Display {
  readonly maxDataPoints: number
  readonly xFilesFactor: number
}

interface Common {
  /** Unix seconds. */
  readonly now: number
  /** How long the asker waits; after that the store stops working on it. */
  readonly deadlineMs: number
}

export interface FindRequest extends Common {
  readonly op: 'find'
  readonly patterns: readonly string[]
  /** Names without a point in [from, until] are left out, where the store can tell. */
  readonly from?: number
  readonly until?: number
  readonly leavesOnly: boolean
  /** Series are answered with their `span`; a store that does not know of it answers without. */
  readonly withSpan?: boolean
  /** More names than this in all is a failure with code `limit`. */
  readonly namesMax: number
}

export interface FindMatch {
  readonly path: string
  readonly isLeaf: boolean
  readonly span?: SeriesSpan
}

/** What there is of a series. */
export interface SeriesSpan {
  /** Seconds that its longest archive reaches back. */
  readonly seconds: number
  /** Time of the newest point, 0 when there is none. */
  readonly lastSeen: number
}

/** One list a pattern, each sorted by path in code point order, without repetitions of (path, isLeaf). */
export interface FindReply {
  readonly matches: readonly (readonly FindMatch[])[]
}

export interface FetchRequest extends Common {
  readonly op: 'fetch'
  readonly selectors: readonly Selector[]
  /** The range is (from, until], as Whisper has it: both are rounded up to the next step. */
  readonly from: number
  readonly until: number
  readonly seriesMax: number
  /** Of what is stored, however much of it is sent. */
  readonly pointsMax: number
  readonly display?: Display
  /**
   * The series of one selector may come in any order, which is cheaper to read; else they come sorted by name. Those
   * that are combined do in any case: sums depend on the order.
   */
  readonly anyOrder?: boolean
}

export interface FetchedSeries extends Series {
  /** Index into the request's selectors. */
  readonly selector: number
  /** The values are consolidated as `display` asked. */
  readonly isShown: boolean
  readonly xFilesFactor: number
  readonly method: AggregationMethod
}

export interface FetchEnd {
  readonly series: number
  readonly points: number
}

/** The names of all series, sorted, in pieces of at most `namesMax` after `after`. */
export interface IndexRequest extends Common {
  readonly op: 'index'
  readonly after: string
  readonly namesMax: number
}

export interface IndexReply {
  readonly paths: readonly string[]
  readonly more: boolean
}

/** graphite-web's tag questions (tags/views.py). Expressions are `tag=v`, `!=`, `=~`, `!=~`. */
export type TagsRequest = Common & { readonly op: 'tags' } & (
    | {
        readonly ask: 'findSeries'
        readonly expressions: readonly string[]
        readonly namesMax: number
      }
    | { readonly ask: 'tags'; readonly filter: string; readonly limit: number }
    | {
        readonly ask: 'values'
        readonly tag: string
        readonly filter: string
        readonly limit: number
      }
    | {
        readonly ask: 'completeTags'
        readonly expressions: readonly string[]
        readonly prefix: string
        readonly limit: number
      }
    | {
        readonly ask: 'completeValues'
        readonly expressions: readonly string[]
        readonly tag: string
        readonly prefix: string
        readonly limit: number
      }
  )

/** Sorted; `counts[i]` is how many series carry value i, for `values` alone. */
export interface TagsReply {
  readonly names: readonly string[]
  readonly counts?: readonly number[]
}

/** Makes series (so that tags are known before the first point); answers their canonical names. */
export interface RegisterRequest extends Common {
  readonly op: 'register'
  readonly paths: readonly string[]
}

export interface RegisterReply {
  readonly paths: readonly string[]
}

/** Logged and synced before it is answered. */
export interface DeleteRequest extends Common {
  readonly op: 'delete'
  readonly paths: readonly string[]
}

export interface DeleteReply {
  readonly deleted: number
}

/** Refused when `to` exists. */
export interface RenameRequest extends Common {
  readonly op: 'rename'
  readonly from: string
  readonly to: string
}

export interface RenameReply {
  readonly renamed: boolean
}

export interface InfoRequest extends Common {
  readonly op: 'info'
  readonly paths: readonly string[]
}

export interface SeriesInfo {
  readonly path: string
  readonly archives: readonly Archive[]
  readonly method: AggregationMethod
  readonly xFilesFactor: number
  /** Time of the newest point, 0 when there is none. */
  readonly lastSeen: number
}

/** Unknown paths are left out. */
export interface InfoReply {
  readonly series: readonly SeriesInfo[]
}

export type StoreRequest =
  | FindRequest
  | FetchRequest
  | IndexRequest
  | TagsRequest
  | RegisterRequest
  | DeleteRequest
  | RenameRequest
  | InfoRequest

export interface StoreReplies {
  find: FindReply
  index: IndexReply
  tags: TagsReply
  register: RegisterReply
  delete: DeleteReply
  rename: RenameReply
  info: InfoReply
}

/** `bad`: the question is wrong. `limit`: it asks for too much. `deadline`, `unavailable`: ask again later. */
export interface StoreFailure {
  readonly code: 'bad' | 'limit' | 'deadline' | 'unavailable'
  readonly text: string
}

// ── encoding ────────────────────────────────────────────────────────────────────────────────────────

/** A frame of any type here but SERIES and CANCEL: id, then JSON. */
export function appendJson(dst: ByteWriter, type: number, id: number, body: unknown): void {
  const at = beginFrame(dst, type)
  dst.u32(id)
  dst.raw(toUtf8(JSON.stringify(body)))
  endFrame(dst, at)
}

export function appendRequest(dst: ByteWriter, id: number, request: StoreRequest): void {
  appendJson(dst, FrameType.request, id, request)
}

export function appendCancel(dst: ByteWriter, id: number): void {
  const at = beginFrame(dst, FrameType.cancel)
  dst.u32(id)
  endFrame(dst, at)
}

const SERIES_HEADER_BYTES = 28
const FLAG_SHOWN = 1

export function appendSeries(dst: ByteWriter, id: number, series: FetchedSeries): void {
  appendSeriesHead(dst, id, series)
  dst.raw(valueBytes(series.values))
}

/** A SERIES frame up to its values, for those who send the values from where they lie: `valueBytes`. */
export function appendSeriesHead(dst: ByteWriter, id: number, series: FetchedSeries): void {
  const name = toUtf8(series.name)
  assert(name.length <= 0xffff, `series name of ${name.length} bytes`)
  const at = beginFrame(dst, FrameType.series)
  dst.u32(id)
  dst.u32(series.selector)
  dst.u32(series.start)
  dst.u32(series.step)
  dst.u32(series.values.length)
  dst.f32(series.xFilesFactor)
  dst.u8(AGGREGATION_METHODS.indexOf(series.method))
  dst.u8(series.isShown ? FLAG_SHOWN : 0)
  dst.u16(name.length)
  dst.raw(name)
  const padding = valuesOffset(name.length) - SERIES_HEADER_BYTES - name.length
  for (let i = 0; i < padding; i++) dst.u8(0)
  endFrame(dst, at, series.values.byteLength)
}

/** A view. */
export function valueBytes(values: Float64Array): Uint8Array {
  return new Uint8Array(values.buffer, values.byteOffset, values.byteLength)
}

/** Payload bytes of a SERIES frame, for keeping under QUERY_FRAME_BYTES_MAX. */
export function seriesFrameBytes(nameBytes: number, count: number): number {
  return valuesOffset(nameBytes) + 8 * count
}

function valuesOffset(nameBytes: number): number {
  return Math.ceil((SERIES_HEADER_BYTES + nameBytes) / 8) * 8
}

// ── decoding ────────────────────────────────────────────────────────────────────────────────────────

/** The id that any frame here starts with. */
export function frameId(payload: Uint8Array): number {
  if (payload.length < 4) throw new FrameError('query frame without an id')
  return new ByteReader(payload).u32()
}

/** The JSON of a frame that `appendJson` made. The two ends are of one program, so its type is taken on trust. */
export function decodeJson<T>(payload: Uint8Array): T {
  try {
    return JSON.parse(fromUtf8(payload.subarray(4))) as T
  } catch {
    throw new FrameError('query frame without JSON')
  }
}

/** The series with values of its own: in memory that `allocate` gives, or new. */
export function decodeSeries(
  payload: Uint8Array,
  allocate: (count: number) => Float64Array = (count) => new Float64Array(count),
): FetchedSeries {
  const reader = new ByteReader(payload, 4)
  try {
    const selector = reader.u32()
    const start = reader.u32()
    const step = reader.u32()
    const count = reader.u32()
    const xFilesFactor = reader.f32()
    const method = AGGREGATION_METHODS[reader.u8()] ?? 'average'
    const isShown = (reader.u8() & FLAG_SHOWN) !== 0
    const name = reader.text16()
    reader.offset = valuesOffset(reader.offset - SERIES_HEADER_BYTES)
    const raw = reader.raw(8 * count)
    const values = allocate(count)
    new Uint8Array(values.buffer, values.byteOffset, raw.length).set(raw)
    return { selector, name, start, step, values, xFilesFactor, method, isShown }
  } catch (error) {
    if (error instanceof RangeError) throw new FrameError('SERIES frame is cut short')
    throw error
  }
}
