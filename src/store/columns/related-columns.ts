/**
 * What columns of a frame tell of one another: the whole numbers of a sibling, the phases of a reference's readings
 * (sequence-format.ts, rate-clock.ts). A column that is needed is decoded as far as that, without its values, and
 * kept until the next frame. Both know the same slots, so their presences are the same bytes; that is looked at, or
 * values would come out in other slots. Throws `RangeError` for what nobody wrote.
 */

import { type ColumnBytes, readPower } from './column-bytes.ts'
import { Codec, Presence } from './column-codec.ts'
import type { NumberDecoder } from './number-decoder.ts'
import type { PresenceDecoder } from './presence-decoder.ts'
import { correctionUnit, PhaseTrack, TICKS } from './rate-clock.ts'
import { SequenceDecoder } from './sequence-decoder.ts'

/** What later columns of the frame may need of one. */
export interface RelatedColumn {
  readonly whole: Float64Array
  /** Of rates. */
  readonly phases: Float64Array | undefined
  /** Where the column's bytes go on behind what these two were told by. */
  readonly end: number
}

/** A column's position in the frame, and where its body starts. */
interface Place {
  readonly position: number
  readonly body: number
}

export class RelatedColumns {
  private readonly source: ColumnBytes
  private readonly presence: PresenceDecoder
  private readonly numbers: NumberDecoder
  private readonly sequences: SequenceDecoder
  private offsets: Uint32Array = new Uint32Array(0)
  /** By position in the frame. */
  private readonly known = new Map<number, RelatedColumn>()
  private readonly spare: Float64Array[] = []
  private corrections = new Float64Array(0)

  /** `source` is at the body of the column in question; `presence` has read which slots it knows. */
  constructor(source: ColumnBytes, presence: PresenceDecoder, numbers: NumberDecoder) {
    this.source = source
    this.presence = presence
    this.numbers = numbers
    this.sequences = new SequenceDecoder(numbers)
  }

  /** Forgets the frame before. */
  open(offsets: Uint32Array, slots: number): void {
    this.offsets = offsets
    for (const { whole, phases } of this.known.values()) {
      this.spare.push(whole)
      if (phases) this.spare.push(phases)
    }
    this.known.clear()
    if (this.corrections.length >= slots) return
    this.corrections = new Float64Array(slots)
    this.spare.length = 0
  }

  /** Of what was decoded for others' sake. */
  get bytes(): number {
    let arrays = 0
    for (const { phases } of this.known.values()) arrays += phases ? 2 : 1
    return arrays * this.corrections.byteLength
  }

  /** Lets arrays go that are of no use before the next frame. */
  trim(): void {
    this.spare.length = 0
  }

  /** What the column whose body starts here, or another may need of it; leaves the cursor where it is. */
  of(position: number, codec: number, count: number, hasGaps: boolean): RelatedColumn {
    const found = this.known.get(position)
    if (found) return found
    const { source } = this
    const { at } = source
    const learnt =
      codec === Codec.rate
        ? this.learnRates(position, count, hasGaps)
        : this.learnSequence(position, codec, count)
    this.known.set(position, learnt)
    source.at = at
    return learnt
  }

  private learnSequence(position: number, codec: number, count: number): RelatedColumn {
    const { source } = this
    const own = { position, body: source.at }
    readPower(source)
    if (codec === Codec.average) source.varint()
    const whole = this.readSequence(own, count)
    return { whole, phases: undefined, end: source.at }
  }

  private learnRates(position: number, count: number, hasGaps: boolean): RelatedColumn {
    const { source, corrections } = this
    const { slotOf } = this.presence
    const own = { position, body: source.at }
    const track = new PhaseTrack()
    const power = readPower(source)
    const slotTicks = source.varint() * TICKS
    const back = source.varint()
    const reference = back === 0 ? undefined : this.earlier(own, back, count).phases
    if (back !== 0 && !reference) throw new RangeError('reference without phases')
    const whole = this.readSequence(own, count)
    const phases = this.scratch()
    let read = 0
    for (let i = 0; i < count; i++) if (whole[i]! > 0) read++
    const end = this.numbers.decode(source.bytes, source.at, corrections, read)
    let next = 0
    for (let i = 0; i < count; i++) {
      const n = whole[i]!
      let distance = track.expected
      if (n > 0) {
        const correction = corrections[next++]!
        if (correction !== 0) {
          const passed = hasGaps && i > 0 ? slotOf[i]! - slotOf[i - 1]! : 1
          distance += correction * correctionUnit(n, passed * slotTicks, power)
        }
      }
      const phase = reference ? reference[i]! + distance : distance
      phases[i] = phase
      track.take(phase, distance)
    }
    return { whole, phases, end }
  }

  /** The sequence that comes next, in an array of its own. */
  private readSequence(own: Place, count: number): Float64Array {
    const whole = this.scratch()
    this.sequences.decode(this.source, whole, count, (back) => this.earlier(own, back, count).whole)
    return whole
  }

  /** The column `back` before one of the frame: what others need of it, without its values. */
  private earlier(later: Place, back: number, count: number): RelatedColumn {
    const position = later.position - back
    if (back < 1 || position < 0) throw new RangeError('no such column')
    if (!this.hasPresenceOf(later, position))
      throw new RangeError('column refers to one that knows other slots')
    return this.known.get(position) ?? this.learn(position, later, count)
  }

  /** Whether the column at `position` knows the slots that this one knows. */
  private hasPresenceOf(own: Place, position: number): boolean {
    const { bytes } = this.source
    const ownAt = this.offsets[own.position]!
    const at = this.offsets[position]!
    if (bytes[ownAt]! >> 4 !== bytes[at]! >> 4) return false
    const presenceBytes = own.body - ownAt
    for (let i = 1; i < presenceBytes; i++) if (bytes[ownAt + i] !== bytes[at + i]) return false
    return true
  }

  /** Of a column with the presence of a later one. */
  private learn(position: number, later: Place, count: number): RelatedColumn {
    const { source, offsets } = this
    const { at } = source
    source.at = offsets[position]!
    const head = source.byte()
    const codec = head & 15
    if (codec !== Codec.sequence && codec !== Codec.rate && codec !== Codec.average)
      throw new RangeError('column refers to one that tells nothing')
    source.at = offsets[position]! + later.body - offsets[later.position]!
    const learnt = this.of(position, codec, count, head >> 4 !== Presence.full)
    source.at = at
    return learnt
  }

  private scratch(): Float64Array {
    return this.spare.pop() ?? new Float64Array(this.corrections.length)
  }
}
