/** StatsD samples gathered between two flushes: 500 names again and again, in the common forms. */
import { Statsd } from '../../src/relay/inputs/statsd.ts'
import type { BenchCase, Random } from './bench.ts'

const NAMES = 500
const SETTINGS = {
  flushSeconds: 10,
  percentiles: [90],
  histograms: [],
  legacyNamespace: true,
  deleteIdle: new Set<never>(),
}

export const cases: readonly BenchCase[] = [
  gatherCase('counters', (name) => `app.requests.n${name}:1|c`),
  gatherCase('timers', (name, random) => `app.latency.n${name}:${below(random, 1_000)}|ms|@0.1`),
  gatherCase('gauges', (name, random) => `app.load.n${name}:${below(random, 100)}|g`),
  gatherCase('counters with tags', (name) => `app.hits.n${name}:1|c|#env:prod,dc:lon`),
]

function gatherCase(what: string, line: (name: number, random: Random) => string): BenchCase {
  return {
    name: `relay/statsd: ${what}`,
    unit: 'samples',
    prepare(scale, random) {
      const count = Math.ceil(200_000 * scale)
      const lines = Array.from({ length: count }, (_, i) => Buffer.from(line(i % NAMES, random)))
      const statsd = new Statsd(SETTINGS, NAMES)
      return {
        count,
        run() {
          for (let i = 0; i < count; i++) {
            const bytes = lines[i]!
            statsd.take(bytes, 0, bytes.length, () => undefined)
          }
          let sum = 0
          statsd.flush(1, (_name, value) => (sum += value))
          return sum
        },
      }
    },
  }
}

function below(random: Random, limit: number): number {
  return Math.floor(random() * limit)
}
