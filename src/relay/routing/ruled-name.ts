/**
 * A name on its way through the rules, as they see it: the bytes that came for as long as those are enough, text
 * when a regular expression or a rewrite asks for it, bytes again when a rewritten one is hashed. One object
 * serves all names, one after the other.
 */

import type { RegexMatch } from '../../lib/bounded-regex.ts'
import { latin1 } from '../../metric/number.ts'
import { LINE_BYTES_MAX } from '../config/command-line.ts'
import type { Expression } from '../config/expression.ts'
import type { Placement } from './cluster.ts'

const SEMICOLON = 0x3b

export class RuledName {
  /** Something else than what came with words in front of it. */
  isRewritten: boolean
  private readonly hashesTags: boolean
  /** What came: `came[start, end)`. */
  private came: Uint8Array
  private start: number
  private end: number
  /** The name is `front` and `rest`, which is what came for as long as it is undefined. */
  private front: string
  private rest: string | undefined
  private isAsItCame: boolean
  private scratch: Uint8Array

  /** `hashesTags`: what follows a `;` is hashed. */
  constructor(hashesTags: boolean) {
    this.isRewritten = false
    this.hashesTags = hashesTags
    this.came = new Uint8Array(0)
    this.start = 0
    this.end = 0
    this.front = ''
    this.rest = undefined
    this.isAsItCame = true
    this.scratch = new Uint8Array(256)
  }

  begin(bytes: Uint8Array, start: number, end: number): void {
    this.isRewritten = false
    this.came = bytes
    this.start = start
    this.end = end
    this.front = ''
    this.rest = undefined
    this.isAsItCame = true
  }

  /** Latin1. */
  get text(): string {
    this.rest ??= latin1(this.came, this.start, this.end)
    if (this.front !== '') this.rest = this.front + this.rest
    this.front = ''
    return this.rest
  }

  test(expression: Expression): boolean {
    if (expression.kind === 'all') return true
    if (this.isAsItCame) {
      const mayFit = expression.testBytes(this.came, this.start, this.end)
      if (!mayFit || expression.kind !== 'regex') return mayFit
    }
    return expression.test(this.text)
  }

  exec(expression: Expression): RegexMatch | undefined {
    if (this.isAsItCame && !expression.testBytes(this.came, this.start, this.end)) return undefined
    return expression.exec(this.text)
  }

  /** False when it would be longer than a line; then it stays as it is. */
  putInFront(words: string): boolean {
    const length = this.rest === undefined ? this.end - this.start : this.rest.length
    if (words.length + this.front.length + length > LINE_BYTES_MAX) return false
    this.front = words + this.front
    this.isAsItCame = false
    return true
  }

  /** As `putInFront`. */
  rewrite(text: string): boolean {
    if (text.length > LINE_BYTES_MAX) return false
    this.isRewritten = true
    this.front = ''
    this.rest = text
    this.isAsItCame = false
    return true
  }

  /** What a cluster that places by names answers to it. */
  placedBy(placement: Placement): number {
    const { came, start, end } = this
    if (this.isAsItCame) return placement.answer!(came, start, this.hashedEnd(came, start, end))
    const length = this.encode(this.text)
    return placement.answer!(this.scratch, 0, this.hashedEnd(this.scratch, 0, length))
  }

  /** What it answers to another key, latin1. */
  keyPlacedBy(key: string, placement: Placement): number {
    const length = this.encode(key)
    return placement.answer!(this.scratch, 0, length)
  }

  private encode(text: string): number {
    const { length } = text
    if (length > this.scratch.length) this.scratch = new Uint8Array(length)
    const { scratch } = this
    for (let i = 0; i < length; i++) scratch[i] = text.charCodeAt(i)
    return length
  }

  private hashedEnd(bytes: Uint8Array, start: number, end: number): number {
    if (this.hashesTags) return end
    let at = start
    while (at < end && bytes[at] !== SEMICOLON) at++
    return at
  }
}
