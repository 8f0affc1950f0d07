/**
 * From a name to its plan (plan.ts): rules in their order, each expression of a rule by itself, as router.c
 * has it. A name that two expressions of one `match` fit is sent twice; `rewrite` changes the name for the
 * rules behind it; `stop` and `blackhole` end; a `validate` that fails skips the rule's `send to`, or ends
 * the line when there is none.
 *
 * Names are bytes; expressions see them as latin1 text, without tags unless `set tags visible` is on. Tags
 * never take part in hashing but through `route using`. Rewritten names are not cleaned again.
 *
 * Most rules look at names only to choose: then names for which they choose alike have plans that differ in the
 * name alone, and `way` numbers them without making a plan:
 *
 * ```
 *   match ^a send to ring; match * send to b;     fits ^a? ─ yes ─▶ member? ─ 0, 1, … ─▶ a way each
 *                                                          └ no ──▶ a way
 * ```
 *
 * Limits: WAYS_MAX ways and forks; a name beyond has none.
 */

import { latin1 } from '../../metric/number.ts'
import { createPlacement, type Placement } from './cluster.ts'
import { LINE_BYTES_MAX } from '../config/command-line.ts'
import type { RegexMatch } from '../../lib/bounded-regex.ts'
import type { Expression } from '../config/expression.ts'
import type { AggregateStep, Plan, SendStep, Step, ValidateStep } from './plan.ts'
import { Replacement } from '../config/replacement.ts'
import type { AggregateRule, Cluster, Routing, SendTo, Validation } from '../config/routing.ts'

/** The number of a name that has to have a plan of its own. */
export const NO_WAY = -1

const WAYS_MAX = 10_000
/** Answers to one question. */
const ANSWERS_MAX = 2 ** 32
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
  /** What comes in front of each name, when it fits all and does nothing else. */
  readonly front: string | undefined
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
  /** Whether all rules only choose, and names have ways. */
  private readonly hasWays: boolean
  /** From a way so far (× ANSWERS_MAX) and the answer to the next question to a way. */
  private readonly forks: Map<number, number>

  /** `tagsApart`: false when `-c` allows `;`, which makes tags a part of the name. */
  constructor(routing: Routing, generation: number, tagsApart = true) {
    this.routing = routing
    this.generation = generation
    this.tags = !tagsApart ? 'plain' : routing.tagsVisible ? 'visible' : 'apart'
    this.routes = compileRoutes(routing)
    this.placements = routing.clusters.map(createPlacement)
    this.hasWays = this.routes.every(onlyChooses)
    this.forks = new Map()
  }

  /** The same number for cleaned names whose plans differ in nothing but the name and its key; or NO_WAY. */
  way(bytes: Uint8Array, start: number, end: number): number {
    if (!this.hasWays) return NO_WAY
    let way = 0
    let front = ''
    let text: string | undefined
    for (const { expression, action, stop } of this.routes) {
      if (action.kind === 'rewrite') {
        front = action.front! + front
        text = undefined
        if (front.length + end - start > LINE_BYTES_MAX) return NO_WAY
      } else if (action.kind === 'match') {
        if (expression.kind !== 'all') {
          text ??= front + this.ruledText(bytes, start, end)
          const fits = expression.test(text)
          way = this.fork(way, fits ? 1 : 0)
          if (!fits) continue
        }
        if (action.sendTo === 'blackhole') break
        for (const cluster of action.sendTo ?? []) {
          if (!isPlacedByName(cluster)) continue
          text ??= front + this.ruledText(bytes, start, end)
          way = this.fork(way, this.placed(cluster, text))
        }
        if (stop) break
      }
    }
    return way
  }

  /** The plan of a cleaned name with its tags. */
  plan(name: Uint8Array): Plan {
    const builder = new PlanBuilder(this, name, this.tags)
    for (const route of this.routes) if (!builder.apply(route)) break
    return builder.finish()
  }

  private fork(way: number, answer: number): number {
    if (way === NO_WAY) return NO_WAY
    const key = way * ANSWERS_MAX + answer
    const known = this.forks.get(key)
    if (known !== undefined) return known
    if (this.forks.size >= WAYS_MAX) return NO_WAY
    const next = this.forks.size + 1
    this.forks.set(key, next)
    return next
  }

  /** The members that take the name, as one number. */
  private placed(cluster: Cluster, text: string): number {
    const key = this.tags === 'visible' ? untagged(text) : text
    let answer = 0
    for (const member of this.placements[cluster.index]!.place(key)) {
      answer = answer * cluster.members.length + member
    }
    return answer
  }

  /** The name as rules see it. */
  private ruledText(bytes: Uint8Array, start: number, end: number): string {
    const text = latin1(bytes, start, end)
    return this.tags === 'apart' ? untagged(text) : text
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
        const front = rule.expression.isWhole ? replacement.front : undefined
        routes.push({
          expression: rule.expression,
          action: { kind: 'rewrite', replacement, front },
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
    return this.hashesTags ? this.text : untagged(this.text)
  }

  private nameBytes(): Uint8Array {
    this.bytes ??= new Uint8Array(Buffer.from(this.text + this.tags, 'latin1'))
    return this.bytes
  }
}

/** Whether of a name the rule sees to nothing but where it goes and what comes in front of it. */
function onlyChooses({ action }: Route): boolean {
  if (action.kind === 'rewrite') return action.front !== undefined
  if (action.kind === 'aggregate' || action.validate || action.using) return false
  if (action.sendTo === undefined || action.sendTo === 'blackhole') return true
  return action.sendTo.every(
    ({ members, replication }) => members.length ** replication <= ANSWERS_MAX,
  )
}

function untagged(text: string): string {
  const tagsAt = text.indexOf(SEMICOLON)
  return tagsAt < 0 ? text : text.slice(0, tagsAt)
}

function isRing(cluster: Cluster): boolean {
  return cluster.type.endsWith('_ch')
}

/** Whether names have members of their own, and stand-ins when those have failed. */
export function isPlacedByName(cluster: Cluster): boolean {
  return isRing(cluster) || cluster.type === 'any_of'
}
