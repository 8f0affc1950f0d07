/** Sequences to bytes (sequence-format.ts has the layout): finds the sibling and the kind that leave least. */

import { writeVarint, writeZigzag } from './column-bytes.ts'
import { NumberEncoder } from './number-encoder.ts'
import { Kind, RELATED_MAX, Relation } from './sequence-format.ts'
import { typical } from './typical.ts'

/** Columns that are remembered as possible siblings. */
const SIBLINGS_MAX = 32
const SAMPLES = 64
const KIND_SAMPLES = 400
/** A sibling is worth trying when it leaves at most this share of the bits, in the sample. */
const SHARE_WORTH_TRYING = 0.9
const HEADER_BYTES = 6

interface Sibling {
  /** In the frame. */
  readonly position: number
  readonly count: number
  /** Which slots it knows. */
  readonly presence: number
  readonly whole: Float64Array
}

export class SequenceEncoder {
  private readonly numbers = new NumberEncoder()
  private siblings: Sibling[] = []
  private readonly spare: Float64Array[] = []
  private rest = new Float64Array(0)
  private related = new Float64Array(0)
  private whole: Float64Array = new Float64Array(0)
  private count = 0
  private sibling: Sibling | undefined
  private relation: number = Relation.none
  private kind: number = Kind.differences
  private starts = new Float64Array(2)
  private startCount = 0
  /** What the best kind leaves. */
  private leastBits = 0
  private unit = 1
  /** `numbers` has what is to be written. */
  private isMeasured = false
  /** All numbers are within `RELATED_MAX`. */
  private isSmall = true

  /** Forgets the columns of the frame before. */
  begin(): void {
    for (const { whole } of this.siblings) this.spare.push(whole)
    this.siblings = []
  }

  /** Lets later columns of the frame be coded by this one. */
  remember(position: number, whole: Float64Array, count: number, presence: number): void {
    if (this.siblings.length === SIBLINGS_MAX) this.spare.push(this.siblings.shift()!.whole)
    let copy = this.spare.pop()
    if (!copy || copy.length < count) copy = new Float64Array(Math.max(count, whole.length))
    copy.set(whole.subarray(0, count))
    this.siblings.push({ position, count, presence, whole: copy })
  }

  /** Chooses how `whole[0, count)` is written; answers the bytes that it will take, about. */
  measure(whole: Float64Array, count: number, presence: number): number {
    if (this.rest.length < count) {
      this.rest = new Float64Array(whole.length)
      this.related = new Float64Array(whole.length)
    }
    this.count = count
    this.whole = whole
    this.relation = Relation.none
    this.sibling = undefined
    this.isSmall = isWithin(whole, count, RELATED_MAX)
    const alone = this.measureRest(whole)
    const kind = this.kind
    if (!this.isSmall || !this.findSibling(whole, count, presence)) return alone
    this.relate(whole)
    const together = this.measureRest(this.related) + 2
    if (together < alone) {
      this.whole = this.related
      return together
    }
    this.relation = Relation.none
    this.kind = kind
    this.isMeasured = false
    return alone
  }

  /** As `measure`, roughly: without a sibling, and from some of the numbers. */
  guess(whole: Float64Array, count: number): number {
    this.count = count
    this.isSmall = true
    this.bestKind(whole)
    return HEADER_BYTES + this.leastBits / 8
  }

  /** Writes what was measured last; returns the end. */
  write(dst: Uint8Array, at: number, position: number): number {
    const { relation, sibling } = this
    dst[at] = this.kind + 16 * relation
    let end = at + 1
    if (!this.isMeasured) {
      const left = this.takeRest(this.whole, this.kind)
      this.numbers.measure(this.rest, left, this.kind !== Kind.offsets)
    }
    if (relation !== Relation.none) end = writeVarint(position - sibling!.position, dst, end)
    for (let k = 0; k < this.startCount; k++) end = writeZigzag(this.starts[k]!, dst, end)
    end = writeVarint(this.unit, dst, end)
    return this.numbers.write(dst, end)
  }

  private measureRest(whole: Float64Array): number {
    this.isMeasured = true
    this.kind = this.bestKind(whole)
    const left = this.takeRest(whole, this.kind)
    return HEADER_BYTES + this.numbers.measure(this.rest, left, this.kind !== Kind.offsets)
  }

  /** By how long the numbers are that it leaves. */
  private bestKind(whole: Float64Array): number {
    const { count } = this
    const center = typical(whole, count)
    let lowest = center
    for (let i = 0; i < count; i++) if (whole[i]! < lowest) lowest = whole[i]!
    let first = 0
    let second = 0
    let offset = 0
    let distance = 0
    const stride = Math.max(1, Math.floor(count / KIND_SAMPLES))
    for (let i = 2; i < count; i += stride) {
      const n = whole[i]!
      const before = whole[i - 1]!
      const difference = n - before
      first += signedLengthOf(difference)
      second += signedLengthOf(difference - (before - whole[i - 2]!))
      offset += lengthOf(n - lowest)
      distance += signedLengthOf(n - center)
    }
    if (!this.isSmall) second = Infinity
    const least = Math.min(first, second, offset, distance)
    this.leastBits = least * stride
    if (least === first) return Kind.differences
    if (least === distance) return Kind.distances
    return least === offset ? Kind.offsets : Kind.changes
  }

  /** Fills `rest`, `unit` and `starts`; answers how many numbers are in `rest`. */
  private takeRest(whole: Float64Array, kind: number): number {
    const left = this.subtract(whole, kind)
    const { rest } = this
    const unit = commonUnit(rest, left)
    this.unit = unit
    if (unit > 1) for (let i = 0; i < left; i++) rest[i] = rest[i]! / unit
    return left
  }

  private subtract(whole: Float64Array, kind: number): number {
    const { rest, starts, count } = this
    if (kind === Kind.offsets || kind === Kind.distances) {
      let start = typical(whole, count)
      if (kind === Kind.offsets)
        for (let i = 0; i < count; i++) if (whole[i]! < start) start = whole[i]!
      for (let i = 0; i < count; i++) rest[i] = whole[i]! - start
      starts[0] = start
      this.startCount = 1
      return count
    }
    starts[0] = whole[0]!
    if (kind === Kind.differences || count < 2) {
      this.startCount = 1
      for (let i = 1; i < count; i++) rest[i - 1] = whole[i]! - whole[i - 1]!
      return count - 1
    }
    let before = whole[1]! - whole[0]!
    starts[1] = before
    this.startCount = 2
    for (let i = 2; i < count; i++) {
      const difference = whole[i]! - whole[i - 1]!
      rest[i - 2] = difference - before
      before = difference
    }
    return count - 2
  }

  /** Looks at some of the differences only. */
  private findSibling(whole: Float64Array, count: number, presence: number): boolean {
    const step = Math.max(1, Math.floor(count / SAMPLES))
    let least = 0
    for (let i = step; i < count; i += step) least += lengthOf(whole[i]! - whole[i - 1]!)
    least *= SHARE_WORTH_TRYING
    for (const sibling of this.siblings) {
      if (sibling.presence !== presence || sibling.count !== count) continue
      const other = sibling.whole
      let less = 0
      let more = 0
      for (let i = step; i < count && (less < least || more < least); i += step) {
        const own = whole[i]! - whole[i - 1]!
        const its = other[i]! - other[i - 1]!
        less += lengthOf(own - its)
        more += lengthOf(own + its)
      }
      if (less < least) {
        least = less
        this.sibling = sibling
        this.relation = Relation.difference
      }
      if (more < least) {
        least = more
        this.sibling = sibling
        this.relation = Relation.sum
      }
    }
    return this.relation !== Relation.none
  }

  private relate(whole: Float64Array): void {
    const { related, count } = this
    const other = this.sibling!.whole
    if (this.relation === Relation.difference)
      for (let i = 0; i < count; i++) related[i] = whole[i]! - other[i]!
    else for (let i = 0; i < count; i++) related[i] = whole[i]! + other[i]!
  }
}

function isWithin(whole: Float64Array, count: number, most: number): boolean {
  for (let i = 0; i < count; i++) if (whole[i]! > most || whole[i]! < -most) return false
  return true
}

/** What divides all of them: bytes that are whole pages. */
function commonUnit(numbers: Float64Array, count: number): number {
  let unit = 0
  for (let i = 0; i < count && unit !== 1; i++) {
    let rest = Math.abs(numbers[i]!)
    while (rest !== 0) {
      const remainder = unit % rest
      unit = rest
      rest = remainder
    }
  }
  return unit === 0 ? 1 : unit
}

/** As `lengthOf`, and one bit for the sign. */
function signedLengthOf(n: number): number {
  return n === 0 ? 0 : lengthOf(n) + 1
}

/** About log₂ of the size. */
function lengthOf(n: number): number {
  return n < 2_147_483_648 && n > -2_147_483_648
    ? 32 - Math.clz32(n < 0 ? -n : n)
    : 32 + Math.log2(Math.abs(n) / 2_147_483_648)
}
