/**
 * Carbon's pickle protocol: a Python pickle (protocols 0 to 5) of a list of `(name, (timestamp, value))`. Opcodes
 * are those of Lib/pickle.py.
 *
 * The reader knows lists, tuples, texts, numbers and the memo; whatever would call or import something
 * (GLOBAL, REDUCE, BUILD …) is refused with the whole pickle. Points become lines, so that names are cleaned and
 * routed like all others.
 */

import { type ByteWriter, NEWLINE } from '../../lib/bytes.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { latin1, parseValue } from '../../metric/number.ts'
import { appendFieldBytes } from './line-builder.ts'
import { NOTHING, ObjectKind, PickleError, PickleStack } from './pickle-stack.ts'

const STOP = 0x2e
const BLANK = 0x20
const BACKSLASH = 0x5c
const ZERO = 0x30
const TWO_32 = 4294967296

/** Longer names and numbers are none: one that is repeated by the memo would swell a pickle a thousandfold. */
const FIELD_BYTES_MAX = 1024
/** Lines are handed over when there are so many. */
const LINES_BYTES = 64 * 1024

export class PickleReader {
  /** Members of the list that are no points, so far. */
  refused: number
  private readonly stack: PickleStack
  /** The bytes of a double, turned round. */
  private readonly double: Float64Array
  private readonly doubleBytes: Uint8Array
  private bytes: Uint8Array
  private at: number
  /** The next member's cell. */
  private next: number

  constructor() {
    this.refused = 0
    this.stack = new PickleStack()
    this.double = new Float64Array(1)
    this.doubleBytes = new Uint8Array(this.double.buffer)
    this.bytes = new Uint8Array(0)
    this.at = 0
    this.next = NOTHING
  }

  /** Reads a pickle, which must stay as it is until its points have been taken; an error says what is wrong with it. */
  open(pickle: Uint8Array): Result<void> {
    const { stack } = this
    stack.clear()
    this.bytes = pickle
    this.at = 0
    this.next = NOTHING
    this.refused = 0
    try {
      const object = this.load()
      if (stack.kinds[object] === ObjectKind.list) this.next = stack.firsts[object]!
      else this.refused = 1
      return ok(undefined)
    } catch (error) {
      if (error instanceof PickleError) return err(`cannot read pickle: ${error.message}`)
      throw error
    }
  }

  /** Appends lines of the next points; false when there are no more. */
  appendLines(dst: ByteWriter): boolean {
    const { stack } = this
    while (this.next !== NOTHING && dst.length < LINES_BYTES) {
      if (!this.appendPoint(dst, stack.cellObjects[this.next]!)) this.refused++
      this.next = stack.cellNexts[this.next]!
    }
    return this.next !== NOTHING
  }

  // ── points ────────────────────────────────────────────────────────────────────────────────────────

  private appendPoint(dst: ByteWriter, item: number): boolean {
    const name = this.member(item, 0)
    const point = this.member(item, 1)
    const timestamp = this.member(point, 0)
    const value = this.member(point, 1)
    if (!this.isText(name) || !this.isNumber(timestamp) || !this.isNumber(value)) return false
    this.appendObject(dst, name)
    dst.u8(BLANK)
    this.appendObject(dst, value)
    dst.u8(BLANK)
    this.appendObject(dst, timestamp)
    dst.u8(NEWLINE)
    return true
  }

  /** The first or second of a list of two; `NOTHING` of any other. */
  private member(list: number, index: 0 | 1): number {
    const { stack } = this
    if (list === NOTHING || stack.kinds[list] !== ObjectKind.list) return NOTHING
    const first = stack.firsts[list]!
    const second = first === NOTHING ? NOTHING : stack.cellNexts[first]!
    if (second === NOTHING || stack.cellNexts[second] !== NOTHING) return NOTHING
    return stack.cellObjects[index === 0 ? first : second]!
  }

  private isText(object: number): boolean {
    if (object === NOTHING) return false
    const { kinds, firsts, lasts } = this.stack
    const kind = kinds[object]
    if (kind !== ObjectKind.text && kind !== ObjectKind.escapedText) return false
    const length = lasts[object]! - firsts[object]!
    return length > 0 && length <= FIELD_BYTES_MAX
  }

  /** Numbers also come as texts. */
  private isNumber(object: number): boolean {
    if (object === NOTHING) return false
    return this.stack.kinds[object] === ObjectKind.number || this.isText(object)
  }

  private appendObject(dst: ByteWriter, object: number): void {
    const { kinds, numbers, firsts, lasts } = this.stack
    const first = firsts[object]!
    const last = lasts[object]!
    if (kinds[object] === ObjectKind.number) dst.decimal(numbers[object]!)
    else if (kinds[object] === ObjectKind.escapedText) this.appendEscaped(dst, first, last)
    else appendFieldBytes(dst, this.bytes, first, last)
  }

  private appendEscaped(dst: ByteWriter, start: number, end: number): void {
    const { bytes } = this
    for (let at = start; at < end; at++) {
      if (bytes[at] === BACKSLASH && at + 1 < end) at++
      appendFieldBytes(dst, bytes, at, at + 1)
    }
  }

  // ── opcodes ───────────────────────────────────────────────────────────────────────────────────────

  private load(): number {
    for (;;) {
      const opcode = this.u8()
      if (opcode === STOP) return this.stack.pop()
      if (this.runText(opcode) || this.runNumber(opcode) || this.runContainer(opcode)) continue
      if (!this.runMemo(opcode) && !this.runOther(opcode)) {
        throw new PickleError(`opcode ${shownOpcode(opcode)} is not allowed`)
      }
    }
  }

  private runText(opcode: number): boolean {
    switch (opcode) {
      case 0x58: // X: BINUNICODE
      case 0x54: // T: BINSTRING
      case 0x42: // B: BINBYTES
        this.pushText(this.u32())
        return true
      case 0x8c: // SHORT_BINUNICODE
      case 0x55: // U: SHORT_BINSTRING
      case 0x43: // C: SHORT_BINBYTES
        this.pushText(this.u8())
        return true
      case 0x8d: // BINUNICODE8
      case 0x8e: // BINBYTES8
        this.pushText(this.u64())
        return true
      case 0x53: // S: STRING
        this.pushQuoted()
        return true
      case 0x56: {
        // V: UNICODE
        const start = this.at
        this.stack.push(ObjectKind.text, start, this.lineEnd())
        return true
      }
      default:
        return false
    }
  }

  private runNumber(opcode: number): boolean {
    switch (opcode) {
      case 0x47: // G: BINFLOAT
        this.stack.pushNumber(this.f64())
        return true
      case 0x4a: // J: BININT
        this.stack.pushNumber(this.u32() | 0)
        return true
      case 0x4b: // K: BININT1
        this.stack.pushNumber(this.u8())
        return true
      case 0x4d: // M: BININT2
        this.stack.pushNumber(this.u8() + this.u8() * 256)
        return true
      case 0x8a: // LONG1
        this.stack.pushNumber(this.long(this.u8()))
        return true
      case 0x8b: // LONG4
        this.stack.pushNumber(this.long(this.u32()))
        return true
      case 0x88: // NEWTRUE: a number, as in the older protocols and to carbon
        this.stack.pushNumber(1)
        return true
      case 0x89: // NEWFALSE
        this.stack.pushNumber(0)
        return true
      case 0x49: // I: INT, also 00 and 01 for booleans
      case 0x4c: // L: LONG
      case 0x46: // F: FLOAT
        this.pushDecimal()
        return true
      default:
        return false
    }
  }

  private runContainer(opcode: number): boolean {
    const { stack } = this
    switch (opcode) {
      case 0x86: // TUPLE2
      case 0x87: // TUPLE3
      case 0x85: // TUPLE1
        stack.makeList(opcode - 0x84)
        return true
      case 0x74: // t: TUPLE
      case 0x6c: // l: LIST
        stack.makeListFromMark()
        return true
      case 0x61: // a: APPEND
        stack.append()
        return true
      case 0x65: // e: APPENDS
        stack.appendFromMark()
        return true
      case 0x5d: // ]: EMPTY_LIST
      case 0x29: // ): EMPTY_TUPLE
        stack.push(ObjectKind.list, NOTHING, NOTHING)
        return true
      case 0x28: // (: MARK
        stack.pushMark()
        return true
      default:
        return false
    }
  }

  private runMemo(opcode: number): boolean {
    const { stack } = this
    switch (opcode) {
      case 0x94: // MEMOIZE
        stack.memoize()
        return true
      case 0x71: // q: BINPUT
        stack.remember(this.u8())
        return true
      case 0x72: // r: LONG_BINPUT
        stack.remember(this.u32())
        return true
      case 0x70: // p: PUT
        stack.remember(this.index())
        return true
      case 0x68: // h: BINGET
        stack.recall(this.u8())
        return true
      case 0x6a: // j: LONG_BINGET
        stack.recall(this.u32())
        return true
      case 0x67: // g: GET
        stack.recall(this.index())
        return true
      default:
        return false
    }
  }

  private runOther(opcode: number): boolean {
    const { stack } = this
    switch (opcode) {
      case 0x80: // PROTO
        this.skip(1)
        return true
      case 0x95: // FRAME
        this.skip(8)
        return true
      case 0x30: // 0: POP
        stack.drop()
        return true
      case 0x31: // 1: POP_MARK
        stack.dropToMark()
        return true
      case 0x32: // 2: DUP
        stack.pushAgain(stack.top())
        return true
      case 0x4e: // N: NONE
        stack.push(ObjectKind.none, 0, 0)
        return true
      default:
        return false
    }
  }

  // ── arguments of opcodes ──────────────────────────────────────────────────────────────────────────

  /** Bytes, not characters: what is beyond ASCII is cleaned out of names anyway. */
  private pushText(length: number): void {
    const start = this.skip(length)
    this.stack.push(ObjectKind.text, start, this.at)
  }

  private pushQuoted(): void {
    const { bytes } = this
    const start = this.at
    const end = this.lineEnd()
    const quote = bytes[start]
    if ((quote !== 0x27 && quote !== 0x22) || end - start < 2 || bytes[end - 1] !== quote) {
      throw new PickleError('a string without quotes')
    }
    const kind = this.hasBackslash(start, end) ? ObjectKind.escapedText : ObjectKind.text
    this.stack.push(kind, start + 1, end - 1)
  }

  private pushDecimal(): void {
    const { bytes } = this
    const start = this.at
    let end = this.lineEnd()
    if (end > start && bytes[end - 1] === 0x4c) end-- // L
    const value = parseValue(bytes, start, end)
    if (Number.isNaN(value) && !isNan(bytes, start, end)) {
      const shown = latin1(bytes, start, Math.min(end, start + 80))
      throw new PickleError(`${JSON.stringify(shown)} is no number`)
    }
    this.stack.pushNumber(value)
  }

  /** A key of the memo, in digits on a line. */
  private index(): number {
    const { bytes } = this
    const start = this.at
    const end = this.lineEnd()
    let value = 0
    for (let at = start; at < end; at++) {
      const digit = bytes[at]! - ZERO
      if (digit < 0 || digit > 9) throw new PickleError('a key of the memo is no number')
      value = value * 10 + digit
    }
    return value
  }

  /** Two's complement, little endian. */
  private long(length: number): number {
    const { bytes } = this
    const start = this.skip(length)
    let value = 0
    for (let i = length - 1; i >= 0; i--) value = value * 256 + bytes[start + i]!
    const negative = length > 0 && bytes[start + length - 1]! >= 0x80
    return negative ? value - 256 ** length : value
  }

  private u8(): number {
    return this.bytes[this.skip(1)]!
  }

  private u32(): number {
    const { bytes } = this
    const at = this.skip(4)
    const high = (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    return (bytes[at]! | (bytes[at + 1]! << 8) | high) >>> 0
  }

  private u64(): number {
    const low = this.u32()
    return low + this.u32() * TWO_32
  }

  /** Big endian, unlike everything else. */
  private f64(): number {
    const { bytes, doubleBytes } = this
    const at = this.skip(8)
    for (let i = 0; i < 8; i++) doubleBytes[7 - i] = bytes[at + i]!
    return this.double[0]!
  }

  /** Where the next `count` bytes start; they are taken. */
  private skip(count: number): number {
    const start = this.at
    if (count > this.bytes.length - start) {
      throw new PickleError(`${count} bytes wanted, ${this.bytes.length - start} left`)
    }
    this.at = start + count
    return start
  }

  /** Where the line ends; it is taken with its newline. */
  private lineEnd(): number {
    const { bytes } = this
    const { length } = bytes
    let end = this.at
    while (end < length && bytes[end] !== NEWLINE) end++
    if (end === length) throw new PickleError('a line has no end')
    this.at = end + 1
    return end
  }

  /** Whether there is one in `bytes[start, end)`. */
  private hasBackslash(start: number, end: number): boolean {
    const { bytes } = this
    for (let at = start; at < end; at++) if (bytes[at] === BACKSLASH) return true
    return false
  }
}

function isNan(bytes: Uint8Array, start: number, end: number): boolean {
  return end - start === 3 && /^nan$/i.test(latin1(bytes, start, end))
}

function shownOpcode(opcode: number): string {
  const isPrintable = opcode > 0x20 && opcode < 0x7f
  return isPrintable ? `"${String.fromCharCode(opcode)}"` : `0x${opcode.toString(16)}`
}
