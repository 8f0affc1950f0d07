/**
 * A routing as carbon-c-relay prints it at start and in test mode (router.c router_printconfig): a relay.conf
 * in one form, whatever form it was written in. With `debug` (`-d`) hash rings and the hidden rules that
 * carry results of aggregations and statistics to their clusters are printed too.
 */

import type { HashRing } from '../routing/hash-ring.ts'
import type { Block } from './optimiser.ts'
import { reportPrefix } from '../config/report-prefix.ts'
import type { AggregateAction, CompiledRule } from '../routing/compiled-rule.ts'
import type { Router } from '../routing/router.ts'
import type { Cluster, Computation, Host, Listener, SendTo, Statistics } from '../config/routing.ts'
import { isStub, type Stub, stubPrefix, testBlocks, type TestRule } from './test-rules.ts'

export interface PrintOptions {
  readonly debug: boolean
  readonly hostname: string
  /** `-O`. */
  readonly optimiserThreshold: number
  /** Listeners when the configuration has none. */
  readonly defaultListeners: readonly Listener[]
  /** Leaves out rules of aggregations: there are many. */
  readonly omitAggregations: boolean
}

export function printConfig(router: Router, options: PrintOptions): string {
  const { routing } = router
  const listeners = routing.listeners.length > 0 ? routing.listeners : options.defaultListeners
  let text = printListeners(listeners) + printStatistics(routing.statistics, options.hostname)
  if (routing.tagsVisible) text += 'set tags visible\n    ;\n\n'
  for (const cluster of routing.clusters) {
    text += printCluster(cluster)
    const ring = router.placements[cluster.index]!.ring
    if (options.debug && ring) {
      text += `# hash ring for ${cluster.name} follows\n${printRing(cluster, ring)}`
    }
  }
  return `${text}\n${printBlocks(testBlocks(router, options.optimiserThreshold), options)}`
}

// ── listeners, statistics, clusters ─────────────────────────────────────────────────────────────────

function printListeners(listeners: readonly Listener[]): string {
  if (listeners.length === 0) return ''
  let text = 'listen\n'
  let transport = ''
  for (const [i, listener] of listeners.entries()) {
    const { compression, tls, certificate } = listener.transport
    const own = printTransport(compression, tls) + (tls === 'none' ? '' : ` ${quote(certificate)}`)
    if (i === 0 || own !== transport) text += `    type linemode${own}\n`
    transport = own
    text += `        ${printPlace(listener)}\n`
  }
  return `${text}    ;\n\n`
}

function printPlace({ protocol, address, port }: Listener): string {
  if (protocol === 'unix') return `${quote(address)} proto unix`
  return `${address === '' ? '' : `${address}:`}${port} proto ${protocol}`
}

/** An only `ssl` is printed behind two blanks, as the original does. */
function printTransport(compression: string, tls: string): string {
  if (compression === 'plain' && tls === 'none') return ''
  return ` transport ${compression === 'plain' ? '' : compression}${tls === 'none' ? '' : ` ${tls}`}`
}

function printStatistics(statistics: Statistics, hostname: string): string {
  const { intervalSeconds, resetCounters, sendTo } = statistics
  let text = `statistics\n    submit every ${intervalSeconds} seconds\n`
  if (resetCounters) text += '    reset counters after interval\n'
  text += `    prefix with ${quote(reportPrefix(statistics.prefix, hostname))}\n`
  if (sendTo !== undefined) text += `    send to${printTargets(sendTo)}\n    stop\n`
  return `${text}    ;\n\n`
}

function printCluster(cluster: Cluster): string {
  const { type, members, replication, dynamic } = cluster
  const isRing = type.endsWith('_ch')
  const head = isRing ? `${type} replication ${replication}${dynamic ? ' dynamic' : ''}` : type
  let text = `cluster ${quote(cluster.name)}\n    ${head}\n`
  for (const host of members) text += `        ${printHost(host, isRing)}\n`
  return `${text}    ;\n`
}

function printHost(host: Host, withInstance: boolean): string {
  const instance = withInstance && host.instance !== undefined ? `=${host.instance}` : ''
  if (host.protocol === 'file') return quote(host.address)
  const protocol = host.protocol === 'tcp' ? '' : ` proto ${host.protocol}`
  const type = host.type === 'linemode' ? '' : ` type ${host.type}`
  const { compression, tls } = host.transport
  return hostName(host) + instance + protocol + type + printTransport(compression, tls)
}

/** `address:port`, or the path. */
export function hostName(host: Host): string {
  if (host.protocol === 'file') return host.address
  if (host.protocol === 'unix') return quote(host.address)
  return `${host.address.includes(':') ? `[${host.address}]` : host.address}:${host.port}`
}

const POINTS_PER_LINE = 3
const POINT_NAME_LENGTH = 20

function printRing(cluster: Cluster, ring: HashRing): string {
  let text = ''
  const points = ring.points()
  for (const [i, { position, member }] of points.entries()) {
    const { address, port, instance } = cluster.members[member]!
    const name = `${address}:${port}${instance === undefined ? '' : `=${instance}`}`
    text += `${String(position).padStart(5)}@${name.slice(0, POINT_NAME_LENGTH).padEnd(POINT_NAME_LENGTH)}`
    text += i % POINTS_PER_LINE === POINTS_PER_LINE - 1 ? '\n' : ' '
  }
  return points.length % POINTS_PER_LINE === 0 ? text : `${text}\n`
}

// ── rules ───────────────────────────────────────────────────────────────────────────────────────────

function printBlocks(blocks: readonly Block<TestRule>[], options: PrintOptions): string {
  let text = ''
  let run: TestRule[] = []
  for (const { tail, rules } of blocks) {
    if (tail === undefined) {
      run.push(...rules)
      continue
    }
    text += printRun(run, options)
    run = []
    text += `# common pattern group '${tail}' contains ${rules.length} aggregations/matches\n`
    if (!options.omitAggregations) text += `\n${printRun(rules, options)}# end of group '${tail}'\n`
  }
  return text + printRun(run, options)
}

/** Rules of one statement that stand together are printed as one. */
function printRun(rules: readonly TestRule[], options: PrintOptions): string {
  let text = ''
  for (let i = 0; i < rules.length;) {
    const { rule } = rules[i++]!
    if (isStub(rule)) {
      if (options.debug) text += printStub(rule)
      continue
    }
    const group = [rule]
    for (; i < rules.length; i++) {
      const next = rules[i]!.rule
      if (isStub(next) || next.action !== rule.action) break
      group.push(next)
    }
    text += printRules(group, options)
  }
  return text
}

function printStub(stub: Stub): string {
  return (
    '# stub match for aggregate/statistics rule with send to\n' +
    `match ^${quote(stub.prefix)}\n    send to${printTargets(stub.sendTo)}\n    stop\n    ;\n`
  )
}

function printRules(rules: readonly CompiledRule[], options: PrintOptions): string {
  const { action, stop } = rules[0]!
  const sources = rules.map(({ expression }) => quoteExpression(expression.source))
  const list =
    sources.length === 1
      ? ` ${sources[0]}\n`
      : `\n${sources.map((one) => `        ${one}\n`).join('')}`
  switch (action.kind) {
    case 'rewrite':
      return `rewrite${list}    into ${quote(action.replacement.source)}\n    ;\n`
    case 'aggregate':
      return options.omitAggregations
        ? ''
        : `aggregate${list}${printAggregate(action, stop, options)}`
    case 'match': {
      const { validate, using, sendTo } = action
      let text = `match${list}`
      if (validate) {
        text += `    validate ${quoteExpression(validate.expression.source)} else ${validate.onFailure}\n`
      }
      if (using) text += `    route using ${quote(using.source)}\n`
      if (sendTo !== undefined)
        text += `    send to${printTargets(sendTo)}\n${stop ? '    stop\n' : ''}`
      return `${text}    ;\n`
    }
  }
}

function printAggregate(action: AggregateAction, stop: boolean, options: PrintOptions): string {
  const { rule, sendTo } = action
  const hidden = options.debug && sendTo !== undefined
  let text = `    every ${rule.intervalSeconds} seconds\n    expire after ${rule.expireSeconds} seconds\n`
  text += `    timestamp at ${rule.timestampAt} of bucket\n`
  for (const computation of rule.computations) {
    const name = (hidden ? stubPrefix(rule.index) : '') + computation.writeTo
    text += `    compute ${computationName(computation)} write to\n        ${quote(name)}\n`
  }
  if (sendTo !== undefined && !options.debug) {
    const targets = printTargets(sendTo)
    text += `    send to${targets}\n`
  }
  return `${text}${stop ? '    stop\n' : ''}    ;\n`
}

export function computationName(computation: Computation): string {
  return computation.function === 'percentile'
    ? `percentile${computation.percentile}`
    : computation.function
}

function printTargets(sendTo: SendTo): string {
  if (sendTo === 'blackhole') return ' blackhole'
  if (sendTo.length === 1) return ` ${quote(sendTo[0]!.name)}`
  return sendTo.map((cluster) => `\n        ${quote(cluster.name)}`).join('')
}

/** In quotes when the lexer would not take it as a bare word. Inside quotes nothing is escaped. */
function quote(text: string): string {
  for (let i = 0; i < text.length; i++) {
    const isEscapedBlank = i > 1 && text[i] === ' ' && text[i - 1] === '\\'
    if (!/[a-zA-Z0-9[\](){}|\\^?*$%<>:/,._+-]/.test(text[i]!) && !isEscapedBlank) return `"${text}"`
  }
  return text
}

function quoteExpression(source: string): string {
  return source === '*' ? '*' : quote(source)
}
