/** Both sides' answers in one form, and how they differ. */
import { consolidateForDisplay } from '../../../src/api/consolidation.ts'
import { evaluateTargets } from '../../../src/api/evaluator.ts'
import { RenderError, type SeriesSource } from '../../../src/api/render-series.ts'
import { contextOver } from '../render-fixture.ts'
import { NOW } from './fixtures.ts'

export interface Window {
  readonly from: number
  readonly until: number
  readonly maxDataPoints?: number
  /** UTC, unless another is given. */
  readonly timeZone?: string
}

export interface AnsweredSeries {
  readonly name: string
  readonly tags: Readonly<Record<string, string>>
  readonly timestamps: readonly number[]
  /** NaN for null. */
  readonly values: readonly number[]
}

/** The series, or why there are none. */
export type Answer = readonly AnsweredSeries[] | { readonly refused: string }

/** Over HTTP: graphite-web, or an api of ours. */
export async function askServer(
  url: string,
  target: string | readonly string[],
  window: Window,
): Promise<Answer> {
  const form = new URLSearchParams({
    from: String(window.from),
    until: String(window.until),
    now: String(NOW),
    format: 'json',
  })
  for (const one of [target].flat()) form.append('target', one)
  if (window.maxDataPoints !== undefined) form.set('maxDataPoints', String(window.maxDataPoints))
  if (window.timeZone !== undefined) form.set('tz', window.timeZone)
  const response = await fetch(`${url}/render`, { method: 'POST', body: form })
  const text = await response.text()
  if (!response.ok) return { refused: `${response.status} ${text.slice(0, 200)}` }
  const list = JSON.parse(text) as {
    target: string
    tags: Record<string, string>
    datapoints: [number | null, number][]
  }[]
  return list.map(({ target: name, tags, datapoints }) => ({
    name,
    tags,
    timestamps: datapoints.map(([, time]) => time),
    values: datapoints.map(([value]) => value ?? NaN),
  }))
}

/** Evaluated in this process, over the files. */
export async function askUs(
  source: SeriesSource,
  target: string | readonly string[],
  window: Window,
): Promise<Answer> {
  try {
    const { from, until, timeZone = 'UTC' } = window
    const context = contextOver(source, { from, until, now: NOW, timeZone })
    const list = consolidateForDisplay(
      await evaluateTargets([target].flat(), context),
      window.maxDataPoints,
    )
    return list.map(({ name, tags, start, step, values }) => ({
      name,
      tags: Object.fromEntries(tags),
      timestamps: Array.from(values, (_, i) => start + i * step),
      values: [...values],
    }))
  } catch (error) {
    if (error instanceof RenderError) return { refused: `${error.status} ${error.message}` }
    throw error
  }
}

/** What is different, in one line; undefined when nothing is. */
export function differenceOf(ours: Answer, theirs: Answer, tolerance = 1e-11): string | undefined {
  if ('refused' in theirs) {
    return 'refused' in ours ? undefined : `only they refuse: ${theirs.refused}`
  }
  if ('refused' in ours) return `only we refuse: ${ours.refused}`
  const names = (list: readonly AnsweredSeries[]): string =>
    list.map(({ name }) => name).join(' | ')
  if (names(ours) !== names(theirs)) return `names: ${names(ours)} ≠ ${names(theirs)}`
  for (let i = 0; i < ours.length; i++) {
    const difference = seriesDifference(ours[i]!, theirs[i]!, tolerance)
    if (difference !== undefined) return `${ours[i]!.name}: ${difference}`
  }
  return undefined
}

function seriesDifference(
  ours: AnsweredSeries,
  theirs: AnsweredSeries,
  tolerance: number,
): string | undefined {
  const tags = [sortedTags(ours), sortedTags(theirs)]
  if (tags[0] !== tags[1]) return `tags ${tags[0]} ≠ ${tags[1]}`
  const { timestamps } = ours
  const [start, length] = [theirs.timestamps[0], theirs.timestamps.length]
  if (timestamps.length !== length)
    return `${timestamps.length} points from ${timestamps[0]} ≠ ${length} from ${start}`
  for (let i = 0; i < length; i++) {
    if (timestamps[i] !== theirs.timestamps[i]) {
      return `time ${i} is ${timestamps[i]} ≠ ${theirs.timestamps[i]}`
    }
    if (!sameValue(ours.values[i]!, theirs.values[i]!, tolerance)) {
      return `value ${i} is ${ours.values[i]} ≠ ${theirs.values[i]}`
    }
  }
  return undefined
}

function sortedTags({ tags }: AnsweredSeries): string {
  return JSON.stringify(Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** Apart by a few units in the last place at most: sums in another order. */
function sameValue(a: number, b: number, tolerance: number): boolean {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number.isNaN(a) && Number.isNaN(b)
  return a === b || Math.abs(a - b) <= tolerance * Math.max(Math.abs(a), Math.abs(b))
}

/** Our points but for the last ones, at the times of the last ones: how a window that ends earlier has them. */
export function pointsLater(answer: Answer, steps: number): Answer {
  return cutSeries(answer, (values) => values.slice(0, values.length - steps))
}

export function pointsFrom(answer: Answer, steps: number): Answer {
  return cutSeries(answer, (values) => values.slice(steps))
}

function cutSeries(answer: Answer, cut: (values: readonly number[]) => number[]): Answer {
  if ('refused' in answer) return answer
  return answer.map((series) => {
    const values = cut(series.values)
    return { ...series, values, timestamps: series.timestamps.slice(0, values.length) }
  })
}

/** As our JSON has them: null, because strict JSON has no infinities. */
export function withoutInfinities(answer: Answer): Answer {
  if ('refused' in answer) return answer
  return answer.map((series) => ({
    ...series,
    values: series.values.map((value) => (Number.isFinite(value) ? value : NaN)),
  }))
}
