/** Bytes to sequences (sequence-format.ts has the layout). What no encoder writes throws `RangeError`. */

import { ColumnBytes } from './column-bytes.ts'
import { NumberDecoder } from './number-decoder.ts'
import { Kind, Relation } from './sequence-format.ts'

/** The whole numbers of an earlier column of the frame. */
export type SiblingSource = (back: number) => Float64Array

export class SequenceDecoder {
  private readonly numbers: NumberDecoder

  constructor(numbers: NumberDecoder) {
    this.numbers = numbers
  }

  /** Fills `dst[0, count)` from where the cursor is. */
  decode(source: ColumnBytes, dst: Float64Array, count: number, siblingOf: SiblingSource): void {
    const head = source.byte()
    const relation = head >> 4
    const sibling = relation === Relation.none ? undefined : siblingOf(source.varint())
    this.decodeRest(source, head & 15, dst, count)
    if (relation === Relation.difference)
      for (let i = 0; i < count; i++) dst[i] = dst[i]! + sibling![i]!
    else if (relation === Relation.sum)
      for (let i = 0; i < count; i++) dst[i] = dst[i]! - sibling![i]!
    else if (relation !== Relation.none) throw new RangeError(`unknown relation ${relation}`)
  }

  private decodeRest(source: ColumnBytes, kind: number, dst: Float64Array, count: number): void {
    let n = source.zigzag()
    dst[0] = n
    if (kind === Kind.offsets || kind === Kind.distances) {
      this.readNumbers(source, dst, 0, count)
      for (let i = 0; i < count; i++) dst[i] = dst[i]! + n
    } else if (kind === Kind.differences) {
      this.readNumbers(source, dst, 1, count)
      for (let i = 1; i < count; i++) dst[i] = n += dst[i]!
    } else if (kind === Kind.changes) {
      if (count < 2) throw new RangeError('changes of one number')
      let difference = source.zigzag()
      this.readNumbers(source, dst, 2, count)
      dst[1] = n += difference
      for (let i = 2; i < count; i++) {
        difference += dst[i]!
        dst[i] = n += difference
      }
    } else throw new RangeError(`unknown kind ${kind}`)
  }

  /** Fills `dst[from, count)`. */
  private readNumbers(source: ColumnBytes, dst: Float64Array, from: number, count: number): void {
    const unit = source.varint()
    const rest = from === 0 ? dst : dst.subarray(from)
    source.at = this.numbers.decode(source.bytes, source.at, rest, count - from)
    if (unit > 1) for (let i = from; i < count; i++) dst[i] = dst[i]! * unit
  }
}
