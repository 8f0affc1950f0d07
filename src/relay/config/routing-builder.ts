/**
 * Collects the statements of a relay.conf into a `Routing`, with the checks that carbon-c-relay makes
 * (router.c router_add_*): what is wrong is thrown as `RoutingProblem`, and the parser says where.
 */

import { compileExpression, type Expression } from './expression.ts'
import type {
  AggregateRule,
  Cluster,
  Host,
  Listener,
  Routing,
  Rule,
  SendTo,
  Statistics,
} from './routing.ts'

/** A statement that cannot be; the text is carbon-c-relay's where it has one. */
export class RoutingProblem extends Error {
  override readonly name = 'RoutingProblem'
}

const STATISTICS_SECONDS = 60
const MEMBERS_MAX = 128
const LISTENERS_MAX = 32

export class RoutingBuilder {
  private readonly clusters: Cluster[]
  private readonly hosts: { host: Host; shared: boolean }[]
  private readonly rules: Rule[]
  private readonly aggregations: AggregateRule[]
  private readonly listeners: Listener[]
  private readonly warnings: string[]
  private statistics: Statistics
  private tagsVisible: boolean
  private catchAll: Rule | undefined

  constructor() {
    this.clusters = []
    this.hosts = []
    this.rules = []
    this.aggregations = []
    this.listeners = []
    this.warnings = []
    this.statistics = {
      intervalSeconds: STATISTICS_SECONDS,
      resetCounters: false,
      prefix: undefined,
      sendTo: undefined,
      aggregationsBefore: 0,
      stop: false,
    }
    this.tagsVisible = false
    this.catchAll = undefined
  }

  build(): Routing {
    return {
      clusters: this.clusters,
      rules: this.rules,
      aggregations: this.aggregations,
      statistics: this.statistics,
      listeners: this.listeners,
      tagsVisible: this.tagsVisible,
      warnings: this.warnings,
    }
  }

  warn(text: string): void {
    if (!this.warnings.includes(text)) this.warnings.push(text)
  }

  expression(source: string): Expression {
    const compiled = compileExpression(source, (text) => this.warn(`warning: ${text}`))
    if (!compiled.ok) throw new RoutingProblem(compiled.error)
    return compiled.value
  }

  cluster(name: string): Cluster {
    const cluster = this.clusters.find((known) => known.name === name)
    if (!cluster) throw new RoutingProblem('unknown cluster')
    return cluster
  }

  addCluster(given: Omit<Cluster, 'index'>): void {
    const exclusive = given.type === 'any_of' || given.type === 'failover'
    if (given.members.length > MEMBERS_MAX) {
      throw new RoutingProblem(`a cluster has at most ${MEMBERS_MAX} servers`)
    }
    const members = given.members.map((host) => this.share(host, given.name, exclusive))
    if (this.clusters.some((cluster) => cluster.name === given.name)) {
      throw new RoutingProblem('cluster with the same name already defined')
    }
    if (given.type.endsWith('_ch') && given.replication > members.length) {
      throw new RoutingProblem(
        `invalid cluster '${given.name}': replication count (${given.replication}) is ` +
          `larger than the number of servers (${members.length})\n`,
      )
    }
    this.clusters.push({ ...given, members, index: this.clusters.length })
  }

  addRule(rule: Rule): void {
    const expressions = rule.kind === 'rewrite' ? [rule.expression] : rule.expressions
    for (const expression of expressions) {
      if (this.catchAll) {
        this.warn(
          `warning: ${rule.kind} ${expression.source} will never match ` +
            `due to preceding ${this.catchAll.kind} * ... stop`,
        )
      }
      if (expression.kind === 'all' && rule.kind !== 'rewrite' && rule.stop) this.catchAll = rule
    }
    this.rules.push(rule)
  }

  addAggregate(rule: Omit<AggregateRule, 'index'>): void {
    const whole = { ...rule, index: this.aggregations.length }
    this.aggregations.push(whole)
    this.addRule(whole)
  }

  setStatistics(given: Partial<Statistics>): void {
    this.statistics = { ...this.statistics, resetCounters: false, ...given }
  }

  sendStatistics(sendTo: SendTo, stop: boolean): void {
    if (this.statistics.sendTo !== undefined) {
      throw new RoutingProblem(
        "duplicate 'statistics send to' not allowed, use multiple destinations instead",
      )
    }
    const aggregationsBefore = this.aggregations.length
    this.statistics = { ...this.statistics, sendTo, aggregationsBefore, stop }
  }

  addListener(listener: Listener): void {
    const { protocol, address, port } = listener
    if (this.listeners.length === LISTENERS_MAX) {
      throw new RoutingProblem(`at most ${LISTENERS_MAX} listeners are possible`)
    }
    for (const known of this.listeners) {
      if (known.protocol !== protocol || known.port !== port) continue
      if (protocol === 'unix') {
        if (known.address === address) throw new RoutingProblem(`duplicate listener ${address}`)
      } else if (overlap(known.address, address)) {
        const [mine, theirs] = [address, known.address].map((one) => (one === '' ? '0.0.0.0' : one))
        throw new RoutingProblem(`duplicate listener ${mine} with ${theirs} for port ${port}`)
      }
    }
    this.listeners.push(listener)
  }

  setTagsVisible(visible: boolean): void {
    this.tagsVisible = visible
  }

  /** The same host and port is one server, with the type, transport and instance it was first given. */
  private share(host: Host, clusterName: string, exclusive: boolean): Host {
    const known = this.hosts.find(({ host: other }) => isSameServer(other, host))
    if (!known) {
      this.hosts.push({ host, shared: false })
      return host
    }
    const { address, port } = known.host
    const server = `${address.includes(':') ? `[${address}]` : address}:${port}`
    if (known.host.type !== host.type) {
      throw new RoutingProblem(
        `cannot set type '${host.type}' for server ${server}: ` +
          `server was previously defined with type '${known.host.type}'`,
      )
    }
    checkInstance(known.host, host.instance, server)
    if (exclusive) {
      throw new RoutingProblem(
        `cannot share server ${server} with any_of/failover cluster '${clusterName}'`,
      )
    }
    return known.host
  }
}

function isSameServer(a: Host, b: Host): boolean {
  return a.protocol === b.protocol && a.port === b.port && a.address === b.address
}

function checkInstance(known: Host, instance: string | undefined, server: string): void {
  const before = known.instance
  if (before === instance) return
  if (instance === undefined) {
    throw new RoutingProblem(
      `cannot define server ${server} without instance: ` +
        `server was previously defined with instance '${before}'`,
    )
  }
  throw new RoutingProblem(
    `cannot set instance '${instance}' for server ${server}: server was previously defined ` +
      (before === undefined ? 'without instance' : `with instance '${before}'`),
  )
}

/** One family, and one of them any address, or the same. */
function overlap(a: string, b: string): boolean {
  if (a === b || a === '' || b === '') return true
  return (
    a.includes(':') === b.includes(':') && [a, b].some((one) => one === '0.0.0.0' || one === '::')
  )
}
