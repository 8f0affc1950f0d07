/**
 * The shapes of samples that came lately: what stands around the value, `NAME:` and `|TYPE|@RATE|#TAGS`, mostly comes
 * again and again, so its meaning is looked up by its bytes. A line of which nothing is known, and one that is more
 * than a name with one value, has to be parsed (statsd-line.ts).
 *
 * Limits: 65,536 shapes or 8 MiB of them, each of at most 512 bytes; those that were not used lately make room.
 */

import { viewOf } from '../delivery/copy-bytes.ts'
import { hashName, Interner, NOT_INTERNED } from '../routing/interner.ts'
import type { Sample, SampleType } from './statsd-line.ts'

const LIMITS = { namesMax: 65_536, bytesMax: 8 * 1024 * 1024 }
const SHAPE_BYTES_MAX = 512

const COLON = 0x3a
const BAR = 0x7c
const BRACKET = 0x5b

const NUMERIC: readonly SampleType[] = ['counter', 'gauge', 'timer']

/** A sample but for its value. */
export type Shape = Pick<Sample, 'type' | 'rate'> & {
  /** Name and tags. */
  readonly key: string
}

export class StatsdShapes {
  /** Where the value of the line stands that was looked up last. */
  valueStart: number
  valueEnd: number
  private readonly interner: Interner
  private readonly shapes: (Shape | undefined)[]
  /** `NAME:|TYPE…`. */
  private readonly scratch: Uint8Array
  private readonly view: DataView
  private length: number

  constructor() {
    this.valueStart = 0
    this.valueEnd = 0
    this.shapes = []
    this.interner = new Interner(LIMITS, (id) => (this.shapes[id] = undefined))
    this.scratch = new Uint8Array(SHAPE_BYTES_MAX)
    this.view = viewOf(this.scratch)
    this.length = 0
  }

  /** The shape of the line `bytes[start, end)`, if it is known. */
  find(bytes: Uint8Array, start: number, end: number): Shape | undefined {
    if (!this.cut(bytes, start, end)) return undefined
    const { view, length, interner } = this
    const id = interner.find(view, 0, length, hashName(view, 0, length))
    return id === NOT_INTERNED ? undefined : this.shapes[id]
  }

  /** To be called with the sample that the line was which `find` did not know. */
  learn(sample: Sample): void {
    const { type, name, tags, rate, timestamp } = sample
    if (this.length === 0 || timestamp !== undefined || !NUMERIC.includes(type)) return
    const { view, length, interner } = this
    const id = interner.add(view, 0, length, hashName(view, 0, length))
    if (id !== NOT_INTERNED) this.shapes[id] = { type, rate, key: name + tags }
  }

  /** Finds the value, and puts together what stands around it; false where that is not simple. */
  private cut(bytes: Uint8Array, start: number, end: number): boolean {
    const { scratch } = this
    this.length = 0
    let length = 0
    let at = start
    for (; at < end && bytes[at] !== COLON; at++) {
      if (bytes[at] === BRACKET || length === SHAPE_BYTES_MAX) return false
      scratch[length++] = bytes[at]!
    }
    this.valueStart = at + 1
    while (at < end && bytes[at] !== BAR) at++
    this.valueEnd = at
    if (at === end || length + 1 + end - at > SHAPE_BYTES_MAX) return false
    scratch[length++] = COLON
    for (; at < end; at++) scratch[length++] = bytes[at]!
    this.length = length
    return true
  }
}
