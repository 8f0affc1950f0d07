/**
 * The rules of a routing as names meet them: one after the other, each expression of a rule by itself, as
 * router.c has it, templates compiled.
 */

import type { Expression } from '../config/expression.ts'
import { Replacement } from '../config/replacement.ts'
import type { AggregateRule, Routing, SendTo, Validation } from '../config/routing.ts'

export interface CompiledRule {
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

export function compileRules({ rules }: Routing): CompiledRule[] {
  const compiled: CompiledRule[] = []
  for (const rule of rules) {
    switch (rule.kind) {
      case 'rewrite': {
        const { expression } = rule
        const replacement = new Replacement(rule.replacement)
        const front = expression.isWhole ? replacement.front : undefined
        compiled.push({ expression, action: { kind: 'rewrite', replacement, front }, stop: false })
        break
      }
      case 'match': {
        const using = rule.routeUsing === undefined ? undefined : new Replacement(rule.routeUsing)
        const { validate, sendTo, stop } = rule
        const action = { kind: 'match', validate, using, sendTo } as const
        for (const expression of rule.expressions) compiled.push({ expression, action, stop })
        break
      }
      case 'aggregate': {
        const { sendTo, stop } = rule
        const outputs = rule.computations.map(({ writeTo }) => new Replacement(writeTo))
        const action = { kind: 'aggregate', rule, outputs, sendTo } as const
        for (const expression of rule.expressions) compiled.push({ expression, action, stop })
      }
    }
  }
  return compiled
}
