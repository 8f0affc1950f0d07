/** A destination's own numbers, under carbon-c-relay's names where it has them (relay.md §2.9). */

import type { Stats } from '../../lib/stats.ts'
import type { Destination } from './destination.ts'
import { toMicroseconds } from '../wall-times.ts'

/** What carbon-c-relay has of each destination beside its counters, and what is ours. */
export function registerDestination(stats: Stats, destination: Destination): void {
  const name = `destinations.${destination.label}`
  stats.gauge(`${name}.queued`, () => destination.queued)
  stats.total(`${name}.stalls`, () => 0)
  stats.total(`${name}.wallTime_us`, () => toMicroseconds(destination.sendingMs))
  stats.gauge(`${name}.spoolBytes`, () => destination.spoolBytes)
  stats.gauge(`${name}.connected`, () => (destination.connected ? 1 : 0))
}

/** Its numbers are of no more interest. */
export function forgetDestination(stats: Stats, destination: Destination): void {
  stats.remove(`destinations.${destination.label}.`)
}
