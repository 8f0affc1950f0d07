/** Evaluates targets over series that a test writes down, with a source that knows globs and tags. */
import { evaluateTargets, type RenderContext } from '../../src/api/evaluator.ts'
import {
  type AliasQuestion,
  type EventQuery,
  type RenderSeries,
  type SeriesFetch,
  type SeriesSource,
  tagsOfName,
} from '../../src/api/render-series.ts'
import type { FetchedSeries, Selector } from '../../src/ipc/store-protocol.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { compileNode, expandBraces, matchesNode } from '../../src/metric/glob.ts'

export interface StoredSeries {
  readonly start?: number
  readonly step?: number
  readonly values: readonly (number | null)[]
}

/** All tests' range: 600 s that end at an hour. */
export const UNTIL = 1_700_002_800
export const FROM = UNTIL - 600
const DEFAULT_STEP = 60
/** As a store has it, nothing is older and nothing is newer than UNTIL. */
const RETENTION = 7 * 86_400

export class MemorySource implements SeriesSource {
  readonly #series: ReadonlyMap<string, StoredSeries>
  /** Questions, as they were asked together. */
  readonly asked: SeriesFetch[][] = []
  readonly eventTimes: number[] = []

  constructor(series: Readonly<Record<string, StoredSeries | readonly (number | null)[]>>) {
    this.#series = new Map(
      Object.entries(series).map(([name, stored]) => [
        name,
        isList(stored) ? { values: stored } : stored,
      ]),
    )
  }

  async fetch(fetches: readonly SeriesFetch[]): Promise<FetchedSeries[][]> {
    this.asked.push([...fetches])
    await Promise.resolve()
    return fetches.map((fetch, selector) => {
      const names = [...this.#series.keys()].filter((name) => selects(fetch.selector, name)).sort()
      return names.map((name) => ({
        ...cut(this.#series.get(name)!, fetch),
        name,
        selector,
        xFilesFactor: 0,
        method: 'average' as const,
        isShown: false,
      }))
    })
  }

  async events(query: EventQuery): Promise<number[]> {
    await Promise.resolve()
    return this.eventTimes.filter((time) => time >= query.from && time < query.until)
  }

  /** The question itself. */
  lookUpAlias(question: AliasQuestion): Promise<string> {
    return Promise.resolve(JSON.stringify(question))
  }
}

function isList(
  stored: StoredSeries | readonly (number | null)[],
): stored is readonly (number | null)[] {
  return Array.isArray(stored)
}

/** The part in (from, until]; what was not stored is not known. */
function cut(
  stored: StoredSeries,
  { from, until }: SeriesFetch,
): { start: number; step: number; values: Float64Array } {
  const step = stored.step ?? DEFAULT_STEP
  const oldest = UNTIL - RETENTION
  const storedStart = stored.start ?? FROM + step - (FROM % step)
  const [first, last] = [Math.max(from, oldest), Math.min(Math.max(until, oldest), UNTIL)]
  const start = first - (first % step) + step
  const end = last - (last % step) + step
  const values = new Float64Array(Math.max((end - start) / step, 0)).fill(NaN)
  for (let i = 0; i < values.length; i++) {
    values[i] = stored.values[(start + i * step - storedStart) / step] ?? NaN
  }
  return { start, step, values }
}

export function selects(selector: Selector, name: string): boolean {
  if ('pattern' in selector) {
    const expanded = expandBraces(selector.pattern)
    if (!expanded.ok) return false
    return expanded.value.some((pattern) => {
      // Tagged series are no part of the tree.
      if (name.includes(';')) return pattern === name
      const globs = pattern.split('.')
      const nodes = name.split('.')
      return (
        globs.length === nodes.length &&
        globs.every((glob, i) => {
          const node = compileNode(glob)
          return node.ok && matchesNode(node.value, nodes[i]!)
        })
      )
    })
  }
  const tags = tagsOfName(name)
  return selector.tagExpressions.every((expression) => {
    const [, tag = '', operator = '', value = ''] =
      /^([^;!=]+)(!?=~?)([^;]*)$/.exec(expression) ?? []
    const own = tags.get(tag) ?? ''
    const hit = operator.endsWith('~') ? new RegExp(`^(?:${value})`).test(own) : own === value
    return operator.startsWith('!') ? !hit : hit
  })
}

export function contextOver(
  source: SeriesSource,
  changes: Partial<RenderContext> = {},
): RenderContext {
  return {
    from: FROM,
    until: UNTIL,
    now: UNTIL,
    timeZone: 'UTC',
    xFilesFactor: 0,
    template: new Map(),
    source,
    clock: systemClock,
    signal: new AbortController().signal,
    deadlineMs: systemClock.monotonicMs() + 10_000,
    pointsMax: 10_000_000,
    ...changes,
  }
}

export type Series = Readonly<Record<string, StoredSeries | readonly (number | null)[]>>

export function render(
  target: string | readonly string[],
  series: Series,
  changes: Partial<RenderContext> = {},
): Promise<RenderSeries[]> {
  const targets = typeof target === 'string' ? [target] : target
  return evaluateTargets(targets, contextOver(new MemorySource(series), changes))
}

/** Name → values, null for nothing: what most tests compare. */
export async function valuesOf(
  target: string | readonly string[],
  series: Series,
  changes: Partial<RenderContext> = {},
): Promise<[string, (number | null)[]][]> {
  const list = await render(target, series, changes)
  return list.map(({ name, values }) => [name, showValues(values)])
}

export function showValues(values: Float64Array): (number | null)[] {
  return [...values].map((value) => (Number.isNaN(value) ? null : value))
}
