/**
 * What reading fills: the same slots of some series, series by series, NaN where nothing is known. Layers
 * are put over one another from the oldest to the newest; a later layer's known values win.
 */

/** Which slots of some series are meant: series k's slot `from + i` if `known[k × (to − from) + i]`. */
export interface KnownSlots {
  readonly ids: Uint32Array
  readonly from: number
  readonly to: number
  readonly known: Uint8Array
}

export class SlotMatrix {
  /** Rising; `count` of them. */
  readonly ids: Uint32Array
  readonly count: number
  /** Slots [from, to). */
  readonly from: number
  readonly to: number
  readonly width: number
  /** Series k has `values[k × width, (k + 1) × width)`. */
  readonly values: Float64Array

  /** `values`: what is to be in it; nothing is known in a new one. */
  constructor(ids: Uint32Array, from: number, to: number, values?: Float64Array) {
    this.ids = ids
    this.count = ids.length
    this.from = from
    this.to = to
    this.width = to - from
    this.values = values ?? new Float64Array(this.count * this.width).fill(NaN)
  }

  /** Puts `source[at, at + slots)`, whose first slot is `firstSlot`, over series `k`. */
  overlay(k: number, source: Float64Array, at: number, firstSlot: number, slots: number): void {
    const { values, from } = this
    const start = Math.max(from, firstSlot)
    const end = Math.min(this.to, firstSlot + slots)
    const shift = k * this.width - from
    for (let slot = start; slot < end; slot++) {
      const value = source[at + slot - firstSlot]!
      if (value === value) values[shift + slot] = value
    }
  }

  /** Puts a matrix of the same ids and slots over this one. */
  overlayAll(other: SlotMatrix): void {
    const { values } = this
    const source = other.values
    for (let i = 0; i < source.length; i++) {
      const value = source[i]!
      if (value === value) values[i] = value
    }
  }

  set(k: number, slot: number, value: number): void {
    this.values[k * this.width + slot - this.from] = value
  }

  isKnown(k: number, slot: number): boolean {
    const value = this.values[k * this.width + slot - this.from]!
    return value === value
  }

  /** Slots [from, to) as a matrix of their own. */
  part(from: number, to: number): SlotMatrix {
    const width = to - from
    const values = new Float64Array(this.count * width)
    for (let k = 0; k < this.count; k++) {
      const at = k * this.width + from - this.from
      values.set(this.values.subarray(at, at + width), k * width)
    }
    return new SlotMatrix(this.ids, from, to, values)
  }

  /** Which slots are known. */
  known(): KnownSlots {
    const { ids, from, to, values } = this
    const known = new Uint8Array(this.count * this.width)
    for (let i = 0; i < known.length; i++) known[i] = values[i] === values[i] ? 1 : 0
    return { ids, from, to, known }
  }

  /** The position of `id`, or −1. */
  indexOf(id: number): number {
    return findId(this.ids, this.count, id)
  }
}

/** Binary search in the first `count` of rising ids; −1 when it is not there. */
export function findId(ids: Uint32Array, count: number, id: number): number {
  let low = 0
  let high = count - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const found = ids[middle]!
    if (found === id) return middle
    if (found < id) low = middle + 1
    else high = middle - 1
  }
  return -1
}

/** The position of the first of `count` rising ids that is at least `id`; `count` when there is none. */
export function lowerBound(ids: Uint32Array, count: number, id: number): number {
  let low = 0
  let high = count
  while (low < high) {
    const middle = (low + high) >> 1
    if (ids[middle]! < id) low = middle + 1
    else high = middle
  }
  return low
}
