/**
 * From a name to what is done with its lines. Rules run in their order, each expression of a rule by itself, as
 * router.c has it. A name that two expressions of one `match` fit is sent twice; `rewrite` changes the name for
 * the rules behind it; `stop` and `blackhole` end; a `validate` that fails skips the rule's `send to`, or ends
 * the line when there is none.
 *
 * Names are bytes; expressions see them as latin1 text, without tags unless `set tags visible` is on. Tags
 * never take part in hashing but through `route using`. Rewritten names are not cleaned again.
 *
 * `plan` (plan.ts) answers in full. A new name needs that only when it is the first of its way (way.ts); `way`
 * answers with what the name has of its own, what rewrites and templates made of it.
 *
 * Limits: WAYS_MAX forks of ways; a name beyond has none.
 */

import type { RegexMatch } from '../../lib/bounded-regex.ts'
import { LINE_BYTES_MAX } from '../config/command-line.ts'
import type { Routing, SendTo } from '../config/routing.ts'
import { createPlacement, type Placement } from './cluster.ts'
import {
  type AggregateAction,
  type CompiledRule,
  compileRules,
  type MatchAction,
} from './compiled-rule.ts'
import { NO_ANSWER } from './hash-ring.ts'
import { NameForms } from './name-forms.ts'
import type { AggregateStep, Plan } from './plan.ts'
import { isRing, PlanBuilder, type TagsMode } from './plan-builder.ts'
import { RuledName } from './ruled-name.ts'
import { Way } from './way.ts'

const WAYS_MAX = 100_000
/** So many comparisons cost less than to look a name up. */
const COMPARISONS_MAX = 8

export class Router {
  readonly routing: Routing
  readonly generation: number
  readonly rules: readonly CompiledRule[]
  /** By cluster index. */
  readonly placements: readonly Placement[]
  readonly tags: TagsMode
  /** Whether a few comparisons tell names that go nowhere. */
  readonly dropsByComparison: boolean
  /** Of the name that `way` was asked for: its rewritten forms, and its points' ways into aggregations. */
  readonly forms: NameForms
  readonly aggregates: AggregateStep[]
  private readonly name: RuledName
  private readonly firstWay: Way
  /** False: all names go one way, but those that would outgrow a line with so much in front. */
  private readonly asksNames: boolean
  private readonly frontBytes: number
  private ways: number

  /** `tagsApart`: false when `-c` allows `;`, which makes tags a part of the name. */
  constructor(routing: Routing, generation: number, tagsApart = true) {
    this.routing = routing
    this.generation = generation
    this.tags = !tagsApart ? 'plain' : routing.tagsVisible ? 'visible' : 'apart'
    this.rules = compileRules(routing)
    this.placements = routing.clusters.map(createPlacement)
    this.dropsByComparison = mayDrop(this.rules) && areComparisons(this.rules)
    this.forms = new NameForms()
    this.aggregates = []
    this.name = new RuledName(this.tags !== 'visible')
    this.firstWay = new Way()
    this.asksNames = this.rules.some((rule) => asksName(rule, this.placements))
    this.frontBytes = frontBytes(this.rules)
    this.ways = 0
  }

  /** The plan of a cleaned name with its tags. */
  plan(name: Uint8Array): Plan {
    const builder = new PlanBuilder(this, name)
    for (const rule of this.rules) if (!builder.apply(rule)) break
    return builder.finish()
  }

  /** A plan that ignores the rules: results of an aggregation or statistics that have a `send to`. */
  planTo(sendTo: SendTo, name: Uint8Array): Plan {
    const builder = new PlanBuilder(this, name)
    builder.send(sendTo)
    return builder.finish()
  }

  /** Whether the name goes nowhere, as far as comparisons tell; to be asked when `dropsByComparison`. */
  drops(bytes: Uint8Array, start: number, tagsStart: number, end: number): boolean {
    const { rules } = this
    const ruledEnd = this.tags === 'apart' ? tagsStart : end
    for (let i = 0; i < rules.length; i++) {
      const { expression, action } = rules[i]!
      if (action.kind !== 'match' || !expression.testBytes(bytes, start, ruledEnd)) continue
      if (action.validate !== undefined) return false
      if (action.sendTo !== undefined) return action.sendTo === 'blackhole'
    }
    return true
  }

  /**
   * The way of the cleaned name `bytes[start, end)`, whose tags begin at `tagsStart`; undefined when it has to have
   * a plan.
   */
  way(bytes: Uint8Array, start: number, tagsStart: number, end: number): Way | undefined {
    if (!this.asksNames && end - start + this.frontBytes <= LINE_BYTES_MAX) return this.firstWay
    const { rules, name, forms, aggregates } = this
    const ruledEnd = this.tags === 'apart' ? tagsStart : end
    name.begin(bytes, start, ruledEnd)
    forms.begin(bytes, ruledEnd, end)
    if (aggregates.length > 0) aggregates.length = 0
    let way: Way | undefined = this.firstWay
    for (let i = 0; way && i < rules.length; i++) {
      const { expression, action, stop } = rules[i]!
      if (action.kind === 'rewrite' && action.front !== undefined) {
        if (!name.putInFront(action.front)) return undefined
        forms.changed()
        continue
      }
      // Only who needs the groups pays for them.
      const onlyChooses = action.kind === 'match' && action.using === undefined
      const match = onlyChooses ? undefined : name.exec(expression)
      const fits = onlyChooses ? name.test(expression) : match !== undefined
      if (expression.kind !== 'all') way = this.afterTest(way, fits)
      if (!fits) continue
      if (action.kind === 'rewrite') {
        if (!name.rewrite(action.replacement.apply(name.text, match!))) return undefined
        forms.changed()
        continue
      }
      if (action.kind === 'aggregate') aggregates.push(aggregateStep(action, name.text, match!))
      else {
        if (action.sendTo === 'blackhole') break
        if (action.sendTo) way = this.afterSending(way, action, match)
      }
      if (stop) break
    }
    return way
  }

  private afterTest(way: Way | undefined, fits: boolean): Way | undefined {
    return way && (way.afterTest(fits) ?? (this.mayFork() ? way.addTest(fits) : undefined))
  }

  private afterSending(
    from: Way | undefined,
    { sendTo, using }: MatchAction,
    match: RegexMatch | undefined,
  ): Way | undefined {
    const { name, forms } = this
    let way = from
    for (const cluster of sendTo as Exclude<SendTo, string>) {
      if (name.isRewritten && !forms.add(name.text)) return undefined
      const placement = this.placements[cluster.index]!
      if (!placement.answer) continue
      const answer =
        using && isRing(cluster)
          ? name.keyPlacedBy(using.apply(name.text, match!), placement)
          : name.placedBy(placement)
      if (answer === NO_ANSWER) return undefined
      way =
        way && (way.afterPlacing(answer) ?? (this.mayFork() ? way.addPlacing(answer) : undefined))
    }
    return way
  }

  private mayFork(): boolean {
    return this.ways++ < WAYS_MAX
  }
}

/** Whether a rule's answer depends on the name, or it makes more of it than that it puts something in front. */
function asksName({ expression, action }: CompiledRule, placements: readonly Placement[]): boolean {
  if (action.kind === 'rewrite') return action.front === undefined
  if (expression.kind !== 'all' || action.kind !== 'match') return true
  if (!Array.isArray(action.sendTo)) return false
  return action.sendTo.some(({ index }) => placements[index]!.answer !== undefined)
}

function frontBytes(rules: readonly CompiledRule[]): number {
  let bytes = 0
  for (const { action } of rules) {
    if (action.kind === 'rewrite') bytes += action.front?.length ?? 0
  }
  return bytes
}

/** Whether some names go nowhere: no rule sends all of them. */
function mayDrop(rules: readonly CompiledRule[]): boolean {
  for (const { expression, action } of rules) {
    if (expression.kind !== 'all' || action.kind === 'rewrite') continue
    if (action.kind === 'aggregate' || Array.isArray(action.sendTo)) return false
    if (action.sendTo === 'blackhole') return true
  }
  return true
}

function areComparisons(rules: readonly CompiledRule[]): boolean {
  return (
    rules.length <= COMPARISONS_MAX &&
    rules.every(({ expression, action }) => expression.kind !== 'regex' && action.kind === 'match')
  )
}

function aggregateStep(
  { rule, outputs }: AggregateAction,
  text: string,
  match: RegexMatch,
): AggregateStep {
  const names = outputs.map((output) => output.apply(text, match))
  return { kind: 'aggregate', aggregation: rule.index, outputs: names, series: undefined }
}
