/**
 * Rules as test mode goes through them and prints them: in the optimiser's order, and before them the hidden
 * rules that carry results of aggregations and statistics with a `send to` to their clusters (router.c
 * router_add_stubroute). In routing itself such results do not meet rules at all (`Router.planTo`).
 */

import { type Block, optimise } from './optimiser.ts'
import type { CompiledRule } from '../routing/compiled-rule.ts'
import type { Router } from '../routing/router.ts'
import type { Routing, SendTo } from '../config/routing.ts'

/** One of the configuration, or a hidden one. */
export interface TestRule {
  readonly rule: CompiledRule | Stub
  readonly pattern: string
  readonly fixed: boolean
  readonly stop: boolean
}

export interface Stub {
  /** What results' names begin with on their way; there it is an address, so its digits say nothing. */
  readonly prefix: string
  readonly sendTo: SendTo
}

/** Rules in the order in which they are tried, hidden ones first, of those the newest. */
export function testBlocks(router: Router, threshold: number): Block<TestRule>[] {
  return optimise(
    [...stubs(router.routing).map(stubRule), ...router.rules.map(compiledRule)],
    threshold,
  )
}

export function isStub(rule: CompiledRule | Stub): rule is Stub {
  return 'prefix' in rule
}

export function stubPrefix(aggregation: number): string {
  return `_aggregator_stub_0x${(aggregation + 1).toString(16)}__`
}

function stubs(routing: Routing): Stub[] {
  const list: { prefix: string; sendTo: SendTo | undefined }[] = routing.aggregations.map(
    ({ index, sendTo }) => ({ prefix: stubPrefix(index), sendTo }),
  )
  const { sendTo, aggregationsBefore } = routing.statistics
  list.splice(aggregationsBefore, 0, { prefix: '_collector_stub_0x1__', sendTo })
  return list.filter((stub): stub is Stub => stub.sendTo !== undefined).reverse()
}

function stubRule(rule: Stub): TestRule {
  return { rule, pattern: '', fixed: true, stop: true }
}

function compiledRule(rule: CompiledRule): TestRule {
  const { source, kind } = rule.expression
  const fixed = kind === 'all' || rule.action.kind === 'rewrite'
  return { rule, pattern: source, fixed, stop: rule.stop }
}
