/**
 * The relay's own numbers under carbon-c-relay's names (relay.md §2.9): every interval they go through the
 * relay itself as points, `carbon.relays.HOST.…`; the same and more are Prometheus text on the admin socket.
 */

import { type Clock, nowSeconds } from '../lib/clock.ts'
import type { Stats } from '../lib/stats.ts'
import type { Dispatcher, DispatcherCounters } from './routing/dispatcher.ts'
import type { Network } from './routing/network.ts'
import type { Results, ResultTarget } from './results.ts'
import { toMicroseconds, type WallTimes } from './wall-times.ts'

/** Names of the parts that carbon-c-relay has too. */
export function dispatcherCounters(stats: Stats): DispatcherCounters {
  return {
    received: stats.counter('metricsReceived'),
    discarded: stats.counter('metricsDiscarded'),
    blackholed: stats.counter('metricsBlackholed'),
    badValues: stats.counter('dropped.value'),
    badTimes: stats.counter('dropped.time'),
    badNames: stats.counter('dropped.name'),
    invalid: stats.counter('dropped.validate'),
    nameHits: stats.counter('names.hits'),
    nameMisses: stats.counter('names.misses'),
  }
}

/**
 * Totals over all destinations, the one dispatcher under the names of carbon-c-relay's threads, and the names
 * that are interned.
 */
export function registerTotals(
  stats: Stats,
  parts: { network: Network; dispatcher: Dispatcher; wallTimes: WallTimes },
): void {
  const { network, dispatcher, wallTimes } = parts
  const { received, blackholed, discarded } = dispatcherCounters(stats)
  const dispatching = (): number => toMicroseconds(wallTimes.dispatchingMs)
  const sleeping = (): number => toMicroseconds(wallTimes.sleepingMs)
  stats.labelGroup('destinations', 'destination')
  stats.total('metricsSent', () => network.sent)
  stats.total('metricsDropped', () => network.dropped)
  stats.gauge('metricsQueued', () => network.queued)
  stats.total('metricStalls', () => 0)
  stats.total('dispatch_wallTime_us', dispatching)
  stats.total('dispatch_sleepTime_us', sleeping)
  stats.total('server_wallTime_us', () => toMicroseconds(wallTimes.sendingMs))
  stats.total('dispatcher1.metricsReceived', () => received.value)
  stats.total('dispatcher1.metricsBlackholed', () => blackholed.value)
  stats.total('dispatcher1.metricsDiscarded', () => discarded.value)
  stats.total('dispatcher1.wallTime_us', dispatching)
  stats.total('dispatcher1.sleepTime_us', sleeping)
  stats.gauge('names.interned', () => dispatcher.namesInterned)
  stats.total('names.evicted', () => dispatcher.namesEvicted)
}

export interface ReportOptions {
  readonly clock: Clock
  readonly stats: Stats
  readonly results: Pick<Results, 'send'>
  readonly sendTo: ResultTarget
  readonly prefix: string
  readonly resetCounters: boolean
}

/** Sends every number through the relay, as differences since the last time where that is asked for. */
export class Reporter {
  private readonly options: ReportOptions
  private readonly before: Map<string, number>

  constructor(options: ReportOptions) {
    this.options = options
    this.before = new Map()
  }

  report(): void {
    const { clock, stats, results, sendTo, prefix, resetCounters } = this.options
    const now = nowSeconds(clock)
    for (const { name, kind, value } of stats.entries()) {
      if (!Number.isFinite(value)) continue
      const earlier = this.before.get(name) ?? 0
      const isDifference = resetCounters && kind === 'counter'
      const reported = isDifference ? value - earlier : value
      results.send(sendTo, `${prefix}.${name}`, reported, now)
      if (isDifference) this.before.set(name, value)
    }
  }
}
