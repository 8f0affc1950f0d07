/** Plans for names that were never seen: what a new name costs, once. */
import { realDisk } from '../../src/lib/disk.ts'
import { Aggregator } from '../../src/relay/aggregation/aggregator.ts'
import type { AggregateStep } from '../../src/relay/routing/plan.ts'
import { parseRelayText } from '../../src/relay/config/relay-conf.ts'
import { Router } from '../../src/relay/routing/router.ts'
import type { BenchCase, Random } from './bench.ts'

const CENTRAL = `cluster a forward /run/points.sock proto unix type emon; cluster b forward central:2003;
  match * send to a; rewrite (.*) into aws.web.\\1; match * send to b;`

const TEN_EXPRESSIONS = `cluster a forward h1; cluster b forward h2;
  ${Array.from({ length: 10 }, (_, i) => `rewrite ^host${i}[0-9]*\\.([^.]+)\\.(.*)$ into dc${i}.\\_1.\\2;`).join('\n')}
  match ^dc[0-9]\\.cpu send to a; match * send to b;`

const ring = (type: string): string =>
  `cluster r ${type} 10.0.0.1 10.0.0.2 10.0.0.3; match * send to r;`

const AGGREGATE = `aggregate ^host([0-9]+)\\.([^.]+)\\.(.*)$ every 10 seconds expire after 30 seconds
  compute sum write to all.\\2.\\3 compute max write to max.\\2.\\3;`

export const cases: readonly BenchCase[] = [
  planCase('with central', CENTRAL),
  planCase('ten expressions with rewrites', TEN_EXPRESSIONS),
  planCase('carbon_ch over three', ring('carbon_ch')),
  planCase('fnv1a_ch over three', ring('fnv1a_ch')),
  planCase('jump_fnv1a_ch over three', ring('jump_fnv1a_ch')),
  {
    name: 'relay/aggregator: put a point to two outputs',
    unit: 'points',
    prepare(scale, random) {
      const router = routerOf(AGGREGATE)
      const steps = names(Math.ceil(10_000 * scale), random).map(
        (name) => router.plan(name).steps[0] as AggregateStep,
      )
      const rounds = 100
      return {
        count: steps.length * rounds,
        run() {
          const aggregator = new Aggregator()
          aggregator.configure(router.routing.aggregations)
          for (let round = 0; round < rounds; round++) {
            for (let i = 0; i < steps.length; i++)
              aggregator.put(steps[i]!, i, 1000 + (round % 10), 1000)
          }
          let sum = 0
          aggregator.due(2000, (_sendTo, _name, value) => (sum += value))
          return sum
        },
      }
    },
  },
]

function planCase(what: string, conf: string): BenchCase {
  return {
    name: `relay/router: plan a new name, ${what}`,
    unit: 'names',
    prepare(scale, random) {
      const router = routerOf(conf)
      const list = names(Math.ceil(100_000 * scale), random)
      return {
        count: list.length,
        run() {
          let steps = 0
          for (let i = 0; i < list.length; i++) steps += router.plan(list[i]!).steps.length
          return steps
        },
      }
    },
  }
}

function routerOf(conf: string): Router {
  const parsed = parseRelayText(realDisk, conf, 'bench')
  if (!parsed.ok) throw new Error(parsed.error)
  return new Router(parsed.value, 1)
}

function names(count: number, random: Random): Uint8Array[] {
  const kinds = ['cpu', 'disk', 'net', 'mem']
  return Array.from({ length: count }, (_, i) =>
    Buffer.from(`host${Math.floor(random() * 1000)}.${kinds[i % 4]}.device${i}.bytes_per_second`),
  )
}
