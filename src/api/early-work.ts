/**
 * What the store may do before it sends series, because nothing that comes after could tell: consolidate
 * series that are only shown, and combine series of which only the sum (or the like) is wanted. Both come to the
 * same bits as the api would (metric/display.ts, metric/rows.ts).
 */

import type { Display } from '../ipc/store-protocol.ts'
import type { Consolidation } from '../metric/display.ts'
import type { Combination } from '../metric/rows.ts'
import type { RenderFunction } from './functions/function.ts'
import { findFunction } from './functions/registry.ts'
import type { TargetPlan } from './planner.ts'
import type { Call, Expression } from './target-parser.ts'

/**
 * Undefined unless all targets are series as they are stored, named and drawn in whatever way: then how they
 * are to be shown.
 */
export function displayOf(
  plans: readonly TargetPlan[],
  options: { readonly maxDataPoints: number | undefined; readonly xFilesFactor: number },
): Display | undefined {
  const { maxDataPoints, xFilesFactor } = options
  if (maxDataPoints === undefined || !plans.every(({ expression }) => isStored(expression))) {
    return undefined
  }
  return { maxDataPoints, xFilesFactor }
}

function isStored(expression: Expression): boolean {
  if (expression.kind === 'path') return true
  if (expression.kind !== 'call') return false
  if (expression.name === 'seriesByTag') return true
  const called = findFunction(expression.name)
  const [first, second] = expression.args
  if (!called?.keepsValues || !first || !isStored(first)) return false
  return !called.setsConsolidation || called.setsConsolidation(textOf(second)) !== undefined
}

/** How the series of such a target are put together: the outermost function that says so counts. */
export function consolidationOf(expression: Expression): Consolidation {
  if (expression.kind !== 'call') return 'average'
  const [first, second] = expression.args
  const set = findFunction(expression.name)?.setsConsolidation?.(textOf(second))
  return set ?? (first ? consolidationOf(first) : 'average')
}

function textOf(expression: Expression | undefined): string | undefined {
  return expression?.kind === 'string' ? expression.text : undefined
}

/** What the call makes of the series of one path, when nothing else is wanted of them. */
export function combinationOf(
  call: Call,
  called: RenderFunction,
  xFilesFactor: number,
): Combination | undefined {
  const [only, ...others] = call.args
  if (!only || others.length > 0 || call.named.length > 0 || xFilesFactor > 0) return undefined
  const isOfPath = only.kind === 'path' || (only.kind === 'call' && only.name === 'seriesByTag')
  return isOfPath ? called.combines : undefined
}
