/** Random relay.confs, and names that their rules have something to say about. */
export type Random = () => number

/** mulberry32. */
export function seeded(seed: number): Random {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

const NODES = [
  'sys',
  'web',
  'db',
  'cpu',
  'user',
  'idle',
  'disk',
  'sda1',
  'Load',
  'requests',
  'count',
  'a',
  'b1',
  'x_y',
  'n-1',
]

export class ConfGenerator {
  private readonly random: Random
  private servers = 0
  private readonly clusters: string[] = []
  /** Hosts that clusters may have in common: none of any_of or failover. */
  private readonly shared: string[] = []

  constructor(random: Random) {
    this.random = random
  }

  conf(rules: number): string {
    let text = ''
    for (let i = 0; i < 2 + this.below(5); i++) text += this.cluster()
    const statisticsAt = this.chance(0.4) ? this.below(rules + 1) : -1
    for (let i = 0; i <= rules; i++) {
      if (i === statisticsAt) text += this.statistics()
      if (i < rules) text += this.rule()
    }
    return this.chance(0.3) ? text + this.listen() : text
  }

  name(): string {
    const nodes = Array.from({ length: 1 + this.below(6) }, () =>
      this.chance(0.2) ? `${this.pick(NODES)}${this.below(50)}` : this.pick(NODES),
    )
    return nodes.join('.') + (this.chance(0.1) ? `;host=${this.pick(NODES)}` : '')
  }

  line(): string {
    const name = this.name()
    if (this.chance(0.1)) return name
    return `${name} ${this.value()}`
  }

  /** Value and timestamp. */
  value(): string {
    return `${this.pick(['1', '0.5', '-3', 'nan', '1e9'])} ${1_700_000_000 + this.below(1000)}`
  }

  private cluster(): string {
    const name = this.pick(['c', 'cluster', 'forward', 'my-store', 'x.y']) + this.clusters.length
    this.clusters.push(name)
    const kind = this.below(8)
    if (kind === 7)
      return `cluster ${name} file${this.chance(0.5) ? ' ip' : ''} /tmp/emon-oracle-${name};\n`
    const count = 1 + this.below(6)
    const ring = kind >= 3
    const useall = !ring && this.chance(0.3) ? ' useall' : ''
    const type = [
      'forward',
      'any_of',
      'failover',
      'carbon_ch',
      'fnv1a_ch',
      'jump_fnv1a_ch',
      'carbon_ch',
    ][kind]!
    const replication = ring && this.chance(0.5) ? ` replication ${1 + this.below(count)}` : ''
    const dynamic = ring && this.chance(0.3) ? ' dynamic' : ''
    const instances = ring && this.chance(0.5)
    let text = `cluster ${name}\n  ${type}${useall}${replication}${dynamic}\n`
    const mayShare = kind !== 1 && kind !== 2
    for (let i = 0; i < count; i++) {
      const known = mayShare && this.chance(0.1) ? this.pick(this.shared) : undefined
      const isKnown = known !== undefined && !text.includes(known)
      const host = isKnown ? known : this.host(instances)
      if (mayShare && !isKnown) this.shared.push(host)
      text += `    ${host}\n`
    }
    return `${text}  ;\n`
  }

  private host(instances: boolean): string {
    const id = ++this.servers
    const address = this.chance(0.1)
      ? `[fd00::${id.toString(16)}]`
      : `10.${this.below(4)}.${id >> 8}.${id & 255}`
    const port = this.chance(0.5) ? `:${2000 + this.below(9)}` : ''
    const instance =
      instances && this.chance(0.8) ? `=${this.pick(['a', 'b', '10', '9', 'node'])}${id}` : ''
    const proto = this.chance(0.2) ? ` proto ${this.pick(['udp', 'tcp'])}` : ''
    const type = this.chance(0.1) ? ` type ${this.pick(['syslog', 'linemode'])}` : ''
    const isPlain = proto.endsWith('udp') || this.chance(0.8)
    const transport = isPlain ? '' : ` transport plain${this.pick(['', ' ssl'])}`
    return address + port + instance + proto + type + transport
  }

  private listen(): string {
    const addresses = ['', '127.0.0.1:', '[::1]:']
    let text = `listen type linemode${this.chance(0.3) ? ' transport plain' : ''}\n`
    for (let i = 0; i <= this.below(4); i++) {
      text += `  ${this.pick(addresses)}${2100 + i} proto ${this.pick(['tcp', 'udp'])}\n`
    }
    return `${text}${this.chance(0.3) ? '  /tmp/.s.emon-oracle proto unix\n' : ''};\n`
  }

  private statistics(): string {
    const interval = this.chance(0.5) ? ` submit every ${1 + this.below(100)} seconds` : ''
    const reset = this.chance(0.3) ? ' reset counters after interval' : ''
    const prefix = this.chance(0.5) ? ' prefix with "relays.\\_1.x"' : ''
    const stop = this.chance(0.5) ? ' stop' : ''
    if (this.chance(0.1)) return `send statistics to ${this.pick(this.clusters)}${stop};\n`
    const sendTo = this.chance(0.5) ? this.sendTo() + stop : ''
    return `statistics${interval}${reset}${prefix}${sendTo};\n`
  }

  private rule(): string {
    const kind = this.below(10)
    if (kind < 2) {
      const expression = this.grouped()
      return `rewrite ${expression} into ${this.template(expression)};\n`
    }
    if (kind === 2) return this.aggregate()
    const validate = this.chance(0.15)
      ? ` validate ${this.pick(['^[0-9.-]+\\ [0-9]+$', '^1', '"nan"'])} else ${this.pick(['log', 'drop'])}`
      : ''
    if (this.chance(0.2)) {
      const expression = this.grouped()
      return `match ${expression} route using ${this.template(expression)}${this.sendTo()}${this.stop(0.2)};\n`
    }
    if (validate !== '' && this.chance(0.3)) return `match ${this.expressions()}${validate};\n`
    return `match ${this.expressions()}${validate}${this.sendTo()}${this.stop(0.2)};\n`
  }

  private aggregate(): string {
    const sendTo = this.chance(0.5)
    const functions =
      'sum summary cnt count max maximum min minimum avg average median percentile1 percentile95 variance stddev'
    const interval = 1 + this.below(60)
    // Anchored: what is before a match comes before the original's hidden prefix.
    const expressions = Array.from(
      { length: 1 + this.below(3) },
      () => `^${this.grouped().replace(/^\^/, '')}`,
    )
    const fewest = expressions.toSorted((a, b) => a.split('(').length - b.split('(').length)[0]!
    let text = `aggregate ${expressions.join(' ')} every ${interval} seconds expire after ${interval + 1 + this.below(60)} seconds`
    if (this.chance(0.3)) text += ` timestamp at ${this.pick(['start', 'middle', 'end'])} of bucket`
    for (let i = 0; i < 1 + this.below(3); i++)
      text += ` compute ${this.pick(functions.split(' '))} write to ${this.template(fewest)}`
    return `${text}${sendTo ? this.sendTo() + this.stop(0.5) : ''};\n`
  }

  private sendTo(): string {
    if (this.chance(0.05)) return ' send to blackhole'
    const names = Array.from({ length: 1 + this.below(3) }, () => this.pick(this.clusters))
    return ` send to ${[...new Set(names)].join(' ')}`
  }

  private stop(probability: number): string {
    return this.chance(probability) ? ' stop' : ''
  }

  private expressions(): string {
    if (this.chance(0.2)) return '*'
    return Array.from({ length: 1 + this.below(3) }, () => this.expression()).join(' ')
  }

  private expression(): string {
    const node = this.pick(NODES)
    switch (this.below(8)) {
      case 0:
        return node
      case 1:
        return `^${node}`
      case 2:
        return `${node}$`
      case 3:
        return `^${node}\\.${this.pick(NODES)}$`
      case 4:
        return `${this.pick(NODES)}\\.${node}`
      default:
        return this.grouped()
    }
  }

  /** A regular expression with groups that Perl and POSIX match alike. */
  private grouped(): string {
    const pieces = [
      '([^.]+)',
      '(.*)',
      '([a-z]+)[0-9]*',
      '(cpu|disk|web)',
      '([[:alpha:]_]+)',
      `(${this.pick(NODES)})`,
      '([a-zA-Z0-9_]{2,6})',
      '(sys)?[^.]*',
      '[^.]+',
      this.pick(NODES),
    ]
    const count = 1 + this.below(3)
    const body = [pieces[this.below(8)]!, ...Array.from({ length: count }, () => this.pick(pieces))]
    return `${this.chance(0.5) ? '^' : ''}${body.join('\\.')}${this.chance(0.4) ? '$' : ''}`
  }

  /** Refers to groups that there are: 3.7.3 answers a stale one for the one after the last. */
  private template(expression: string): string {
    const parts = [
      '\\1',
      '\\2',
      '\\_1',
      '\\^2',
      '\\.1',
      '\\_.1',
      '\\^.2',
      'new',
      'all',
      '\\1\\2',
      'x-\\1-y',
      '\\9',
    ]
    const text = Array.from({ length: 1 + this.below(3) }, () => this.pick(parts)).join('.')
    return expression.split('(').length > 2 ? text : text.replaceAll('2', '1')
  }

  private below(limit: number): number {
    return Math.floor(this.random() * limit)
  }

  private chance(probability: number): boolean {
    return this.random() < probability
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!
  }
}
