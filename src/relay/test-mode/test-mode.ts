/**
 * `-t`: what routing would do with each line of standard input, in carbon-c-relay's words (router.c
 * router_test_intern). Lines are not cleaned, and everything up to the first blank is the name, tags too.
 * With `debug` (`-d`) hash positions are shown, and results of an aggregation are followed to its clusters.
 */

import type { RegexMatch } from '../../lib/bounded-regex.ts'
import type { Expression } from '../config/expression.ts'
import type { Block } from './optimiser.ts'
import { computationName, hostName } from './print-config.ts'
import type {
  AggregateAction,
  CompiledRule,
  MatchAction,
  RewriteAction,
} from '../routing/compiled-rule.ts'
import type { Router } from '../routing/router.ts'
import type { Cluster, SendTo } from '../config/routing.ts'
import { isStub, type Stub, stubPrefix, type TestRule } from './test-rules.ts'

export class Explainer {
  private readonly router: Router
  private readonly blocks: readonly Block<TestRule>[]
  private readonly debug: boolean
  private text: string
  private name: string
  private data: string

  constructor(router: Router, blocks: readonly Block<TestRule>[], debug: boolean) {
    this.router = router
    this.blocks = blocks
    this.debug = debug
    this.text = ''
    this.name = ''
    this.data = ''
  }

  /** What is printed for one line (latin1, without its newline); '' for a line of blanks. */
  explain(line: string): string {
    if (/^[ \t\n\v\f\r]*$/.test(line)) return ''
    const blank = line.indexOf(' ')
    this.text = ''
    this.name = blank < 0 ? line : line.slice(0, blank)
    this.data = blank < 0 ? '' : line.slice(blank + 1)
    return this.walk() ? this.text : `${this.text}nothing matched ${this.name}\n`
  }

  /** Whether any rule fits the name. */
  private walk(): boolean {
    let fits = false
    for (const { rules } of this.blocks) {
      for (const { rule } of rules) {
        if (isStub(rule)) {
          if (!this.name.startsWith(rule.prefix)) continue
          this.followStub(rule)
          return true
        }
        const match = rule.expression.exec(this.name)
        if (!match) continue
        fits = true
        if (this.apply(rule, match)) return true
      }
    }
    return fits
  }

  /** True when nothing more is tried. */
  private apply(rule: CompiledRule, match: RegexMatch): boolean {
    const { action, expression } = rule
    this.text += `${action.kind === 'aggregate' ? 'aggregation' : action.kind}\n`
    this.text += describeExpression(expression, this.name)
    let { stop } = rule
    switch (action.kind) {
      case 'rewrite':
        this.rewrite(action, match)
        break
      case 'aggregate':
        this.aggregate(action, match)
        if (this.debug) return true
        break
      case 'match':
        if (this.fails(action)) stop ||= action.sendTo === undefined
        else if (action.sendTo !== undefined) this.targets(action.sendTo, action, match)
    }
    if (stop) this.text += '    stop\n'
    return stop
  }

  private rewrite(action: RewriteAction, match: RegexMatch): void {
    this.name = action.replacement.apply(this.name, match)
    this.text += `    into(${action.replacement.source}) -> ${this.name}\n`
  }

  private fails(action: MatchAction): boolean {
    const { validate } = action
    if (!validate) return false
    this.text += `    validate\n        ${validate.expression.source} -> ${this.data}\n`
    if (validate.expression.test(this.data)) {
      this.text += '        match\n'
      return false
    }
    this.text += `        fail -> ${validate.onFailure}\n`
    return true
  }

  private aggregate(action: AggregateAction, match: RegexMatch): void {
    const { rule, outputs, sendTo } = action
    const stub = this.debug && sendTo !== undefined ? stubPrefix(rule.index) : ''
    for (const [i, computation] of rule.computations.entries()) {
      const output = outputs[i]!
      const name = stub + output.apply(this.name, match)
      this.text += `    ${computationName(computation)}(${stub}${output.source}) -> ${name} ${this.data}\n`
      if (stub !== '' && sendTo !== undefined) this.explainResult(name)
    }
    if (!this.debug && sendTo !== undefined) this.nameTargets(sendTo)
  }

  /** A result of an aggregation as the rules see it. */
  private explainResult(name: string): void {
    const { name: before } = this
    this.name = name
    this.walk()
    this.name = before
  }

  private followStub(stub: Stub): void {
    this.name = this.name.slice(stub.prefix.length)
    this.text += `match\n    * -> ${this.name}\n`
    this.targets(stub.sendTo, undefined, undefined)
    this.text += '    stop\n'
  }

  /** Targets of an aggregation: which member takes a result is not known before it has a name. */
  private nameTargets(sendTo: SendTo): void {
    if (sendTo === 'blackhole') this.text += '    blackholed\n'
    else for (const cluster of sendTo) this.text += describeCluster(cluster, undefined)
  }

  private targets(
    sendTo: SendTo,
    action: MatchAction | undefined,
    match: RegexMatch | undefined,
  ): void {
    if (sendTo === 'blackhole') {
      this.text += '    blackholed\n'
      return
    }
    for (const cluster of sendTo) {
      const placement = this.router.placements[cluster.index]!
      const using = placement.ring && match ? action?.using : undefined
      const key = using && match ? using.apply(this.name, match) : this.name
      let details = ''
      if (using) details += `        using(${using.source}) -> ${key} ${this.data}\n`
      if (placement.ring && this.debug)
        details += `        hash_pos(${placement.ring.position(key)})\n`
      for (const member of placement.place(key)) {
        details += `        ${hostName(cluster.members[member]!)}\n`
      }
      this.text += describeCluster(cluster, details)
    }
  }
}

/** A cluster's line and its members; those of forward and file clusters are always known. */
function describeCluster(cluster: Cluster, details: string | undefined): string {
  const everyone = cluster.members.map((host) => `        ${hostName(host)}\n`).join('')
  const isKnown = cluster.type === 'forward' || cluster.type.startsWith('file')
  return `    ${cluster.type}(${cluster.name})\n${details ?? (isKnown ? everyone : '')}`
}

const COMPARISONS = {
  prefix: 'strncmp',
  suffix: 'tailcmp',
  equal: 'strcmp',
  contains: 'strstr',
} as const

function describeExpression(expression: Expression, name: string): string {
  const { kind, source, literal } = expression
  if (kind === 'all') return `    * -> ${name}\n`
  if (kind === 'regex') return `    ${source} (regex) -> ${name}\n`
  return `    ${source} [${COMPARISONS[kind]}: ${literal}]\n    -> ${name}\n`
}
