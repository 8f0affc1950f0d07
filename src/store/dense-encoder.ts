/**
 * Columns of sealed blocks. Each is encoded as for an open window first (column-encoder.ts), which finds out what
 * it is made of; then as numbers by their probability, alone or with the help of an earlier column of the frame.
 * The shortest is kept; the compressor, which all go through, is asked what the first would come to.
 */

import { zstdCompressSync } from 'node:zlib'
import { writeFloat, writeVarint, writeZigzag } from './column-bytes.ts'
import { Codec, POWERS, Presence } from './column-codec.ts'
import { ColumnEncoder } from './column-encoder.ts'
import { NumberEncoder } from './number-encoder.ts'
import { type RateColumn, RateFit } from './rate-fit.ts'
import { SequenceEncoder } from './sequence-encoder.ts'

/** Fewer values are not worth a table of symbols. */
const COUNT_MIN = 48
/** Columns of rates that are remembered as references. */
const REFERENCES_MAX = 3
const FAST = { params: { 100: 1 } } as const

export interface ColumnTraits {
  /** Of how many finer slots each value is the average; 1 for none. */
  readonly averagedOf: number
  /** Seconds a slot, where values are as they came; 0 where they are rolled up. */
  readonly collectedStep: number
}

interface Reference {
  readonly position: number
  readonly presence: number
  readonly phases: Float64Array
}

/** Encodes the columns of one frame after the other; scratch space is kept between frames. */
export class DenseEncoder {
  private readonly plain = new ColumnEncoder()
  private readonly sequences = new SequenceEncoder()
  private readonly numbers = new NumberEncoder()
  private fit = new RateFit()
  private otherFit = new RateFit()
  private references: Reference[] = []
  private slotOf = new Int32Array(0)
  private position = 0
  private presence = 0

  /** Starts a frame. */
  begin(): void {
    this.position = -1
    this.references = []
    this.sequences.begin()
  }

  /** As `ColumnEncoder.encode`, for the frame's next column. */
  encode(
    values: Float64Array,
    from: number,
    slots: number,
    dst: Uint8Array,
    at: number,
    traits: ColumnTraits,
  ): number {
    const { plain } = this
    this.position++
    const end = plain.encode(values, from, slots, dst, at, traits.averagedOf)
    if (plain.count < COUNT_MIN || plain.codec === Codec.constant || plain.codec === Codec.xor)
      return end
    this.presence = this.findSlots(values, from, slots)
    if (plain.codec === Codec.dictionary) return this.encodeChoices(dst, at, end)
    return plain.codec === Codec.scaled
      ? this.encodeAverages(dst, at, end, traits.averagedOf)
      : this.encodeDecimals(dst, at, end, traits.collectedStep)
  }

  private encodeDecimals(dst: Uint8Array, at: number, end: number, step: number): number {
    const { plain, sequences, presence, position } = this
    const { whole, count, exponent, body } = plain
    const alone = sequences.measure(whole, count, presence)
    const rates = step > 0 && exponent > 0 && this.fitRates(step, alone)
    if (rates) {
      const bytes = sequences.measure(this.fit.differences, count, presence) + this.fit.bits / 8
      if (bytes < alone) return this.writeRates(dst, at, step)
      sequences.measure(whole, count, presence)
    }
    if (this.isShorterPlain(dst, at, end, alone)) return end
    dst[at] = (plain.presence << 4) | Codec.sequence
    dst[body] = exponent
    const after = sequences.write(dst, body + 1, position)
    sequences.remember(position, whole, count, presence)
    return after
  }

  private encodeAverages(dst: Uint8Array, at: number, end: number, averagedOf: number): number {
    const { plain, sequences, numbers, presence, position } = this
    const { whole, count, exponent, body, ulps } = plain
    const bytes = sequences.measure(whole, count, presence) + numbers.measure(ulps, count, true)
    if (this.isShorterPlain(dst, at, end, bytes)) return end
    dst[at] = (plain.presence << 4) | Codec.average
    dst[body] = exponent
    let after = writeVarint(averagedOf, dst, body + 1)
    after = numbers.write(dst, sequences.write(dst, after, position))
    sequences.remember(position, whole, count, presence)
    return after
  }

  /** A dictionary's positions by their probability. */
  private encodeChoices(dst: Uint8Array, at: number, end: number): number {
    const { plain, numbers } = this
    const { count, body, known, whole } = plain
    const values = Float64Array.from(new Set(known.subarray(0, count))).sort()
    const positionOf = new Map<number, number>()
    for (let i = 0; i < values.length; i++) positionOf.set(values[i]!, i)
    for (let i = 0; i < count; i++) whole[i] = positionOf.get(known[i]!)!
    if (this.isShorterPlain(dst, at, end, numbers.measure(whole, count, false) + 8 * values.length))
      return end
    dst[at] = (plain.presence << 4) | Codec.choice
    let after = writeVarint(values.length, dst, body)
    for (let i = 0; i < values.length; i++) after = writeFloat(values[i]!, dst, after)
    return numbers.write(dst, after)
  }

  /** Leaves the best fit in `fit` and its reference's position in `reference`; false when it is no column of rates. */
  private fitRates(step: number, bytesMax: number): boolean {
    const { plain, slotOf, presence } = this
    const { whole, count, exponent } = plain
    const column: RateColumn = { whole, count, slotOf, power: POWERS[exponent]!, step }
    if (!looksLikeRates(column)) return false
    let bitsMax = bytesMax * 8
    let isFound = false
    this.reference = undefined
    for (const reference of [undefined, ...this.references]) {
      if (reference && reference.presence !== presence) continue
      if (!this.otherFit.fit(column, reference?.phases, bitsMax)) continue
      const better = this.otherFit
      this.otherFit = this.fit
      this.fit = better
      bitsMax = better.bits
      this.reference = reference
      isFound = true
    }
    return isFound
  }

  private reference: Reference | undefined

  private writeRates(dst: Uint8Array, at: number, step: number): number {
    const { plain, sequences, numbers, fit, position, presence, reference } = this
    const { count, exponent, body } = plain
    dst[at] = (plain.presence << 4) | Codec.rate
    dst[body] = exponent
    let end = writeVarint(step, dst, body + 1)
    end = writeVarint(reference ? position - reference.position : 0, dst, end)
    end = sequences.write(dst, end, position)
    numbers.measure(fit.corrections, fit.correctionCount, true)
    end = numbers.write(dst, end)
    end = writeVarint(fit.misfits.length, dst, end)
    let before = -1
    for (const [k, misfit] of fit.misfits.entries()) {
      end = writeVarint(misfit - before - 1, dst, end)
      end = writeZigzag(fit.surpluses[k]!, dst, end)
      before = misfit
    }
    sequences.remember(position, fit.differences, count, presence)
    this.references.unshift({ position, presence, phases: fit.phases.slice(0, count) })
    if (this.references.length > REFERENCES_MAX) this.references.pop()
    return end
  }

  /** Whether the column that lies at [at, end) comes to less than `bytes` once it is compressed. */
  private isShorterPlain(dst: Uint8Array, at: number, end: number, bytes: number): boolean {
    return zstdCompressSync(dst.subarray(at, end), FAST).length - 9 < bytes
  }

  /** Fills `slotOf`; answers a number that is the same for columns that know the same slots. */
  private findSlots(values: Float64Array, from: number, slots: number): number {
    if (this.slotOf.length < slots) this.slotOf = new Int32Array(slots)
    const { slotOf } = this
    let hash = slots
    let count = 0
    for (let slot = 0; slot < slots; slot++) {
      const value = values[from + slot]!
      if (value !== value) continue
      slotOf[count++] = slot
      hash = Math.imul(hash ^ slot, 0x01000193)
    }
    return this.plain.presence === Presence.full ? 0 : hash | 1
  }
}

/** None is negative, and most of those that are not zero have decimals. */
function looksLikeRates({ whole, count, power }: RateColumn): boolean {
  let fractions = 0
  let zeros = 0
  for (let i = 0; i < count; i++) {
    const n = whole[i]!
    if (n < 0) return false
    if (n === 0) zeros++
    else if (n % power !== 0) fractions++
  }
  return fractions > (count - zeros) / 2
}
