/**
 * What the evaluator works on and answers: series with the names, tags, consolidation and drawing options
 * that functions give them (graphite-web render/datalib.py TimeSeries), and where raw series come from.
 *
 * A RenderSeries and its values are never changed once made: functions answer new ones, which may share the
 * value array. Value i stands at `start + i × step`; NaN is "no value".
 */

import type { Display, FetchedSeries, Selector } from '../ipc/store-protocol.ts'
import type { Consolidation } from '../metric/display.ts'
import { parseTaggedPath } from '../metric/path.ts'

/** What Graph functions say about how a series is drawn; formats other than pictures ignore it. */
export interface DrawingOptions {
  readonly color?: string
  /** 0 (transparent) to 1. */
  readonly alpha?: number
  readonly lineWidth?: number
  /** Length of a dash in pixels. */
  readonly dashed?: number
  readonly drawAsInfinite?: true
  readonly secondYAxis?: true
  /** Values are already added up; the area between this and the one below is filled. */
  readonly stacked?: true
  /** Part of a stack that is not painted. */
  readonly invisible?: true
}

export type Tags = ReadonlyMap<string, string>

export interface RenderSeries {
  readonly name: string
  /** What aggregates over this series call it. */
  readonly pathExpression: string
  readonly start: number
  /** Unix seconds after the last slot; by graphite-web's rules not always `start + step × values.length`. */
  readonly end: number
  readonly step: number
  readonly values: Float64Array
  /** Raw values that a value of this series stands for: over 1 after consolidation for maxDataPoints. */
  readonly valuesPerPoint: number
  readonly consolidation: Consolidation
  /** Share of known values that consolidation needs, 0 to 1. */
  readonly xFilesFactor: number
  readonly tags: Tags
  readonly options: DrawingOptions
  /** The values are those that JSON shows: the store has consolidated them for maxDataPoints. */
  readonly isShown?: boolean
}

/** One question to the store, over (from, until]; Unix seconds. */
export interface SeriesFetch {
  readonly selector: Selector
  readonly from: number
  readonly until: number
}

/** Stored in the events table: what `events()` draws. */
export interface EventQuery {
  /** All of these; `*` alone is every event. */
  readonly tags: readonly string[]
  readonly from: number
  readonly until: number
}

/**
 * Where the evaluator's raw material comes from: one object a request, which knows the request's now, deadline,
 * cancellation and limits on series and points, and fails with a `RenderError` when one is exceeded.
 */
export interface SeriesSource {
  /**
   * One list a fetch, in the order asked, each sorted by name in code point order. Once a level of functions.
   * `display`: these are all fetches of the request, over one range, and are only shown.
   */
  fetch(
    fetches: readonly SeriesFetch[],
    display?: Display,
  ): Promise<readonly (readonly FetchedSeries[])[]>
  /** Times of events, Unix seconds, in any order. */
  events(query: EventQuery): Promise<readonly number[]>
  /** What an outside table calls a series, for aliasByRedis and aliasByPostgres; undefined when nothing. */
  lookUpAlias(question: AliasQuestion): Promise<string | undefined>
}

/** An outside table that names series: carbonapi's aliasByRedis and aliasByPostgres. */
export type AliasQuestion =
  | { readonly table: 'redis'; readonly key: string; readonly field: string }
  | {
      readonly table: 'postgres'
      readonly database: string
      readonly key: string
      readonly nodes: readonly string[]
    }

/** What the asker must be told, with the HTTP status to tell it: the only error that evaluation throws on bad input. */
export class RenderError extends Error {
  override readonly name = 'RenderError'
  readonly status: 400 | 403 | 404 | 408 | 413 | 422 | 429 | 499 | 503 | 504

  constructor(message: string, status: RenderError['status'] = 400) {
    super(message)
    this.status = status
  }
}

// ── making series ───────────────────────────────────────────────────────────────────────────────────

const NO_OPTIONS: DrawingOptions = {}

/** What graphite-web's TimeSeries fills in by itself. */
export interface SeriesParts {
  readonly name: string
  readonly start: number
  readonly step: number
  readonly values: Float64Array
  readonly xFilesFactor: number
  /** Default: `start + step × values.length`. */
  readonly end?: number
  /** Default: the name. */
  readonly pathExpression?: string
  /** Default: what the name says. */
  readonly tags?: Tags
  readonly consolidation?: Consolidation
  readonly options?: DrawingOptions
  /** Default: false. */
  readonly isShown?: boolean
}

export function makeSeries(parts: SeriesParts): RenderSeries {
  return {
    name: parts.name,
    pathExpression: parts.pathExpression ?? parts.name,
    start: parts.start,
    end: parts.end ?? parts.start + parts.step * parts.values.length,
    step: parts.step,
    values: parts.values,
    valuesPerPoint: 1,
    consolidation: parts.consolidation ?? 'average',
    xFilesFactor: parts.xFilesFactor,
    tags: parts.tags ?? tagsOfName(parts.name),
    options: parts.options ?? NO_OPTIONS,
    isShown: parts.isShown ?? false,
  }
}

/** The same series in a few respects changed. */
export function changeSeries(series: RenderSeries, changes: Partial<RenderSeries>): RenderSeries {
  return { ...series, ...changes }
}

/** A series in place of another, under a name that is its path expression too, as in-place functions do it. */
export function renameSeries(
  series: RenderSeries,
  name: string,
  changes: Partial<RenderSeries> = {},
): RenderSeries {
  return { ...series, name, pathExpression: name, ...changes }
}

/** A new series made of another: it keeps tags and consolidation, and loses how the other was to be drawn. */
export function replaceSeries(
  series: RenderSeries,
  name: string,
  changes: Partial<RenderSeries>,
): RenderSeries {
  return {
    ...series,
    name,
    pathExpression: name,
    options: NO_OPTIONS,
    valuesPerPoint: 1,
    ...changes,
  }
}

export function withTag(tags: Tags, key: string, value: string): Tags {
  return new Map(tags).set(key, value)
}

const FUNCTION_NAME_RE = /^[a-z]+[(].+[)]$/i

/** `disk.used;dc=eu` → name and dc; a name that has no tags, or is a function's, is the tag `name`. */
export function tagsOfName(name: string): Tags {
  if (name.includes(';') && !FUNCTION_NAME_RE.test(name)) {
    const parsed = parseTaggedPath(name)
    if (parsed.ok) {
      return new Map([...parsed.value.tags, ['name', parsed.value.name.replace(/^~+/, '')]])
    }
  }
  return new Map([['name', name]])
}
