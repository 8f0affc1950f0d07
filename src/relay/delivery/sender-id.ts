/**
 * Who a destination's frames come from: a random 64-bit id and one sequence that goes on over restarts,
 * in the file `sender` beside the spool: `emon-sender 1 ID CEILING`.
 *
 * A receiver skips sequences that it has seen, so none may be given twice, not even after a crash or a
 * power cut: sequences are taken from under a ceiling that is on disk first, and a start begins at the
 * ceiling. Gaps mean nothing.
 */

import { fromUtf8, toUtf8 } from '../../lib/bytes.ts'
import type { Clock } from '../../lib/clock.ts'
import { NewerVersionError } from '../../lib/corruption.ts'
import { type Disk, isDiskFull, isMissing } from '../../lib/disk.ts'

const VERSION = 1
const RESERVED = 65_536
const FILE_RE = /^emon-sender (\d+) ([0-9a-f]{16}) (\d+)\n$/

export class SenderId {
  private readonly disk: Disk
  private readonly path: string
  private ceiling: number
  private last: number
  id: string

  /** Takes up the sender in `dir`, or begins one. */
  constructor(disk: Disk, clock: Clock, dir: string) {
    this.disk = disk
    this.path = `${dir}/sender`
    const found = this.read()
    this.id = found?.id ?? newId(clock)
    this.last = found?.ceiling ?? 0
    this.ceiling = this.last
  }

  /**
   * The sequence of one more batch. A full disk does not stop it: then a crash leaves the ceiling too low,
   * the receiver's HELLO shows it, and the sender is renewed.
   */
  next(): number {
    this.last++
    if (this.last > this.ceiling) this.reserve(this.last + RESERVED)
    return this.last
  }

  /** The last sequence that was given. */
  get current(): number {
    return this.last
  }

  /** Begins anew under another id: the receiver knows more of this one than we do (a restored backup). */
  renew(clock: Clock): void {
    this.id = newId(clock)
    this.reserve(this.ceiling)
  }

  /** Goes on above `sequence`, the last one found in the spool. */
  continueAfter(sequence: number): void {
    if (sequence > this.last) this.last = sequence
  }

  private reserve(ceiling: number): void {
    const text = `emon-sender ${VERSION} ${this.id} ${ceiling}\n`
    this.ceiling = ceiling
    try {
      this.disk.replaceFile(this.path, toUtf8(text))
    } catch (error) {
      if (!isDiskFull(error)) throw error
    }
  }

  private read(): { id: string; ceiling: number } | undefined {
    let text: string
    try {
      text = fromUtf8(this.disk.readFile(this.path))
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
    const parts = FILE_RE.exec(text)
    if (!parts) return undefined
    const version = Number(parts[1])
    if (version > VERSION) throw new NewerVersionError(this.path, version, VERSION)
    return { id: parts[2]!, ceiling: Number(parts[3]) }
  }
}

function newId(clock: Clock): string {
  return Buffer.from(clock.randomBytes(8)).toString('hex')
}
