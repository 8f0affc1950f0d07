/**
 * The grammar of relay.conf: carbon-c-relay 3.9's (conffile.y), and ours beside it:
 *
 * ```
 *   HOST … proto unix        the host is a path
 *   HOST … type emon         acknowledged frames (ipc/points-format.ts); `type auto`: plain lines if need be
 *   set tags visible;        expressions see tags
 * ```
 *
 * Recursive descent. Complaints are Bison's: see TokenCursor for where, and what is optional is never among
 * what was expected, because Bison reduces first.
 */

import { SyntaxProblem } from './config-lexer.ts'
import type { Expression } from './expression.ts'
import type {
  AggregateFunction,
  Cluster,
  ClusterType,
  Computation,
  Host,
  Listener,
  ListenerTransport,
  SendTo,
  Validation,
} from './routing.ts'
import { type RoutingBuilder, RoutingProblem } from './routing-builder.ts'
import {
  DEFAULT_PORT,
  PLAIN,
  readAddress,
  readHost,
  readListenerTransport,
} from './host-grammar.ts'
import { TokenCursor } from './token-cursor.ts'

const REPLICATION_MAX = 255

const AGGREGATE_FUNCTIONS: Readonly<Record<string, AggregateFunction>> = {
  sum: 'sum',
  summary: 'sum',
  count: 'count',
  cnt: 'count',
  max: 'max',
  maximum: 'max',
  min: 'min',
  minimum: 'min',
  average: 'average',
  avg: 'average',
  median: 'median',
  variance: 'variance',
  stddev: 'stddev',
}

export interface GrammarOptions {
  readonly builder: RoutingBuilder
  /** Reads another file in place; false when it could not, which has been reported. */
  readonly include: (path: string) => boolean
  /** Why a file cannot be written to; undefined when it can. */
  readonly checkFile: (path: string) => string | undefined
}

/** Thrown when an included file is at fault: it has been reported. */
export class IncludeFailed extends Error {
  override readonly name = 'IncludeFailed'
}

/** Parses one file (latin1); throws `SyntaxProblem` or `IncludeFailed`. */
export function parseRelayConf(text: string, options: GrammarOptions): void {
  new Parser(text, options).statements()
}

class Parser {
  private readonly tokens: TokenCursor
  private readonly builder: RoutingBuilder
  private readonly options: GrammarOptions

  constructor(text: string, options: GrammarOptions) {
    this.tokens = new TokenCursor(text)
    this.builder = options.builder
    this.options = options
  }

  statements(): void {
    while (this.tokens.peek().kind !== 'end') {
      try {
        this.statement()
      } catch (error) {
        if (error instanceof RoutingProblem)
          throw new SyntaxProblem(error.message, this.tokens.last!)
        throw error
      }
      this.tokens.expect(';')
    }
  }

  private statement(): void {
    const token = this.tokens.shift()
    switch (token.kind === 'word' ? token.text : '') {
      case 'cluster':
        return this.cluster()
      case 'match':
        return this.match()
      case 'rewrite':
        return this.rewrite()
      case 'aggregate':
        return this.aggregate()
      case 'send':
        return this.sendStatistics()
      case 'statistics':
        return this.statistics()
      case 'listen':
        return this.listen()
      case 'include':
        return this.include()
      case 'set':
        return this.set()
      default:
        this.tokens.unexpected(token, ['end of file'])
    }
  }

  // ── cluster ──

  private cluster(): void {
    const name = this.tokens.string()
    const type = this.clusterType()
    if (type === 'file') return this.fileCluster(name)
    const ring = type.endsWith('_ch')
    const useall = !ring && this.tokens.accept('useall')
    let replication = 1
    if (ring && this.tokens.accept('replication')) replication = this.tokens.number()
    const dynamic = ring && this.tokens.accept('dynamic')
    const members = [readHost(this.tokens)]
    while (this.tokens.isString()) members.push(readHost(this.tokens))
    if (replication < 1 || replication > REPLICATION_MAX) {
      throw new RoutingProblem('replication count must be between 1 and 255')
    }
    this.builder.addCluster({ name, type, members, useall, replication, dynamic })
  }

  private clusterType(): ClusterType {
    const types = [
      'forward',
      'any_of',
      'failover',
      'carbon_ch',
      'fnv1a_ch',
      'jump_fnv1a_ch',
      'file',
    ]
    return this.tokens.expect(...types) as ClusterType
  }

  private fileCluster(name: string): void {
    const type = this.tokens.accept('ip') ? 'file ip' : 'file'
    const members = [this.file()]
    while (this.tokens.isString()) members.push(this.file())
    this.builder.addCluster({ name, type, members, useall: false, replication: 1, dynamic: false })
  }

  private file(): Host {
    const address = this.tokens.string()
    const problem = this.options.checkFile(address)
    if (problem !== undefined) throw new RoutingProblem(problem)
    const base = { port: DEFAULT_PORT, instance: undefined, type: 'linemode' } as const
    return { ...base, address, protocol: 'file', transport: PLAIN }
  }

  // ── rules ──

  private match(): void {
    const expressions = this.tokens.accept('*')
      ? [this.builder.expression('*')]
      : this.expressions(true)
    const validate = this.tokens.accept('validate') ? this.validation() : undefined
    let routeUsing: string | undefined
    if (this.tokens.accept('route')) {
      this.tokens.expect('using')
      routeUsing = this.tokens.string()
    }
    const sendTo = this.sendTo()
    const stop = this.tokens.accept('stop') && sendTo !== undefined
    const ends = stop || sendTo === 'blackhole'
    if (!validate && sendTo === undefined) {
      const sources = expressions.map(({ source }) => source).join(' ')
      this.builder.warn(`warning: match ${sources} does nothing without validate and send to`)
    }
    this.builder.addRule({
      kind: 'match',
      expressions,
      validate,
      routeUsing,
      sendTo,
      stop: ends,
    })
  }

  private expressions(starAllowed: boolean): Expression[] {
    const wanted = starAllowed ? ['crSTRING', '*'] : ['crSTRING']
    const expressions = [this.builder.expression(this.tokens.string(wanted))]
    while (this.tokens.isString()) expressions.push(this.builder.expression(this.tokens.string()))
    return expressions
  }

  private validation(): Validation {
    const source = this.tokens.string()
    this.tokens.expect('else')
    const onFailure = this.tokens.expect('log', 'drop') as 'log' | 'drop'
    return { expression: this.builder.expression(source), onFailure }
  }

  private sendTo(): SendTo | undefined {
    if (!this.tokens.accept('send')) return undefined
    this.tokens.expect('to')
    return this.destinations()
  }

  private destinations(): SendTo {
    if (this.tokens.accept('blackhole')) return 'blackhole'
    const clusters: Cluster[] = [
      this.builder.cluster(this.tokens.string(['blackhole', 'crSTRING'])),
    ]
    while (this.tokens.isString()) clusters.push(this.builder.cluster(this.tokens.string()))
    return clusters
  }

  private rewrite(): void {
    const source = this.tokens.string()
    this.tokens.expect('into')
    const replacement = this.tokens.string()
    const expression = this.builder.expression(source)
    this.builder.addRule({ kind: 'rewrite', expression, replacement })
  }

  private aggregate(): void {
    const expressions = this.expressions(false)
    this.tokens.expect('every')
    const intervalSeconds = this.seconds()
    this.tokens.expect('expire')
    this.tokens.expect('after')
    const expireSeconds = this.seconds()
    const timestampAt = this.bucketTime()
    const computations = [this.computation()]
    while (this.tokens.isWord('compute')) computations.push(this.computation())
    const sendTo = this.sendTo()
    const stop = this.tokens.accept('stop')
    if (intervalSeconds <= 0) throw new RoutingProblem('interval must be > 0')
    if (expireSeconds <= 0) throw new RoutingProblem('expire must be > 0')
    if (expireSeconds <= intervalSeconds) {
      throw new RoutingProblem('expire must be greater than interval')
    }
    this.builder.addAggregate({
      kind: 'aggregate',
      expressions,
      intervalSeconds,
      expireSeconds,
      timestampAt,
      computations,
      sendTo,
      stop,
    })
  }

  private seconds(): number {
    const count = this.tokens.number()
    this.tokens.expect('seconds')
    return count
  }

  private bucketTime(): 'start' | 'middle' | 'end' {
    if (!this.tokens.accept('timestamp')) return 'end'
    this.tokens.expect('at')
    const when = this.tokens.expect('start', 'middle', 'end') as 'start' | 'middle' | 'end'
    this.tokens.expect('of')
    this.tokens.expect('bucket')
    return when
  }

  private computation(): Computation {
    this.tokens.expect('compute')
    const token = this.tokens.shift()
    const name = token.kind === 'word' ? token.text : ''
    let percentile = name === 'median' ? 50 : 0
    let kind = Object.hasOwn(AGGREGATE_FUNCTIONS, name) ? AGGREGATE_FUNCTIONS[name] : undefined
    if (name.startsWith('percentile')) {
      percentile = Number(name.slice('percentile'.length))
      if (percentile < 1 || percentile > 99) {
        throw new RoutingProblem('percentile<x>: value x must be between 1 and 99')
      }
      kind = 'percentile'
    }
    if (kind === undefined) this.tokens.unexpected(token, [])
    this.tokens.expect('write')
    this.tokens.expect('to')
    return { function: kind, percentile, writeTo: this.tokens.string() }
  }

  // ── the rest ──

  private sendStatistics(): void {
    this.tokens.expect('statistics')
    this.tokens.expect('to')
    const sendTo = this.destinations()
    this.builder.sendStatistics(sendTo, this.tokens.accept('stop'))
    this.builder.warn(
      "warning: 'send statistics to ...' is deprecated and will be removed in a future version, " +
        "use 'statistics send to ...' instead",
    )
  }

  private statistics(): void {
    let interval: { intervalSeconds: number } | undefined
    if (this.tokens.accept('submit')) {
      this.tokens.expect('every')
      interval = { intervalSeconds: this.seconds() }
      if (interval.intervalSeconds <= 0) throw new RoutingProblem('interval must be > 0')
    }
    const resetCounters = this.tokens.accept('reset')
    if (resetCounters)
      for (const word of ['counters', 'after', 'interval']) this.tokens.expect(word)
    let prefix: { prefix: string } | undefined
    if (this.tokens.accept('prefix')) {
      this.tokens.expect('with')
      prefix = { prefix: this.tokens.string() }
    }
    const sendTo = this.sendTo()
    const stop = this.tokens.accept('stop')
    this.builder.setStatistics({ ...interval, resetCounters, ...prefix })
    if (sendTo !== undefined) this.builder.sendStatistics(sendTo, stop)
  }

  private listen(): void {
    this.tokens.expect('type')
    this.tokens.expect('linemode')
    const transport = readListenerTransport(this.tokens)
    const listeners: Listener[] = []
    do listeners.push(this.listener(transport))
    while (this.tokens.isString())
    for (const listener of listeners) this.builder.addListener(listener)
  }

  private listener(transport: ListenerTransport): Listener {
    const written = this.tokens.string()
    this.tokens.expect('proto')
    const protocol = this.tokens.expect('udp', 'tcp', 'unix') as 'udp' | 'tcp' | 'unix'
    if (protocol === 'unix') {
      const problem = this.options.checkFile(written)
      if (problem !== undefined) throw new RoutingProblem(problem)
      return { protocol, address: written, port: 0, transport }
    }
    const place = readAddress(/^\d+$/.test(written) ? `:${written}` : written)
    if (protocol === 'udp' && (transport.compression !== 'plain' || transport.tls !== 'none')) {
      throw new RoutingProblem('cannot use UDP transport for compressed/encrypted stream')
    }
    return { protocol, ...place, transport }
  }

  private include(): void {
    if (!this.options.include(this.tokens.string())) throw new IncludeFailed()
  }

  private set(): void {
    this.tokens.expect('tags')
    this.builder.setTagsVisible(this.tokens.expect('visible', 'hidden') === 'visible')
  }
}
