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
  /** Series k knows nothing from slot `from + touched[k]` on; `values` may hold anything there until `complete`. */
  private readonly touched: Uint32Array

  /** `values`: what is to be in it; nothing is known in a new one. */
  constructor(ids: Uint32Array, from: number, to: number, values?: Float64Array) {
    this.ids = ids
    this.count = ids.length
    this.from = from
    this.to = to
    this.width = to - from
    this.values = values ?? new Float64Array(this.count * this.width).fill(NaN)
    this.touched = new Uint32Array(this.count)
    if (values) this.touched.fill(this.width)
  }

  /** A matrix that knows nothing, in memory that may hold anything; it is to be completed when all is put to it. */
  static within(memory: Float64Array, ids: Uint32Array, from: number, to: number): SlotMatrix {
    const matrix = new SlotMatrix(ids, from, to, memory.subarray(0, ids.length * (to - from)))
    matrix.touched.fill(0)
    return matrix
  }

  /** Says of the slots that nothing was put to that nothing is known of them. */
  complete(): void {
    for (let k = 0; k < this.count; k++) this.reach(k, this.width)
  }

  /**
   * Where in `values` the slots [firstSlot, firstSlot + slots) of series `k` begin, to be filled whole by the
   * caller; −1 when they do not all lie in the matrix or something may be known of them.
   */
  claim(k: number, firstSlot: number, slots: number): number {
    const at = firstSlot - this.from
    if (at < this.touched[k]! || at + slots > this.width) return -1
    this.reach(k, at)
    this.touched[k] = at + slots
    return k * this.width + at
  }

  /** Puts `source[at, at + slots)`, whose first slot is `firstSlot`, over series `k`. */
  overlay(k: number, source: Float64Array, at: number, firstSlot: number, slots: number): void {
    const { values, from } = this
    const start = Math.max(from, firstSlot)
    const end = Math.min(this.to, firstSlot + slots)
    this.reach(k, end - from)
    const shift = k * this.width - from
    for (let slot = start; slot < end; slot++) {
      const value = source[at + slot - firstSlot]!
      if (value === value) values[shift + slot] = value
    }
  }

  /** Puts a matrix of the same ids, and of slots that lie in this one, over it. */
  overlayAll(other: SlotMatrix): void {
    const { values, from, width } = other
    for (let k = 0; k < this.count; k++) this.overlay(k, values, k * width, from, width)
  }

  set(k: number, slot: number, value: number): void {
    const at = slot - this.from
    const touched = this.touched[k]!
    if (at >= touched) {
      if (at > touched) this.reach(k, at)
      this.touched[k] = at + 1
    }
    this.values[k * this.width + at] = value
  }

  isKnown(k: number, slot: number): boolean {
    const at = slot - this.from
    if (at >= this.touched[k]!) return false
    const value = this.values[k * this.width + at]!
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

  /** From now on something may be known up to slot `from + end`. */
  private reach(k: number, end: number): void {
    const touched = this.touched[k]!
    if (end <= touched) return
    const at = k * this.width
    this.values.fill(NaN, at + touched, at + end)
    this.touched[k] = end
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
