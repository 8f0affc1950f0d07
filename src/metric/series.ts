/**
 * Points and series as columns. NaN means "no value" everywhere in memory; timestamps are Unix seconds.
 */

import { assert } from '../lib/assert.ts'

/** A bounded set of points in columns; refilled and handed on, never grown. */
export class PointBatch {
  /** Whose number an id is, the owner says: a connection's, a destination's or the store's series id. */
  readonly ids: Uint32Array
  readonly timestamps: Uint32Array
  readonly values: Float64Array
  length: number

  constructor(capacity: number) {
    this.ids = new Uint32Array(capacity)
    this.timestamps = new Uint32Array(capacity)
    this.values = new Float64Array(capacity)
    this.length = 0
  }

  get isFull(): boolean {
    return this.length === this.ids.length
  }

  push(id: number, timestamp: number, value: number): void {
    const at = this.length
    assert(at < this.ids.length, 'push() into a full PointBatch')
    this.ids[at] = id
    this.timestamps[at] = timestamp
    this.values[at] = value
    this.length = at + 1
  }

  reset(): void {
    this.length = 0
  }
}

/** Values at `start + i × step`. */
export interface Series {
  readonly name: string
  readonly start: number
  readonly step: number
  readonly values: Float64Array
}
