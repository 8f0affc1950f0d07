/**
 * The names that one connection's points speak of, by number. They are interned with all others (names.ts); here are
 * only their bytes, each with a blank behind it as in a line, and which of the interner's names each was when it was
 * last looked at. The interner may have given that place to another since, so it is compared. Names that no line could
 * have (the sender may allow other bytes) are not interned, and have a route of their own.
 */

import { viewOf } from '../delivery/copy-bytes.ts'
import { NOT_INTERNED } from './interner.ts'
import type { KnownName } from './route.ts'

const BLANK = 0x20
const FIRST_BYTES = 1024
const FIRST_NAMES = 64

export class PointNames {
  bytes: Uint8Array
  view: DataView
  /** By number: where each ends, and its blank is. */
  ends: Uint32Array
  /** By number: the interner's id, or NOT_INTERNED. */
  interned: Int32Array
  count: number
  /** Those that are not interned. */
  private readonly known: Map<number, KnownName>

  constructor() {
    this.bytes = new Uint8Array(0)
    this.view = viewOf(this.bytes)
    this.ends = new Uint32Array(0)
    this.interned = new Int32Array(0)
    this.count = 0
    this.known = new Map()
  }

  /** The number of one more name, without a blank in it; names are not looked up. */
  add(name: Uint8Array): number {
    const number = this.count
    const start = this.start(number)
    const end = start + name.length
    if (end >= this.bytes.length) this.growBytes(end + 1)
    if (number === this.ends.length) this.growColumns()
    this.bytes.set(name, start)
    this.bytes[end] = BLANK
    this.ends[number] = end
    this.interned[number] = NOT_INTERNED
    this.count = number + 1
    return number
  }

  start(number: number): number {
    return number === 0 ? 0 : this.ends[number - 1]! + 1
  }

  /** The name by itself, to be kept with a route of its own. */
  apart(number: number): KnownName {
    let known = this.known.get(number)
    if (!known) {
      const name = this.bytes.slice(this.start(number), this.ends[number])
      this.known.set(number, (known = { name, route: undefined }))
    }
    return known
  }

  private growBytes(needed: number): void {
    const bytes = new Uint8Array(Math.max(needed, this.bytes.length * 2, FIRST_BYTES))
    bytes.set(this.bytes)
    this.bytes = bytes
    this.view = viewOf(bytes)
  }

  private growColumns(): void {
    const capacity = Math.max(FIRST_NAMES, this.ends.length * 2)
    const ends = new Uint32Array(capacity)
    const interned = new Int32Array(capacity)
    ends.set(this.ends)
    interned.set(this.interned)
    this.ends = ends
    this.interned = interned
  }
}
