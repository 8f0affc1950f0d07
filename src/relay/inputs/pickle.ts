/**
 * Carbon's pickle protocol: frames of `u32 length, big endian` and a Python pickle (protocols 0 to 5) of a list
 * of `(name, (timestamp, value))`. Opcodes are those of Lib/pickle.py.
 *
 * The reader knows lists, tuples, texts, numbers and the memo; whatever would call or import something
 * (GLOBAL, REDUCE, BUILD …) is refused with the whole frame. Frames are at most 1 MiB, as carbon has it; a
 * frame that cannot be read ends the connection, since nobody knows what its sender meant.
 *
 * Points become lines, so that names are cleaned and routed like all others.
 */

import { ByteReader, type ByteWriter, NEWLINE } from '../../lib/bytes.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { latin1 } from '../../metric/number.ts'
import { appendField } from './line-builder.ts'

export const PICKLE_BYTES_MAX = 1024 * 1024

type Value = string | number | boolean | null | Value[]

/** Marks where a MARK was on the stack. */
const MARK = Symbol('mark')

type Slot = Value | typeof MARK

const STACK_MAX = 1_000_000

class PickleError extends Error {}

/** The pickled object, or why it cannot be read. */
export function readPickle(bytes: Uint8Array): Result<Value> {
  try {
    return ok(new Unpickler(bytes).load())
  } catch (error) {
    if (error instanceof PickleError || error instanceof RangeError) {
      return err(`cannot read pickle: ${error.message}`)
    }
    throw error
  }
}

/** Appends a line for each point; the others are counted in the answer. */
export function appendPickledPoints(dst: ByteWriter, value: Value): number {
  if (!Array.isArray(value)) return 1
  let refused = 0
  for (const item of value) if (!appendPoint(dst, item)) refused++
  return refused
}

function appendPoint(dst: ByteWriter, item: Value): boolean {
  if (!Array.isArray(item) || item.length !== 2) return false
  const [name, point] = item as [Value, Value]
  if (typeof name !== 'string' || name === '' || !Array.isArray(point) || point.length !== 2) {
    return false
  }
  const timestamp = numberText(point[0]!)
  const data = numberText(point[1]!)
  if (timestamp === undefined || data === undefined) return false
  appendField(dst, name)
  dst.u8(0x20)
  appendField(dst, data)
  dst.u8(0x20)
  appendField(dst, timestamp)
  dst.u8(NEWLINE)
  return true
}

/** Numbers also come as texts. */
function numberText(value: Value): string | undefined {
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && value !== '' ? value : undefined
}

class Unpickler {
  private readonly reader: ByteReader
  private readonly stack: Slot[]
  private readonly memo: Map<number, Value>

  constructor(bytes: Uint8Array) {
    this.reader = new ByteReader(bytes)
    this.stack = []
    this.memo = new Map()
  }

  load(): Value {
    for (;;) {
      const opcode = String.fromCharCode(this.reader.u8())
      if (opcode === '.') return this.pop()
      this.run(opcode)
      if (this.stack.length > STACK_MAX) throw new PickleError('too many objects')
    }
  }

  private run(opcode: string): void {
    const { reader } = this
    switch (opcode) {
      case '\x80': // PROTO
        return void reader.u8()
      case '\x95': // FRAME
        return void reader.u64()
      case '(': // MARK
        return void this.stack.push(MARK)
      case '0': // POP
        return void this.stack.pop()
      case '1': // POP_MARK
        return void this.popToMark()
      case '2': // DUP
        return this.push(this.top())
      case 'N': // NONE
        return this.push(null)
      case '\x88': // NEWTRUE
        return this.push(true)
      case '\x89': // NEWFALSE
        return this.push(false)
      default:
        if (!this.runNumber(opcode) && !this.runText(opcode) && !this.runContainer(opcode)) {
          this.runMemo(opcode)
        }
    }
  }

  private runNumber(opcode: string): boolean {
    const { reader } = this
    switch (opcode) {
      case 'I': // INT: also 00 and 01 for booleans
      case 'L': // LONG
      case 'F': // FLOAT
        this.push(this.decimal(this.line()))
        return true
      case 'J': // BININT
        this.push(reader.u32() | 0)
        return true
      case 'K': // BININT1
        this.push(reader.u8())
        return true
      case 'M': // BININT2
        this.push(reader.u16())
        return true
      case '\x8a': // LONG1
        this.push(littleEndian(reader.raw(reader.u8())))
        return true
      case '\x8b': // LONG4
        this.push(littleEndian(reader.raw(reader.u32())))
        return true
      case 'G': // BINFLOAT
        this.push(bigEndianDouble(reader.raw(8)))
        return true
      default:
        return false
    }
  }

  private runText(opcode: string): boolean {
    const { reader } = this
    switch (opcode) {
      case 'S': // STRING
        this.push(unquote(this.line()))
        return true
      case 'V': // UNICODE
        this.push(this.line())
        return true
      case 'U': // SHORT_BINSTRING
      case 'C': // SHORT_BINBYTES
      case '\x8c': // SHORT_BINUNICODE
        this.push(this.text(reader.u8()))
        return true
      case 'T': // BINSTRING
      case 'B': // BINBYTES
      case 'X': // BINUNICODE
        this.push(this.text(reader.u32()))
        return true
      case '\x8d': // BINUNICODE8
      case '\x8e': // BINBYTES8
        this.push(this.text(reader.u64()))
        return true
      default:
        return false
    }
  }

  private runContainer(opcode: string): boolean {
    switch (opcode) {
      case ']': // EMPTY_LIST
      case ')': // EMPTY_TUPLE
        this.push([])
        return true
      case 'l': // LIST
      case 't': // TUPLE
        this.push(this.popToMark())
        return true
      case 'a': {
        // APPEND
        const item = this.pop()
        this.list().push(item)
        return true
      }
      case 'e': {
        // APPENDS
        const items = this.popToMark()
        const list = this.list()
        for (const item of items) list.push(item)
        return true
      }
      case '\x85': // TUPLE1
      case '\x86': // TUPLE2
      case '\x87': {
        // TUPLE3
        const count = opcode.charCodeAt(0) - 0x84
        const items: Value[] = []
        for (let i = 0; i < count; i++) items.unshift(this.pop())
        this.push(items)
        return true
      }
      default:
        return false
    }
  }

  private runMemo(opcode: string): void {
    const { reader } = this
    switch (opcode) {
      case 'p': // PUT
        return void this.memo.set(this.decimal(this.line()), this.top())
      case 'q': // BINPUT
        return void this.memo.set(reader.u8(), this.top())
      case 'r': // LONG_BINPUT
        return void this.memo.set(reader.u32(), this.top())
      case '\x94': // MEMOIZE
        return void this.memo.set(this.memo.size, this.top())
      case 'g': // GET
        return this.recall(this.decimal(this.line()))
      case 'h': // BINGET
        return this.recall(reader.u8())
      case 'j': // LONG_BINGET
        return this.recall(reader.u32())
      default:
        throw new PickleError(`opcode ${JSON.stringify(opcode)} is not allowed`)
    }
  }

  private recall(key: number): void {
    const value = this.memo.get(key)
    if (value === undefined) throw new PickleError(`nothing under memo ${key}`)
    this.push(value)
  }

  private push(value: Value): void {
    this.stack.push(value)
  }

  private pop(): Value {
    const value = this.stack.pop()
    if (value === undefined || value === MARK) throw new PickleError('the stack is empty')
    return value
  }

  private top(): Value {
    const value = this.stack.at(-1)
    if (value === undefined || value === MARK) throw new PickleError('the stack is empty')
    return value
  }

  private list(): Value[] {
    const value = this.top()
    if (!Array.isArray(value)) throw new PickleError('append to what is no list')
    return value
  }

  private popToMark(): Value[] {
    const at = this.stack.lastIndexOf(MARK)
    if (at < 0) throw new PickleError('no mark')
    const items = this.stack.splice(at)
    items.shift()
    return items as Value[]
  }

  /** Up to the newline, which is taken too. */
  private line(): string {
    const { reader } = this
    const end = reader.bytes.indexOf(NEWLINE, reader.offset)
    if (end < 0) throw new PickleError('a line has no end')
    const text = latin1(reader.bytes, reader.offset, end)
    reader.offset = end + 1
    return text
  }

  /** Bytes one by one: what is beyond ASCII is cleaned out of names anyway. */
  private text(length: number): string {
    const bytes = this.reader.raw(length)
    return latin1(bytes, 0, bytes.length)
  }

  private decimal(text: string): number {
    const infinite = /^([+-]?)inf$/i.exec(text)
    if (infinite) return infinite[1] === '-' ? -Infinity : Infinity
    if (/^nan$/i.test(text)) return NaN
    const value = Number(text.replace(/L$/, ''))
    if (text === '' || Number.isNaN(value)) {
      throw new PickleError(`${JSON.stringify(text)} is no number`)
    }
    return value
  }
}

function unquote(text: string): string {
  const quote = text[0]
  if ((quote !== "'" && quote !== '"') || text.length < 2 || text.at(-1) !== quote) {
    throw new PickleError('a string without quotes')
  }
  return text.slice(1, -1).replaceAll(/\\(.)/g, '$1')
}

/** Two's complement of any length. */
function littleEndian(bytes: Uint8Array): number {
  let value = 0
  for (let i = bytes.length - 1; i >= 0; i--) value = value * 256 + bytes[i]!
  const negative = bytes.length > 0 && bytes[bytes.length - 1]! >= 0x80
  return negative ? value - 256 ** bytes.length : value
}

function bigEndianDouble(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0)
}
