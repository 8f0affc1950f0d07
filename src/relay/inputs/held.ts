/**
 * A mark after everything that was dispatched until now: it is held when every destination, and the journal of
 * the aggregations, hold all that they had been given then. What was blackholed needs nobody to hold it.
 */

import type { Aggregating } from '../aggregation/aggregating.ts'
import type { Destination } from '../delivery/destination.ts'

export class HeldMark {
  private readonly positions: readonly { destination: Destination; position: number }[]
  private readonly aggregating: Aggregating
  /** Of the aggregations; −1: they have no part in it. */
  private readonly version: number

  constructor(destinations: Iterable<Destination>, aggregating: Aggregating, version: number) {
    const positions: { destination: Destination; position: number }[] = []
    for (const destination of destinations) {
      positions.push({ destination, position: destination.position })
    }
    this.positions = positions
    this.aggregating = aggregating
    this.version = version
  }

  /** Survives a kill of this process. */
  get isWritten(): boolean {
    return (
      this.aggregating.writtenVersion >= this.version &&
      this.positions.every(({ destination, position }) => destination.heldWritten >= position)
    )
  }

  /** Survives a power cut. */
  get isSynced(): boolean {
    return (
      this.aggregating.syncedVersion >= this.version &&
      this.positions.every(({ destination, position }) => destination.heldSynced >= position)
    )
  }
}
