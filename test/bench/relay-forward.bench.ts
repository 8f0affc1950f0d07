/**
 * The relay against the real carbon-c-relay (`--peers`; Debian's 3.7.3, -w 1) on the same lines in the same
 * run, TCP in and out: lines per CPU second of each whole process (relay-race.ts), and the ratio, with all names
 * known, with all names new to it, and of the first lines of its life; peak memory of both; what a thousand idle
 * connections cost both.
 */
import type { BenchCase, Random } from './bench.ts'
import { type Course, hasPeer, idleBytes, type Lap, run } from './relay-race.ts'

const NAMES = 150_000
const PASSES = 20
/** So many times as many names come once, at the end. */
const NEW_PASSES = 4
/** The peer is slower; the rate does not depend on how long it runs. */
const PEER_PASSES = 5
const CONNECTIONS = 1_000
const MIB = 1024 ** 2

interface Race {
  readonly name: string
  readonly conf: string
  readonly sinks: number
  /** Lines out for one line in. */
  readonly fanOut: number
}

const REGEXES = Array.from(
  { length: 10 },
  (_, i) =>
    `match ^servers\\.host[0-9]*${i}\\..*\\.metric_[0-9]+\\.value$ send to a;\n` +
    `rewrite ^servers\\.(host[0-9]*${i})\\.(.+)$ into by_host.${i}.\\1.\\2;\n`,
).join('')

const RACES: readonly Race[] = [
  {
    name: 'with central: two destinations, one rewrite',
    conf:
      'cluster this-server forward SINK0;\ncluster central-server forward SINK1;\n' +
      'match * send to this-server;\nrewrite (.*) into aws.web.\\1;\nmatch * send to central-server;\n',
    sinks: 2,
    fanOut: 2,
  },
  {
    name: 'one destination, unchanged',
    conf: 'cluster a forward SINK0;\nmatch * send to a;\n',
    sinks: 1,
    fanOut: 1,
  },
  {
    name: 'carbon_ch over three',
    conf: 'cluster ring carbon_ch SINK0 SINK1 SINK2;\nmatch * send to ring;\n',
    sinks: 3,
    fanOut: 1,
  },
  {
    name: 'ten regular expressions with rewrites',
    conf: `cluster a forward SINK0;\ncluster b forward SINK1;\n${REGEXES}match * send to b;\n`,
    sinks: 2,
    fanOut: 2,
  },
  {
    name: 'aggregation: sum and max of each host, and on',
    conf:
      'cluster a forward SINK0;\n' +
      'aggregate ^servers\\.(host[0-9]+)\\. every 60 seconds expire after 75 seconds ' +
      'compute sum write to sums.\\1 compute max write to maxima.\\1 send to a;\n' +
      'match * send to a;\n',
    sinks: 1,
    fanOut: 1,
  },
  {
    name: 'blackhole',
    conf: 'cluster a forward SINK0;\nmatch marker send to a stop;\nmatch * send to blackhole;\n',
    sinks: 1,
    fanOut: 0,
  },
]

const races = RACES.map((race): BenchCase => ({
  name: `relay/forward: ${race.name}`,
  unit: 'lines',
  peer: true,
  async prepare(scale: number, random: Random) {
    if (!hasPeer()) return 'carbon-c-relay is not installed'
    const count = Math.ceil(NAMES * scale)
    const all = shuffled((1 + NEW_PASSES) * count, random)
    const names = all.slice(0, count)
    const otherNames = all.slice(count)
    const { conf, sinks } = race
    const linesOutPerPass = names.length * race.fanOut
    const course = (passes: number): Course => {
      return { conf, sinks, names, otherNames, linesOutPerPass, passes }
    }
    const peer = await run('carbon-c-relay', course(PEER_PASSES))
    return {
      count: names.length * PASSES,
      async run() {
        const ours = await run('ours', course(PASSES))
        return {
          checksum: ours.linesOut,
          seconds: ours.cpuSeconds,
          figures: {
            'lines/CPU s': Math.round(rate(ours)),
            'carbon-c-relay': Math.round(rate(peer)),
            ratio: (rate(ours) / rate(peer)).toFixed(1),
            'new names': Math.round(newRate(ours)),
            'carbon-c-relay new names': Math.round(newRate(peer)),
            'ratio new names': (newRate(ours) / newRate(peer)).toFixed(1),
            'first lines': Math.round(firstRate(ours)),
            'carbon-c-relay first lines': Math.round(firstRate(peer)),
            'ratio first lines': (firstRate(ours) / firstRate(peer)).toFixed(1),
            'peak MiB': Math.round(ours.peakBytes / MIB),
            'carbon-c-relay peak MiB': Math.round(peer.peakBytes / MIB),
            'peer delivered': `${Math.round((100 * peer.linesOut) / (linesOutPerPass * PEER_PASSES || 1))} %`,
          },
        }
      },
    }
  },
}))

const idle: BenchCase = {
  name: 'relay/connections: a thousand that are idle',
  unit: 'connections',
  peer: true,
  async prepare(scale: number) {
    if (!hasPeer()) return 'carbon-c-relay is not installed'
    const count = Math.ceil(CONNECTIONS * scale)
    const peer = await idleBytes('carbon-c-relay', count)
    return {
      count,
      async run() {
        const ours = await idleBytes('ours', count)
        return {
          checksum: count,
          figures: { MiB: (ours / MIB).toFixed(1), 'carbon-c-relay MiB': (peer / MIB).toFixed(1) },
        }
      },
    }
  },
}

export const cases: readonly BenchCase[] = [...races, idle]

function rate(lap: Lap): number {
  return lap.linesIn / lap.cpuSeconds
}

function newRate(lap: Lap): number {
  return lap.newLinesIn / Math.max(lap.newCpuSeconds, 0.01)
}

function firstRate(lap: Lap): number {
  return lap.firstLinesIn / Math.max(lap.firstCpuSeconds, 0.01)
}

/** Names of one host stay together, as its sender sends them; hosts come in any order. */
function shuffled(count: number, random: Random): string[] {
  const hosts = Array.from({ length: Math.ceil(count / 50) }, (_, i) => i)
  for (let i = hosts.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1))
    const host = hosts[i]!
    hosts[i] = hosts[j]!
    hosts[j] = host
  }
  const names: string[] = []
  for (const host of hosts) {
    for (let i = 0; i < 50 && names.length < count; i++) {
      names.push(`servers.host${host}.cpu${i >> 3}.metric_${i & 7}.value`)
    }
  }
  return names
}
