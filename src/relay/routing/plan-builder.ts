/** Makes one name's plan: the rules are applied to it one after the other. */

import type { RegexMatch } from '../../lib/bounded-regex.ts'
import { latin1 } from '../../metric/number.ts'
import { LINE_BYTES_MAX } from '../config/command-line.ts'
import type { Replacement } from '../config/replacement.ts'
import type { Cluster, SendTo } from '../config/routing.ts'
import type { Placement } from './cluster.ts'
import type { AggregateAction, CompiledRule, MatchAction, RewriteAction } from './compiled-rule.ts'
import { AS_IT_CAME, type Plan, type SendStep, type Step, type ValidateStep } from './plan.ts'

const SEMICOLON = ';'

/** How rules and hashing treat what follows the first `;` of a name. */
export type TagsMode = 'apart' | 'visible' | 'plain'

export interface PlanContext {
  /** By cluster index. */
  readonly placements: readonly Placement[]
  readonly tags: TagsMode
}

export class PlanBuilder {
  private readonly context: PlanContext
  private readonly steps: Step[]
  /** Tags with their first `;`, when the rules do not see them. */
  private readonly tags: string
  private text: string
  /** What the last send step sent, for as long as the name has not changed since. */
  private bytes: Uint8Array | undefined
  private forms: number
  private isRewritten: boolean
  private readonly openValidations: { at: number; endsLine: boolean; after: number }[]
  private held: boolean

  constructor(context: PlanContext, name: Uint8Array) {
    const whole = latin1(name, 0, name.length)
    const tagsAt = context.tags === 'apart' ? whole.indexOf(SEMICOLON) : -1
    this.context = context
    this.steps = []
    this.tags = tagsAt < 0 ? '' : whole.slice(tagsAt)
    this.text = tagsAt < 0 ? whole : whole.slice(0, tagsAt)
    this.bytes = name
    this.forms = 0
    this.isRewritten = false
    this.openValidations = []
    this.held = false
  }

  /** False when the rules behind this one do not count any more. */
  apply({ expression, action, stop }: CompiledRule): boolean {
    const match = expression.exec(this.text)
    if (match === undefined) return true
    switch (action.kind) {
      case 'match':
        return this.match(action, match) && !stop
      case 'rewrite':
        this.rewrite(action, match)
        return true
      case 'aggregate':
        this.aggregate(action, match)
        return !stop
    }
  }

  send(sendTo: SendTo, using?: Replacement, match?: RegexMatch): void {
    if (sendTo === 'blackhole') return
    const hashed = this.hashedText()
    const key = using && match ? using.apply(this.text, match) : hashed
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
    return { steps, sends, blackholed: !this.held }
  }

  private match(action: MatchAction, match: RegexMatch): boolean {
    const { validate, sendTo } = action
    const at = this.steps.length
    if (validate) {
      const withTags = this.context.tags === 'apart'
      this.steps.push({ kind: 'validate', ...validate, withTags, failTo: 0 })
    }
    if (sendTo !== undefined) this.send(sendTo, action.using, match)
    if (validate) {
      const endsLine = sendTo === undefined
      this.openValidations.push({ at, endsLine, after: this.steps.length })
    }
    return sendTo !== 'blackhole'
  }

  /** A name that would outgrow a line stays as it is. */
  private rewrite({ replacement, front }: RewriteAction, match: RegexMatch): void {
    const text = replacement.apply(this.text, match)
    if (text.length > LINE_BYTES_MAX) return
    this.text = text
    this.bytes = undefined
    if (front === undefined) this.isRewritten = true
  }

  private aggregate({ rule, outputs }: AggregateAction, match: RegexMatch): void {
    const names = outputs.map((output) => output.apply(this.text, match))
    const { index } = rule
    this.steps.push({ kind: 'aggregate', aggregation: index, outputs: names, series: undefined })
    this.held = true
  }

  private sendStep(cluster: Cluster, key: string): SendStep {
    if (!this.bytes) {
      this.bytes = new Uint8Array(Buffer.from(this.text + this.tags, 'latin1'))
      if (this.isRewritten) this.forms++
    }
    const form = this.isRewritten ? this.forms - 1 : AS_IT_CAME
    const members = this.context.placements[cluster.index]!.place(key)
    return { kind: 'send', cluster: cluster.index, name: this.bytes, form, members, key }
  }

  private hashedText(): string {
    if (this.context.tags !== 'visible') return this.text
    const tagsAt = this.text.indexOf(SEMICOLON)
    return tagsAt < 0 ? this.text : this.text.slice(0, tagsAt)
  }
}

/** Only rings look at what `route using` says. */
export function isRing(cluster: Cluster): boolean {
  return cluster.type.endsWith('_ch')
}
