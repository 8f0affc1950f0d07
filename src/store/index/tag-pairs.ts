/**
 * The pairs of a canonical tagged path, `name=NAME`, `key=value` …, one after the other, without a string or an
 * object for any: with `name=` in front the path itself is all of them, divided by semicolons. A tag of the path
 * that is called `name` is left out.
 */

import { toUtf8 } from '../../lib/bytes.ts'
import { PATH_BYTES_MAX } from '../../metric/path.ts'

const SEMICOLON = 0x3b
const NAME = toUtf8('name=')

export class TagPairs {
  readonly bytes = new Uint8Array(NAME.length + PATH_BYTES_MAX)
  /** The pair is `bytes[from, to)`. */
  from = 0
  to = 0
  private length = 0

  constructor() {
    this.bytes.set(NAME)
  }

  /** Stands before the first pair of `path[start, end)`. */
  open(path: Uint8Array, start: number, end: number): void {
    const { bytes } = this
    const shift = NAME.length - start
    for (let at = start; at < end; at++) bytes[at + shift] = path[at]!
    this.length = end + shift
    this.to = -1
  }

  /** Goes to the next pair; false when there is none. */
  next(): boolean {
    const { bytes, length } = this
    do {
      this.from = this.to + 1
      if (this.from >= length) return false
      let at = this.from
      while (at < length && bytes[at] !== SEMICOLON) at++
      this.to = at
    } while (this.from > 0 && this.isName())
    return true
  }

  private isName(): boolean {
    const { bytes, from } = this
    for (let i = 0; i < NAME.length; i++) if (bytes[from + i] !== NAME[i]) return false
    return true
  }
}
