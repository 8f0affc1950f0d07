/**
 * Targets to series: parsed, planned, fetched in as few questions to the store as possible, and put through
 * their functions. `evaluateTargets` is the seam to the HTTP side.
 *
 * All targets run side by side as far as they can without data; then FetchPlan asks for everything at once,
 * and they go on. Work between fetches is sliced by Pace.
 */

import type { Clock } from '../lib/clock.ts'
import type { Display, FetchedSeries, Selector } from '../ipc/store-protocol.ts'
import { combinationOf, consolidationOf, displayOf } from './early-work.ts'
import type { Value } from './functions/arguments.ts'
import { bindArguments, isSeriesParam, type NamedValue } from './functions/check-arguments.ts'
import type { FunctionCall, RenderFunction, Scope, TimeRange } from './functions/function.ts'
import { findFunction } from './functions/registry.ts'
import { Pace } from './pace.ts'
import { FetchPlan, planTarget, type TargetPlan } from './planner.ts'
import { makeSeries, RenderError, type RenderSeries, type SeriesSource } from './render-series.ts'
import type { Call, Expression } from './target-parser.ts'

export interface RenderContext {
  /** Unix seconds; the range is (from, until]. */
  readonly from: number
  readonly until: number
  readonly now: number
  /** IANA name, already checked. */
  readonly timeZone: string
  /** The request's default; 0 unless it says otherwise. */
  readonly xFilesFactor: number
  /** `template[name]=value` of the request. */
  readonly template: ReadonlyMap<string, string>
  readonly source: SeriesSource
  readonly clock: Clock
  /** The client went away, or the request is cancelled for another reason. */
  readonly signal: AbortSignal
  /** On `clock.monotonicMs()`; later than this evaluation fails with 504. */
  readonly deadlineMs: number
  /** Points that the result of any one function may have together. */
  readonly pointsMax: number
  /** The series will be shown with so many points (`consolidateForDisplay`) and used for nothing else. */
  readonly maxDataPoints?: number | undefined
}

/**
 * The series of all targets, target after target; blank targets are skipped. Throws `RenderError` for anything
 * that is wrong with the targets, and when a limit, the deadline or the signal ends the work.
 */
export async function evaluateTargets(
  targets: readonly string[],
  context: RenderContext,
): Promise<RenderSeries[]> {
  let { xFilesFactor } = context
  const plans: TargetPlan[] = []
  for (const target of targets) {
    if (target.trim() === '') continue
    const plan = planTarget(target.trim(), { template: context.template, xFilesFactor })
    plans.push(plan)
    xFilesFactor = plan.xFilesFactor
  }
  const { maxDataPoints } = context
  const display = displayOf(plans, { maxDataPoints, xFilesFactor: context.xFilesFactor })
  const evaluator = new Evaluator(context, display)
  const range = { from: context.from, until: context.until }
  const lists: Promise<readonly RenderSeries[]>[] = []
  for (const plan of plans) {
    const earlier = Promise.allSettled(lists)
    lists.push(evaluator.evaluatePlan({ ...plan, earlier }, range))
  }
  try {
    return (await Promise.all(lists)).flat()
  } catch (error) {
    evaluator.stop()
    throw error
  }
}

/** A plan, and the end of the targets in front of it. */
interface OrderedPlan extends TargetPlan {
  readonly earlier: Promise<unknown>
}

/** What the store may do to series before it sends them. */
type Hint = Pick<Selector, 'consolidation' | 'combine'>

const NO_HINT: Hint = {}

/** Where an expression is evaluated. */
interface Place {
  readonly plan: OrderedPlan
  readonly range: TimeRange
  readonly hint: Hint
}

class Evaluator {
  readonly #stacks = new Map<string, number[]>()
  readonly #context: RenderContext
  readonly #display: Display | undefined
  readonly #fetches: FetchPlan
  readonly #pace: Pace

  constructor(context: RenderContext, display: Display | undefined) {
    this.#context = context
    this.#display = display
    this.#fetches = new FetchPlan(context.source, display)
    this.#pace = new Pace(context)
  }

  /** Ends what other targets are still at. */
  stop(): void {
    this.#pace.stop()
  }

  async evaluatePlan(plan: OrderedPlan, range: TimeRange): Promise<readonly RenderSeries[]> {
    const hint = this.#display ? { consolidation: consolidationOf(plan.expression) } : NO_HINT
    const value = await this.#evaluate(plan.expression, { plan, range, hint })
    if (value.kind === 'series') return value.list
    if (value.kind === 'lists') return value.lists.flat()
    throw new RenderError('a target must be a path or a function call, not a plain value')
  }

  async #evaluate(expression: Expression, place: Place): Promise<Value> {
    switch (expression.kind) {
      case 'path':
        return this.#fetch({ pattern: expression.text }, expression.text, place)
      case 'call':
        return this.#call(expression, place)
      case 'template':
        throw new RenderError('template() takes a path or a function call, numbers and strings')
      default:
        return expression
    }
  }

  async #fetch(selector: Selector, pathExpression: string, place: Place): Promise<Value> {
    const { range, hint } = place
    const fetched = await this.#fetches.fetch({ ...selector, ...hint }, range.from, range.until)
    const { xFilesFactor } = this.#context
    return {
      kind: 'series',
      list: fetched.map((raw) => toSeries(raw, pathExpression, xFilesFactor)),
    }
  }

  async #call(call: Call, place: Place): Promise<Value> {
    if (call.name === 'seriesByTag') {
      return this.#fetch({ tagExpressions: tagExpressions(call) }, call.raw, place)
    }
    const called = findFunction(call.name)
    if (!called) throw new RenderError(`unknown function ${JSON.stringify(call.name)}`)
    const inner = { ...place, hint: this.#hint(call, called, place) }
    const [positional, named] = await this.#arguments(call, called, inner)
    const args = bindArguments(called.params, call.name, positional, named)
    const functionCall = this.#functionCall(call, place, args)
    this.#pace.check()
    if (called.makesLists) return { kind: 'lists', lists: called.makesLists(functionCall) }
    return { kind: 'series', list: await called.run(functionCall) }
  }

  /** What the store may know of the series that go into a call. */
  #hint(call: Call, called: RenderFunction, { plan, hint }: Place): Hint {
    if (called.keepsValues) return hint
    const combine = combinationOf(call, called, this.#xFilesFactor(call, plan))
    return combine ? { combine } : NO_HINT
  }

  /** All series arguments at once; the first one not at all when the function asks for it itself. */
  async #arguments(
    call: Call,
    called: RenderFunction,
    place: Place,
  ): Promise<[Value[], NamedValue[]]> {
    const { params } = called
    const positional = call.args.map(async (arg, i) => {
      const param = params[Math.min(i, params.length - 1)]
      if (i === 0 && called.refetches === true) return unevaluated(arg)
      return this.#argument(arg, isSeriesParam(param), place)
    })
    const named = call.named.map(async ({ name, value }) => {
      const param = params.find((param) => param.name.toLowerCase() === name.toLowerCase())
      return { name, value: await this.#argument(value, isSeriesParam(param), place) }
    })
    return Promise.all([Promise.all(positional), Promise.all(named)])
  }

  /** A path where a plain value is wanted is not fetched: it is refused by the check of its type. */
  async #argument(arg: Expression, wantsSeries: boolean, place: Place): Promise<Value> {
    if (!wantsSeries && (arg.kind === 'path' || arg.kind === 'call')) return NO_SERIES
    return this.#evaluate(arg, place)
  }

  #xFilesFactor(call: Call, plan: TargetPlan): number {
    return plan.xFilesFactors.get(call) ?? this.#context.xFilesFactor
  }

  #functionCall(call: Call, { plan, range }: Place, args: FunctionCall['args']): FunctionCall {
    const { now, timeZone, source, template, clock } = this.#context
    const xFilesFactor = this.#xFilesFactor(call, plan)
    const random = (): number => clock.random()
    const scope: Scope = { ...range, now, timeZone, source, xFilesFactor, pace: this.#pace, random }
    const functionCall: FunctionCall = {
      ...scope,
      args,
      refetch: async (other) => {
        const first = call.args[0]
        if (!first) return []
        return this.evaluatePlan({ ...plan, expression: first }, other)
      },
      evaluate: (target, other = range) =>
        this.evaluatePlan(
          { ...planTarget(target, { template, xFilesFactor }), earlier: plan.earlier },
          other,
        ),
      stackTotals: async (name) => {
        await plan.earlier
        return this.#stackTotals(name)
      },
      isAggregator: (name) => {
        const found = findFunction(name)
        return found?.aggregator === true && found.origin === undefined
      },
      apply: (name, lists) => this.#apply(functionCall, name, lists),
    }
    return functionCall
  }

  #stackTotals(name: string): number[] {
    let totals = this.#stacks.get(name)
    if (!totals) {
      totals = []
      this.#stacks.set(name, totals)
    }
    return totals
  }

  async #apply(
    call: FunctionCall,
    name: string,
    lists: readonly (readonly RenderSeries[])[],
  ): Promise<readonly RenderSeries[]> {
    const called = findFunction(name)
    if (!called) throw new RenderError(`unknown function ${JSON.stringify(name)}`)
    const values = lists.map((list): Value => ({ kind: 'series', list }))
    return called.run({ ...call, args: bindArguments(called.params, name, values, []) })
  }
}

const NO_SERIES: Value = { kind: 'series', list: [] }

function unevaluated(arg: Expression): Value {
  if (arg.kind === 'path' || arg.kind === 'call') return NO_SERIES
  if (arg.kind === 'template') return NO_SERIES
  return arg
}

/** The quoted arguments of seriesByTag(), which the store resolves. */
function tagExpressions(call: Call): string[] {
  const expressions = call.args.map((arg) => {
    if (arg.kind === 'string') return arg.text
    throw new RenderError('seriesByTag(): expressions must be texts in quotes, such as "dc=eu"')
  })
  if (expressions.length === 0) throw new RenderError('seriesByTag(): no tag expression is given')
  if (call.named.length > 0) throw new RenderError('seriesByTag(): takes no named arguments')
  return expressions
}

function toSeries(raw: FetchedSeries, pathExpression: string, xFilesFactor: number): RenderSeries {
  const { name, start, step, values, isShown } = raw
  return makeSeries({ name, pathExpression, start, step, values, xFilesFactor, isShown })
}
