/**
 * From a name to its plan (plan.ts): rules in their order, each expression of a rule by itself, as router.c
 * has it. A name that two expressions of one `match` fit is sent twice; `rewrite` changes the name for the
 * rules behind it; `stop` and `blackhole` end; a `validate` that fails skips the rule's `send to`, or ends
 * the line when there is none.
 *
 * Names are bytes; expressions see them as latin1 text, without tags unless `set tags visible` is on. Tags
 * never take part in hashing but through `route using`. Rewritten names are not cleaned again.
 */

import { latin1 } from '../../metric/number.ts'
import { createPlacement, type Placement } from './cluster.ts'
import { LINE_BYTES_MAX } from '../config/command-line.ts'
import type { RegexMatch } from '../../lib/bounded-regex.ts'
import type { Expression } from '../config/expression.ts'
import type { AggregateStep, Plan, SendStep, Step, ValidateStep } from './plan.ts'
import { Replacement } from '../config/replacement.ts'
import type { AggregateRule, Cluster, Routing, SendTo, Validation } from '../config/routing.ts'

const SEMICOLON = ';'

/** One expression of one rule, with its templates compiled. */
export interface Route {
  readonly expression: Expression
  readonly action: MatchAction | RewriteAction | AggregateAction
  readonly stop: boolean
}

export interface MatchAction {
  readonly kind: 'match'
  readonly validate: Validation | undefined
  readonly using: Replacement | undefined
  readonly sendTo: SendTo | undefined
}

export interface RewriteAction {
  readonly kind: 'rewrite'
  readonly replacement: Replacement
}

export interface AggregateAction {
  readonly kind: 'aggregate'
  readonly rule: AggregateRule
  readonly outputs: readonly Replacement[]
  readonly sendTo: SendTo | undefined
}

export class Router {
  readonly routing: Routing
  readonly generation: number
  readonly routes: readonly Route[]
  /** By cluster index. */
  readonly placements: readonly Placement[]
  /** How rules and hashing treat what follows the first `;` of a name. */
  private readonly tags: 'apart' | 'visible' | 'plain'

  /** `tagsApart`: false when `-c` allows `;`, which makes tags a part of the name. */
  constructor(routing: Routing, generation: number, tagsApart = true) {
    this.routing = routing
    this.generation = generation
    this.tags = !tagsApart ? 'plain' : routing.tagsVisible ? 'visible' : 'apart'
    this.routes = compileRoutes(routing)
    this.placements = routing.clusters.map(createPlacement)
  }

  /** The plan of a cleaned name with its tags. */
  plan(name: Uint8Array): Plan {
    const builder = new PlanBuilder(this, name, this.tags)
    for (const route of this.routes) if (!builder.apply(route)) break
    return builder.finish()
  }

  /** A plan that ignores the rules: results of an aggregation or statistics that have a `send to`. */
  planTo(sendTo: SendTo, name: Uint8Array): Plan {
    const builder = new PlanBuilder(this, name, this.tags)
    builder.send(sendTo, undefined, undefined)
    return builder.finish()
  }
}

function compileRoutes(routing: Routing): Route[] {
  const routes: Route[] = []
  for (const rule of routing.rules) {
    switch (rule.kind) {
      case 'rewrite': {
        const replacement = new Replacement(rule.replacement)
        routes.push({
          expression: rule.expression,
          action: { kind: 'rewrite', replacement },
          stop: false,
        })
        break
      }
      case 'match': {
        const using = rule.routeUsing === undefined ? undefined : new Replacement(rule.routeUsing)
        const { validate, sendTo, stop } = rule
        const action = { kind: 'match', validate, using, sendTo } as const
        for (const expression of rule.expressions) routes.push({ expression, action, stop })
        break
      }
      case 'aggregate': {
        const outputs = rule.computations.map((computation) => new Replacement(computation.writeTo))
        const action = { kind: 'aggregate', rule, outputs, sendTo: rule.sendTo } as const
        for (const expression of rule.expressions) {
          routes.push({ expression, action, stop: rule.stop })
        }
      }
    }
  }
  return routes
}

class PlanBuilder {
  private readonly router: Router
  private readonly steps: Step[]
  /** Tags with their first `;`, when the rules do not see them. */
  private readonly tags: string
  private text: string
  private readonly hashesTags: boolean
  private bytes: Uint8Array | undefined
  private readonly openValidations: { at: number; endsLine: boolean; after: number }[]
  private held: boolean

  constructor(router: Router, name: Uint8Array, tags: 'apart' | 'visible' | 'plain') {
    const whole = latin1(name, 0, name.length)
    const tagsAt = tags === 'apart' ? whole.indexOf(SEMICOLON) : -1
    this.router = router
    this.hashesTags = tags !== 'visible'
    this.steps = []
    this.tags = tagsAt < 0 ? '' : whole.slice(tagsAt)
    this.text = tagsAt < 0 ? whole : whole.slice(0, tagsAt)
    this.bytes = name
    this.openValidations = []
    this.held = false
  }

  /** False when the rules behind this one do not count any more. */
  apply(route: Route): boolean {
    const { expression, action } = route
    if (action.kind === 'match' && action.using === undefined) {
      if (!expression.test(this.text)) return true
      return this.match(action, undefined) && !route.stop
    }
    const match = expression.exec(this.text)
    if (match === undefined) return true
    switch (action.kind) {
      case 'match':
        return this.match(action, match) && !route.stop
      case 'rewrite':
        this.rewrite(action.replacement, match)
        return true
      case 'aggregate':
        this.aggregate(action, match)
        return !route.stop
    }
  }

  send(sendTo: SendTo, using: Replacement | undefined, match: RegexMatch | undefined): void {
    if (sendTo === 'blackhole') return
    const text = this.text
    const hashed = this.hashedText()
    const key = using && match ? using.apply(text, match) : hashed
    for (const cluster of sendTo) {
      this.steps.push(this.sendStep(cluster, isRing(cluster) ? key : hashed))
    }
    this.held = true
  }

  finish(): Plan {
    const { steps } = this
    for (const { at, endsLine, after } of this.openValidations) {
      const step = steps[at] as ValidateStep
      steps[at] = { ...step, failTo: endsLine ? steps.length : after }
    }
    const sends = steps.every((step) => step.kind === 'send') ? (steps as SendStep[]) : undefined
    return { generation: this.router.generation, steps, sends, blackholed: !this.held }
  }

  /** A name that would outgrow a line stays as it is. */
  private rewrite(replacement: Replacement, match: RegexMatch): void {
    const text = replacement.apply(this.text, match)
    if (text.length > LINE_BYTES_MAX) return
    this.text = text
    this.bytes = undefined
  }

  private match(action: MatchAction, match: RegexMatch | undefined): boolean {
    const { validate, sendTo } = action
    const at = this.steps.length
    if (validate) {
      const { expression, onFailure } = validate
      const prefix = this.tags === '' ? '' : `${this.tags.slice(1)} `
      this.steps.push({ kind: 'validate', expression, prefix, onFailure, failTo: 0 })
    }
    if (sendTo !== undefined) this.send(sendTo, action.using, match)
    if (validate) {
      const endsLine = sendTo === undefined
      this.openValidations.push({ at, endsLine, after: this.steps.length })
    }
    return sendTo !== 'blackhole'
  }

  private aggregate(action: AggregateAction, match: RegexMatch): void {
    const step: AggregateStep = {
      kind: 'aggregate',
      aggregation: action.rule.index,
      outputs: action.outputs.map((output) => output.apply(this.text, match)),
      series: undefined,
    }
    this.steps.push(step)
    this.held = true
  }

  private sendStep(cluster: Cluster, key: string): SendStep {
    const members = this.router.placements[cluster.index]!.place(key)
    return { kind: 'send', cluster: cluster.index, name: this.nameBytes(), members, key }
  }

  private hashedText(): string {
    if (this.hashesTags) return this.text
    const tagsAt = this.text.indexOf(SEMICOLON)
    return tagsAt < 0 ? this.text : this.text.slice(0, tagsAt)
  }

  private nameBytes(): Uint8Array {
    this.bytes ??= new Uint8Array(Buffer.from(this.text + this.tags, 'latin1'))
    return this.bytes
  }
}

function isRing(cluster: Cluster): boolean {
  return cluster.type.endsWith('_ch')
}
