/**
 * What a fetch does with series before they are sent (ipc/store-protocol.ts): nothing, or less than all values
 * where the asker would come to the very same numbers from all of them. Series consolidated for display are a
 * seventh of the bytes that go over the socket, series combined to one a thousandth.
 */

import {
  bucketsOf,
  type Consolidation,
  type ConsolidationRule,
  consolidateInto,
  showWithin,
} from '../../metric/display.ts'
import {
  accumulatorOf,
  type Accumulate,
  type Combination,
  COMBINATIONS,
  finishRows,
  refuseThinRows,
} from '../../metric/rows.ts'
import type { Display, FetchedSeries, Selector } from '../../ipc/store-protocol.ts'
import type { FetchPlan, SlotSpan } from '../engine.ts'
import { QueryError } from '../query-error.ts'

export interface FetchShape {
  /**
   * Takes one series, whose values may be reused afterwards; answers one that is ready, if there is one, whose values
   * are valid until the next call.
   */
  push(series: FetchedSeries): FetchedSeries | undefined
  /** The series that was held back until the end. */
  end(): FetchedSeries | undefined
}

export interface ShapeParts {
  /** Of the selector's series. */
  readonly plan: FetchPlan
  readonly display: Display | undefined
  /** What `secondsOf` says of all selectors' plans. */
  readonly seconds: number
}

export function shapeOf(selector: Selector, { plan, display, seconds }: ShapeParts): FetchShape {
  const { consolidation = 'average', combine } = selector
  if (display) return new ShownSeries(consolidation, display, seconds)
  const [span, ...others] = plan.spans
  const isKnown = COMBINATIONS.some((combination) => combination === combine)
  return combine && isKnown && span && others.length === 0
    ? new CombinedSeries(combine, span)
    : WHOLE
}

/** Seconds from the first start to the last end of all series together. */
export function secondsOf(plans: readonly FetchPlan[]): number {
  let from = Infinity
  let to = -Infinity
  for (const { spans } of plans) {
    for (const { start, step, count } of spans) {
      from = Math.min(from, start)
      to = Math.max(to, start + step * count)
    }
  }
  return Math.max(to - from, 0)
}

const WHOLE: FetchShape = { push: (series) => series, end: () => undefined }

class ShownSeries implements FetchShape {
  private readonly consolidation: Consolidation
  private readonly display: Display
  private readonly seconds: number
  /** What was made of the last series. */
  private shown: Float64Array

  constructor(consolidation: Consolidation, display: Display, seconds: number) {
    this.consolidation = consolidation
    this.display = display
    this.seconds = seconds
    this.shown = new Float64Array(0)
  }

  push(series: FetchedSeries): FetchedSeries {
    const { values, start, step } = series
    const { length } = values
    const { maxDataPoints, xFilesFactor } = this.display
    const extent = { start, step, length, end: start + step * length }
    const shown = showWithin(extent, this.seconds, maxDataPoints)
    const { valuesPerPoint, skip, count } = shown
    const rule = { consolidation: this.consolidation, xFilesFactor, valuesPerPoint }
    const isWhole = valuesPerPoint === 1 && skip === 0
    const some = isWhole ? values : this.consolidated(values.subarray(skip), rule)
    const { start: first, step: wide } = shown
    return { ...series, start: first, step: wide, values: some.subarray(0, count), isShown: true }
  }

  private consolidated(values: Float64Array, rule: ConsolidationRule): Float64Array {
    const count = bucketsOf(values, rule)
    if (count > this.shown.length) this.shown = new Float64Array(count)
    consolidateInto(this.shown, values, rule)
    return this.shown
  }

  end(): undefined {
    return undefined
  }
}

const NO_VALUES = new Float64Array(0)

/** Series of the same slots. Each is answered without its values but the last, which has what all make. */
class CombinedSeries implements FetchShape {
  private readonly combination: Combination
  private readonly accumulate: Accumulate
  private readonly span: SlotSpan
  private readonly values: Float64Array
  private readonly known: Uint32Array
  private columns: number
  private last: FetchedSeries | undefined

  constructor(combination: Combination, span: SlotSpan) {
    this.combination = combination
    this.accumulate = accumulatorOf(combination)!
    this.span = span
    this.values = new Float64Array(span.count)
    this.known = new Uint32Array(span.count)
    this.columns = 0
    this.last = undefined
  }

  push(series: FetchedSeries): FetchedSeries | undefined {
    const { last, span } = this
    const { start, step, values } = series
    if (start !== span.start || step !== span.step || values.length !== span.count) {
      throw new QueryError('unavailable', 'the rules of these series have just changed: ask again')
    }
    this.columns++
    this.accumulate({ values, offset: 0 }, 0, span.count, this.values, this.known)
    this.last = { ...series, values: NO_VALUES }
    return last
  }

  end(): FetchedSeries | undefined {
    const { combination, columns, values, known, span, last } = this
    finishRows(combination, columns, values, known, 0, span.count)
    refuseThinRows(values, known, columns, 0, 0, span.count)
    return last && { ...last, values }
  }
}
