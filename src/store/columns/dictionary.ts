/**
 * The distinct values of a column, and each value's position among them: for shares such as 100 × 3 / 101, which
 * are no decimals but few.
 *
 * Limits: columns of 256 values or more, of which at most 4,096, and at most half, may be distinct.
 */

const COUNT_MIN = 256
const VALUES_MAX = 4_096

export class Dictionary {
  /** Rising. */
  values = new Float64Array(0)
  /** Of each value of the column. */
  positions = new Float64Array(0)
  /** The order in which values were met first. */
  private readonly orders = new Map<number, number>()

  /** Takes the first `count` values; false when they are too many, or a negative zero is among them. */
  take(known: Float64Array, count: number): boolean {
    if (count < COUNT_MIN) return false
    if (this.positions.length < count) this.positions = new Float64Array(known.length)
    const { positions, orders } = this
    const most = Math.min(VALUES_MAX, count >> 1)
    orders.clear()
    for (let i = 0; i < count; i++) {
      const value = known[i]!
      let order = orders.get(value)
      if (order === undefined) {
        order = orders.size
        if (order === most || Object.is(value, -0)) return false
        orders.set(value, order)
      } else if (value === 0 && Object.is(value, -0)) return false
      positions[i] = order
    }
    this.values = Float64Array.from(orders.keys()).sort()
    const ranks = new Uint16Array(orders.size)
    for (let rank = 0; rank < ranks.length; rank++) ranks[orders.get(this.values[rank]!)!] = rank
    for (let i = 0; i < count; i++) positions[i] = ranks[positions[i]!]!
    return true
  }
}
