/**
 * The routing configuration, parsed and checked: clusters of hosts, rules in their order, statistics and
 * listeners. It is plain data, the same for a relay.conf in carbon-c-relay's grammar (conffile.y) and for
 * the configuration that is made from emon.toml; the router compiles rules from it, relay.ts makes
 * destinations from clusters and sockets from listeners.
 */

import type { Expression } from './expression.ts'

export type ClusterType =
  | 'forward'
  | 'any_of'
  | 'failover'
  | 'carbon_ch'
  | 'fnv1a_ch'
  | 'jump_fnv1a_ch'
  | 'file'
  | 'file ip'

export type Compression = 'plain' | 'gzip' | 'lz4' | 'snappy'

export interface Transport {
  readonly compression: Compression
  /** `mtls` shows a certificate of its own. */
  readonly tls: 'none' | 'ssl' | 'mtls'
  /** For mtls: PEM files. */
  readonly certificate: string
  readonly key: string
}

/** One member of a cluster. Members of several clusters with the same `hostKey` share one destination. */
export interface Host {
  /** Host name, address (IPv6 without brackets) or, for `unix` and `file`, a path. */
  readonly address: string
  /** The name that `address` is one of the addresses of, where a cluster has `useall`. */
  readonly name?: string
  /** 2003 unless given. */
  readonly port: number
  /** Stands for the host on a hash ring. */
  readonly instance: string | undefined
  readonly protocol: 'tcp' | 'udp' | 'unix' | 'file'
  /** `emon`: acknowledged frames; `auto` is the same with plain lines where the other end does not speak it. */
  readonly type: 'linemode' | 'syslog' | 'emon' | 'auto'
  readonly transport: Transport
}

export interface Cluster {
  /** Its place in `Routing.clusters`. */
  readonly index: number
  readonly name: string
  readonly type: ClusterType
  readonly members: readonly Host[]
  /** Each address that a member's name resolves to is a member of its own. */
  readonly useall: boolean
  /** Rings: how many members take each name. */
  readonly replication: number
  /** Rings: what a failed member would take goes to others meanwhile. */
  readonly dynamic: boolean
}

export type SendTo = readonly Cluster[] | 'blackhole'

export interface MatchRule {
  readonly kind: 'match'
  readonly expressions: readonly Expression[]
  /** Undefined: none. */
  readonly validate: Validation | undefined
  /** Template of what is hashed instead of the name. */
  readonly routeUsing: string | undefined
  /** Clusters; undefined: no `send to`. */
  readonly sendTo: SendTo | undefined
  readonly stop: boolean
}

export interface Validation {
  readonly expression: Expression
  readonly onFailure: 'log' | 'drop'
}

export interface RewriteRule {
  readonly kind: 'rewrite'
  readonly expression: Expression
  readonly replacement: string
}

export type AggregateFunction =
  'sum' | 'count' | 'max' | 'min' | 'average' | 'median' | 'percentile' | 'variance' | 'stddev'

export interface Computation {
  readonly function: AggregateFunction
  /** 1…99 for `percentile`, 50 for `median`, else 0. */
  readonly percentile: number
  /** Template of the output's name. */
  readonly writeTo: string
}

export interface AggregateRule {
  readonly kind: 'aggregate'
  /** Its place in `Routing.aggregations`. */
  readonly index: number
  readonly expressions: readonly Expression[]
  readonly intervalSeconds: number
  readonly expireSeconds: number
  readonly timestampAt: 'start' | 'middle' | 'end'
  readonly computations: readonly Computation[]
  /** Where results go; undefined: through the rules from the top. */
  readonly sendTo: SendTo | undefined
  readonly stop: boolean
}

export type Rule = MatchRule | RewriteRule | AggregateRule

export interface Statistics {
  readonly intervalSeconds: number
  readonly resetCounters: boolean
  /** Template over the host's name; undefined: `carbon.relays.HOST`. */
  readonly prefix: string | undefined
  /** Undefined: through the rules from the top. */
  readonly sendTo: SendTo | undefined
  /** How many aggregations stand above the `send to`. */
  readonly aggregationsBefore: number
  readonly stop: boolean
}

export type TlsVersion = 'ssl3' | 'tls1.0' | 'tls1.1' | 'tls1.2' | 'tls1.3'

export interface ListenerTransport extends Transport {
  readonly protocolMin: TlsVersion | undefined
  readonly protocolMax: TlsVersion | undefined
  readonly ciphers: string | undefined
  readonly cipherSuites: string | undefined
}

export interface Listener {
  readonly protocol: 'tcp' | 'udp' | 'unix'
  /** Address, '' for all; a path for unix. */
  readonly address: string
  readonly port: number
  readonly transport: ListenerTransport
}

export interface Routing {
  readonly clusters: readonly Cluster[]
  readonly rules: readonly Rule[]
  readonly aggregations: readonly AggregateRule[]
  readonly statistics: Statistics
  /** Empty: the relay's own port, as the command line or emon.toml say. */
  readonly listeners: readonly Listener[]
  /** Ours, `set tags visible`: expressions see tags. */
  readonly tagsVisible: boolean
  /** Things to say at load that do not keep it from being used. */
  readonly warnings: readonly string[]
}

/** What makes two members one destination. */
export function hostKey(host: Host): string {
  return `${host.protocol} ${host.address} ${host.port}`
}
