/**
 * The payload of a POINTS frame (points-format.ts) while it is filled. Its columns lie where those of a full one do, so
 * that a full one only needs its header; of one that is not they are moved together.
 *
 * ```
 * byte 4            12        16        16 + 4 × capacity   16 + 8 × capacity
 *      │ sequence   │ count   │ ids …   │ timestamps …      │ values …
 *      └ which puts the values on a multiple of 8
 * ```
 */

import { assert } from '../lib/assert.ts'
import { FRAME_POINTS_MAX } from './points-format.ts'

const TWO_32 = 4294967296

const HEADER = 4
const COLUMNS = 16

/** What a block for so many points takes. */
export function pointsBlockBytes(capacity: number): number {
  return COLUMNS + 16 * capacity
}

export interface PointColumns {
  readonly ids: Uint32Array
  readonly timestamps: Uint32Array
  readonly values: Float64Array
}

export class PointsBlock implements PointColumns {
  readonly ids: Uint32Array
  readonly timestamps: Uint32Array
  readonly values: Float64Array
  length: number
  private readonly bytes: Uint8Array

  /** `bytes`: all of a buffer, of `pointsBlockBytes`; what is in it does not matter. */
  constructor(capacity: number, bytes: Uint8Array = new Uint8Array(pointsBlockBytes(capacity))) {
    assert(capacity <= FRAME_POINTS_MAX, 'a frame has at most FRAME_POINTS_MAX points')
    const { buffer } = bytes
    this.ids = new Uint32Array(buffer, COLUMNS, capacity)
    this.timestamps = new Uint32Array(buffer, COLUMNS + 4 * capacity, capacity)
    this.values = new Float64Array(buffer, COLUMNS + 8 * capacity, capacity)
    this.length = 0
    this.bytes = bytes
  }

  get capacity(): number {
    return this.ids.length
  }

  get hasRoom(): boolean {
    return this.length < this.ids.length
  }

  push(id: number, timestamp: number, value: number): void {
    const at = this.length
    if (at >= this.ids.length) assert(false, 'push() into a full PointsBlock')
    this.ids[at] = id
    this.timestamps[at] = timestamp
    this.values[at] = value
    this.length = at + 1
  }

  /** Takes points `[from, length)` out again. */
  cut(from: number): PointColumns {
    const to = this.length
    this.length = from
    return {
      ids: this.ids.slice(from, to),
      timestamps: this.timestamps.slice(from, to),
      values: this.values.slice(from, to),
    }
  }

  append({ ids, timestamps, values }: PointColumns): void {
    this.ids.set(ids, this.length)
    this.timestamps.set(timestamps, this.length)
    this.values.set(values, this.length)
    this.length += ids.length
  }

  /** The payload, in the block's memory: valid until the block is filled again, from its beginning. */
  close(sequence: number): Uint8Array {
    const { bytes, capacity, length } = this
    this.length = 0
    if (length < capacity) {
      const [timestamps, values] = [COLUMNS + 4 * capacity, COLUMNS + 8 * capacity]
      bytes.copyWithin(COLUMNS + 4 * length, timestamps, timestamps + 4 * length)
      bytes.copyWithin(COLUMNS + 8 * length, values, values + 8 * length)
    }
    const view = new DataView(bytes.buffer)
    view.setUint32(HEADER, sequence % TWO_32, true)
    view.setUint32(HEADER + 4, Math.floor(sequence / TWO_32), true)
    view.setUint32(HEADER + 8, length, true)
    return bytes.subarray(HEADER, pointsBlockBytes(length))
  }
}
