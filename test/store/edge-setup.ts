/** A store without sockets: index, limits, registry and queries over a given engine. */
import { toUtf8 } from '../../src/lib/bytes.ts'
import { Stats } from '../../src/lib/stats.ts'
import { parseRetentions } from '../../src/metric/retention.ts'
import type { Engine } from '../../src/store/engine.ts'
import { Schemas } from '../../src/store/index/schemas.ts'
import { SeriesIndex } from '../../src/store/index/series-index.ts'
import { SeriesLimits, type SeriesLimitsSettings } from '../../src/store/index/series-limits.ts'
import { SeriesRegistry } from '../../src/store/index/series-registry.ts'
import { StoreQueries } from '../../src/store/queries/store-queries.ts'
import { SimClock } from '../sim/clock.ts'
import { MemoryEngine } from './memory-engine.ts'

export function schemasOf(retentions: string): Schemas {
  const archives = parseRetentions(retentions)
  if (!archives.ok) throw new Error(archives.error)
  return new Schemas([{ name: 'all', pattern: /(?:)/, archives: archives.value }], [])
}

export function edgeOf(options: { engine?: Engine; limits?: Partial<SeriesLimitsSettings> } = {}) {
  const clock = new SimClock()
  const stats = new Stats()
  const engine = options.engine ?? new MemoryEngine()
  const index = new SeriesIndex(1)
  const limits = new SeriesLimits(clock, {
    newPerSecondMax: 0,
    seriesMax: 1_000_000,
    quotas: [],
    ...options.limits,
  })
  const schemas = schemasOf('1s:1d,1m:30d')
  const registry = new SeriesRegistry({ index, engine, limits, stats, schemas })
  const queries = new StoreQueries({ index, engine, registry, clock })
  return { clock, stats, engine, index, limits, registry, queries }
}

/** Asks for the number of a name. */
export function resolve(registry: SeriesRegistry, name: string): number {
  return registry.resolve(toUtf8(name))
}
