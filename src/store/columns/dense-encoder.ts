/**
 * Columns of sealed blocks. Each is encoded as for an open window first (column-encoder.ts), which finds out what
 * it is made of; then as numbers by their probability, alone or with the help of an earlier column of the frame.
 * The shortest is kept; the compressor, which all go through, is asked what the first would come to.
 */

import { writeVarint, writeZigzag } from './column-bytes.ts'
import { Codec, POWERS, Presence } from './column-codec.ts'
import { bytesFor } from './column-planes.ts'
import { ColumnEncoder } from './column-encoder.ts'
import { NumberEncoder } from './number-encoder.ts'
import { type RateColumn, RateFit } from './rate-fit.ts'
import { SequenceEncoder } from './sequence-encoder.ts'

/** Fewer values are not worth a table of symbols. */
const COUNT_MIN = 48
/** Seconds a slot of rates: all ticks of a window are then counted exactly. */
const STEP_MAX = 600
/** Columns of rates that are remembered as references. */
const REFERENCES_MAX = 3
/** Values that say whether there may be rates, and those that decide on a reference. */
const SAMPLES = 512
const REFERENCE_SAMPLES = 128
/** Rates that come to at most so much, beside a rough guess of the alternative, need no closer look at it. */
const SURELY_LESS = 0.95
/** So much of a column's middle shows what the compressor would make of it. */
const PART_BYTES = 8_192
const FAST = { level: 1 } as const
/** What a frame takes beside its content. */
const ZSTD_FRAME_BYTES = 9

export interface ColumnTraits {
  /** Of how many finer slots each value is the average; 1 for none. */
  readonly averagedOf: number
  /** Seconds a slot, where values are as they came; 0 where they are rolled up. */
  readonly collectedStep: number
}

interface Reference {
  readonly position: number
  /** Which slots it knows. */
  readonly presence: number
  readonly phases: Float64Array
}

/** Encodes the columns of one frame after the other; scratch space is kept between frames. */
export class DenseEncoder {
  private readonly plain = new ColumnEncoder()
  private readonly sequences = new SequenceEncoder()
  private readonly numbers = new NumberEncoder()
  private readonly fit = new RateFit()
  private reference: Reference | undefined
  private references: Reference[] = []
  /** Of the frame's columns with gaps, each once: where their runs end. */
  private presences: Uint32Array[] = []
  private slotOf = new Int32Array(0)
  private position = 0
  private presence = 0

  /** Starts a frame. */
  begin(): void {
    this.position = -1
    this.references = []
    this.presences = []
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
    plain.look(values, from, slots, dst, at, traits.averagedOf)
    if (plain.count < COUNT_MIN || plain.codec === Codec.constant) return plain.write(dst, at)
    this.findSlots(slots)
    this.presence = this.findPresence()
    if (plain.codec === Codec.delta) return this.encodeDecimals(dst, at, traits.collectedStep)
    if (plain.codec === Codec.scaled) return this.encodeAverages(dst, at, traits.averagedOf)
    const end = plain.write(dst, at)
    return plain.codec === Codec.dictionary ? this.encodeChoices(dst, at, end) : end
  }

  private encodeDecimals(dst: Uint8Array, at: number, step: number): number {
    const { plain, sequences, presence, position } = this
    const { whole, count, exponent, body } = plain
    if (step > 0 && step <= STEP_MAX && exponent > 0 && this.isOfRates(step))
      return this.writeRates(dst, at, step)
    const bytes = sequences.measure(whole, count, presence)
    const end = plain.write(dst, at)
    if (this.isShorterPlain(dst, at, end, bytes)) return end
    dst[at] = (plain.presence << 4) | Codec.sequence
    dst[body] = exponent
    const after = sequences.write(dst, body + 1, position)
    sequences.remember(position, whole, count, presence)
    return after
  }

  /** Whether the column is told best as rates; then `fit` and `sequences` are ready to be written. */
  private isOfRates(step: number): boolean {
    const { plain, sequences, presence, fit } = this
    const { whole, count } = plain
    const guess = sequences.guess(whole, count)
    if (!this.fitRates(step, guess)) return false
    const bytes = sequences.measure(fit.differences, count, presence) + fit.bits / 8
    if (bytes < guess * SURELY_LESS) return true
    if (bytes >= sequences.measure(whole, count, presence)) return false
    sequences.measure(fit.differences, count, presence)
    return true
  }

  private encodeAverages(dst: Uint8Array, at: number, averagedOf: number): number {
    const { plain, sequences, numbers, presence, position } = this
    const { whole, count, exponent, body, ulps } = plain
    const bytes = sequences.measure(whole, count, presence) + numbers.measure(ulps, count, true)
    const end = plain.write(dst, at)
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
    const { count, body } = plain
    const { values, positions } = plain.dictionary
    const positionsAt = end - count * bytesFor(values.length - 1)
    const bytes =
      this.packedBytes(dst, body, positionsAt) + numbers.measure(positions, count, false)
    // What the compressor makes of a dictionary also depends on its neighbours: only for a clear gain.
    if (this.isShorterPlain(dst, at, end, bytes * 1.03)) return end
    dst[at] = (plain.presence << 4) | Codec.choice
    return numbers.write(dst, positionsAt)
  }

  /** Leaves the fit in `fit` and its reference in `reference`; false when this is no column of rates. */
  private fitRates(step: number, bytesMax: number): boolean {
    const { plain, slotOf, fit } = this
    const { whole, count, exponent } = plain
    const column: RateColumn = { whole, slotOf, power: POWERS[exponent]!, step }
    if (!looksLikeRates(column, count)) return false
    const isFound = this.findReference(column, count)
    return (
      isFound &&
      fit.fit(column, this.reference?.phases, { bitsMax: bytesMax * 8, from: 0, to: count })
    )
  }

  /** The reference, or none, that values in the middle fit best; false when they fit none. */
  private findReference(column: RateColumn, count: number): boolean {
    const { fit, presence } = this
    this.reference = undefined
    const from = Math.max(0, (count - REFERENCE_SAMPLES) >> 1)
    const to = Math.min(count, from + REFERENCE_SAMPLES)
    let isFound = fit.fit(column, undefined, { bitsMax: Infinity, from, to })
    let bitsMax = isFound ? fit.bits : Infinity
    for (const reference of this.references) {
      if (reference.presence !== presence) continue
      if (!fit.fit(column, reference.phases, { bitsMax, from, to })) continue
      bitsMax = fit.bits
      this.reference = reference
      isFound = true
    }
    return isFound
  }

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
    this.references.unshift({ position, presence, phases: fit.phases })
    fit.phases =
      this.references.length > REFERENCES_MAX
        ? this.references.pop()!.phases
        : new Float64Array(fit.phases.length)
    return end
  }

  /** Whether the column that lies at [at, end) comes to less than `bytes` once it is compressed. */
  private isShorterPlain(dst: Uint8Array, at: number, end: number, bytes: number): boolean {
    const part = Math.min(end - at, PART_BYTES)
    const from = at + ((end - at - part) >> 1)
    return (this.packedBytes(dst, from, from + part) * (end - at)) / part < bytes
  }

  private packedBytes(dst: Uint8Array, at: number, end: number): number {
    return Bun.zstdCompressSync(dst.subarray(at, end), FAST).length - ZSTD_FRAME_BYTES
  }

  /** Fills `slotOf`. */
  private findSlots(slots: number): void {
    if (this.slotOf.length < slots) this.slotOf = new Int32Array(slots)
    const { slotOf, plain } = this
    const { runEnds, runs } = plain
    let count = 0
    let slot = 0
    for (let run = 0; run < runs; run++) {
      const end = runEnds[run]!
      if ((run & 1) === 1) slot = end
      else while (slot < end) slotOf[count++] = slot++
    }
  }

  /** A number that columns of the frame share when they know the same slots, and only then. */
  private findPresence(): number {
    const { plain, presences } = this
    if (plain.presence === Presence.full) return 0
    const { runEnds, runs } = plain
    const found = presences.findIndex((ends) => isStartOf(runEnds, runs, ends))
    if (found >= 0) return found + 1
    return presences.push(runEnds.slice(0, runs))
  }
}

function isStartOf(runEnds: Uint32Array, runs: number, ends: Uint32Array): boolean {
  if (ends.length !== runs) return false
  for (let run = 0; run < runs; run++) if (runEnds[run] !== ends[run]) return false
  return true
}

/** Of some of them: none is negative, and most of those that are not zero have decimals. */
function looksLikeRates({ whole, power }: RateColumn, count: number): boolean {
  const stride = Math.max(1, Math.floor(count / SAMPLES))
  let fractions = 0
  let integers = 0
  for (let i = 0; i < count; i += stride) {
    const n = whole[i]!
    if (n < 0) return false
    if (n % power !== 0) fractions++
    else if (n !== 0) integers++
  }
  return fractions > integers
}
