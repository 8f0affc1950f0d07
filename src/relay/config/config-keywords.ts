/**
 * Which words of a relay.conf are keywords where (the states of carbon-c-relay's conffile.l): after `cluster NAME`
 * only a cluster's type is one, so a cluster may be called `forward`.
 */

export type State =
  | 'initial'
  | 'clusterType'
  | 'clusterWords'
  | 'clusterProto'
  | 'clusterLines'
  | 'match'
  | 'matchWords'
  | 'rewrite'
  | 'aggregate'
  | 'aggregateWords'
  | 'send'
  | 'statistics'
  | 'listen'
  | 'listenWords'
  | 'includeWords'
  | 'set'

/** Keyword → the state after it, and the state after the next string when that differs. */
type Keywords = Readonly<Record<string, readonly [next: State, afterString?: State]>>

const CLUSTER: readonly [State, State] = ['clusterWords', 'clusterWords']
const IN_CLUSTER: readonly [State] = ['clusterWords']
const IN_AGGREGATE: readonly [State] = ['aggregate']
const IN_STATISTICS: readonly [State] = ['statistics']
const IN_LISTEN: readonly [State] = ['listenWords']
const LISTEN_MODE: readonly [State, State] = ['listenWords', 'listen']
const LISTEN_FILES: readonly [State, State] = ['listenWords', 'listenWords']

const CLUSTER_WORDS: Keywords = {
  useall: IN_CLUSTER,
  replication: IN_CLUSTER,
  dynamic: IN_CLUSTER,
  ip: IN_CLUSTER,
  proto: ['clusterProto'],
  udp: IN_CLUSTER,
  tcp: IN_CLUSTER,
  type: ['clusterLines'],
  linemode: IN_CLUSTER,
  syslog: IN_CLUSTER,
  transport: IN_CLUSTER,
  plain: IN_CLUSTER,
  gzip: IN_CLUSTER,
  lz4: IN_CLUSTER,
  snappy: IN_CLUSTER,
  ssl: IN_CLUSTER,
  mtls: IN_CLUSTER,
  blackhole: IN_CLUSTER,
  stop: IN_CLUSTER,
}

export const KEYWORDS: Readonly<Record<State, Keywords>> = {
  initial: {
    cluster: ['clusterWords', 'clusterType'],
    match: ['matchWords', 'matchWords'],
    rewrite: ['matchWords', 'rewrite'],
    aggregate: ['aggregateWords', 'aggregateWords'],
    send: ['send'],
    statistics: ['statistics'],
    listen: ['listen'],
    include: ['includeWords', 'initial'],
    set: ['set'],
  },
  clusterType: {
    forward: CLUSTER,
    any_of: CLUSTER,
    failover: CLUSTER,
    carbon_ch: CLUSTER,
    fnv1a_ch: CLUSTER,
    jump_fnv1a_ch: CLUSTER,
    file: CLUSTER,
  },
  clusterWords: CLUSTER_WORDS,
  // Only where they are meant: clusters and hosts may be called so.
  clusterProto: { ...CLUSTER_WORDS, unix: IN_CLUSTER },
  clusterLines: { ...CLUSTER_WORDS, emon: IN_CLUSTER, auto: IN_CLUSTER },
  match: {
    else: ['match'],
    log: ['match'],
    drop: ['match'],
    route: ['match'],
    using: ['matchWords', 'match'],
    send: ['match'],
    to: CLUSTER,
    stop: ['match'],
  },
  matchWords: { validate: ['matchWords', 'match'], route: ['match'], send: ['match'] },
  rewrite: { into: ['matchWords', 'rewrite'] },
  aggregateWords: { every: IN_AGGREGATE },
  aggregate: {
    seconds: IN_AGGREGATE,
    expire: IN_AGGREGATE,
    after: IN_AGGREGATE,
    timestamp: IN_AGGREGATE,
    at: IN_AGGREGATE,
    start: IN_AGGREGATE,
    middle: IN_AGGREGATE,
    end: IN_AGGREGATE,
    of: IN_AGGREGATE,
    bucket: IN_AGGREGATE,
    compute: IN_AGGREGATE,
    summary: IN_AGGREGATE,
    sum: IN_AGGREGATE,
    count: IN_AGGREGATE,
    cnt: IN_AGGREGATE,
    maximum: IN_AGGREGATE,
    max: IN_AGGREGATE,
    minimum: IN_AGGREGATE,
    min: IN_AGGREGATE,
    average: IN_AGGREGATE,
    avg: IN_AGGREGATE,
    median: IN_AGGREGATE,
    percentile: IN_AGGREGATE,
    variance: IN_AGGREGATE,
    stddev: IN_AGGREGATE,
    write: IN_AGGREGATE,
    to: ['aggregateWords', 'aggregate'],
    send: ['match'],
    stop: IN_AGGREGATE,
  },
  send: { statistics: ['match'] },
  statistics: {
    submit: IN_STATISTICS,
    every: IN_STATISTICS,
    seconds: IN_STATISTICS,
    reset: IN_STATISTICS,
    counters: IN_STATISTICS,
    after: IN_STATISTICS,
    interval: IN_STATISTICS,
    prefix: IN_STATISTICS,
    with: ['aggregateWords', 'statistics'],
    send: ['match'],
    stop: IN_STATISTICS,
  },
  listen: {
    type: ['listen'],
    linemode: LISTEN_MODE,
    proto: ['listen'],
    udp: LISTEN_MODE,
    tcp: LISTEN_MODE,
    unix: LISTEN_MODE,
  },
  listenWords: {
    transport: IN_LISTEN,
    plain: LISTEN_MODE,
    gzip: LISTEN_MODE,
    lz4: LISTEN_MODE,
    snappy: LISTEN_MODE,
    ssl: LISTEN_FILES,
    mtls: LISTEN_FILES,
    protomin: LISTEN_FILES,
    protomax: LISTEN_FILES,
    ciphers: LISTEN_FILES,
    ciphersuites: LISTEN_FILES,
    proto: ['listen'],
  },
  includeWords: {},
  set: { tags: ['set'], visible: ['set'], hidden: ['set'] },
}

export const WITH_IDENTIFIERS: ReadonlySet<State> = new Set<State>([
  'clusterWords',
  'clusterProto',
  'clusterLines',
  'matchWords',
  'aggregateWords',
  'includeWords',
  'listenWords',
])
export const WITH_NUMBERS: ReadonlySet<State> = new Set<State>([
  'clusterWords',
  'clusterProto',
  'clusterLines',
  'aggregate',
  'statistics',
])
