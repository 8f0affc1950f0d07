/**
 * The relay's own numbers under carbon-c-relay's names (relay.md §2.9): every interval they go through the
 * relay itself as points, `carbon.relays.HOST.…`; the same and more are Prometheus text on the admin socket.
 */

import { type Clock, nowSeconds } from '../lib/clock.ts'
import type { Stats } from '../lib/stats.ts'
import type { Destination } from './destination.ts'
import type { Dispatcher, DispatcherCounters } from './dispatcher.ts'
import type { Network } from './network.ts'
import type { Results, ResultTarget } from './results.ts'

/** Names of the parts that carbon-c-relay has too. */
export function dispatcherCounters(stats: Stats): DispatcherCounters {
  return {
    received: stats.counter('metricsReceived'),
    discarded: stats.counter('metricsDiscarded'),
    blackholed: stats.counter('metricsBlackholed'),
    badValues: stats.counter('dropped.value'),
    badTimes: stats.counter('dropped.time'),
    invalid: stats.counter('dropped.validate'),
    nameHits: stats.counter('names.hits'),
    nameMisses: stats.counter('names.misses'),
  }
}

/** Totals over all destinations, and the names that are interned. */
export function registerGauges(stats: Stats, network: Network, dispatcher: Dispatcher): void {
  const total = (read: (destination: Destination) => number) => () => {
    let sum = 0
    for (const destination of network.destinations) sum += read(destination)
    return sum
  }
  stats.gauge(
    'metricsSent',
    total(({ counters }) => counters.sent.value),
  )
  stats.gauge(
    'metricsQueued',
    total(({ queued }) => queued),
  )
  stats.gauge(
    'metricsDropped',
    total(({ counters }) => counters.dropped.value),
  )
  stats.gauge('metricStalls', () => 0)
  stats.gauge('names.interned', () => dispatcher.names)
  stats.gauge('names.evicted', () => dispatcher.namesEvicted)
}

export interface ReportOptions {
  readonly clock: Clock
  readonly stats: Stats
  readonly results: Results
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
