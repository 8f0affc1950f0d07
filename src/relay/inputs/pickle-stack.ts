/**
 * What an unpickler works on: objects as columns, a stack of them, and a memo. A text is the range of the pickle's
 * bytes in which it stands, a list or tuple a chain of cells. Nothing is allocated once the columns are as large as
 * the pickles that come.
 *
 * Limits: an opcode makes at most one object, one cell and one entry of the memo, so all stays in proportion to the
 * pickle; a key of the memo is below `KEYS_MAX`. Columns grown by an uncommonly large pickle are given up after it.
 */

/** A pickle that cannot be read. */
export class PickleError extends Error {
  override readonly name = 'PickleError'
}

export const ObjectKind = {
  /** None: nothing that belongs to a point. */
  none: 0,
  number: 1,
  text: 2,
  /** With a backslash in front of some of its bytes. */
  escapedText: 3,
  list: 4,
} as const

export type Kind = (typeof ObjectKind)[keyof typeof ObjectKind]

/** No cell, no object. */
export const NOTHING = -1
const MARK = -2

/** Python counts its keys from 0, and a pickle of 1 MiB has room for half as many. */
const KEYS_MAX = 1024 * 1024
const FIRST_CAPACITY = 512
const KEPT_CAPACITY_MAX = 65_536

export class PickleStack {
  kinds: Uint8Array
  numbers: Float64Array
  /** Where a range starts; the first cell of a list. */
  firsts: Int32Array
  /** Where a range ends; the last cell of a list. */
  lasts: Int32Array
  cellObjects: Int32Array
  cellNexts: Int32Array
  private objects: number
  private cells: number
  private places: Int32Array
  private depth: number
  private memo: Int32Array
  /** The keys that are in use, to clear them. */
  private keys: Int32Array
  private entries: number

  constructor() {
    this.kinds = new Uint8Array(FIRST_CAPACITY)
    this.numbers = new Float64Array(FIRST_CAPACITY)
    this.firsts = new Int32Array(FIRST_CAPACITY)
    this.lasts = new Int32Array(FIRST_CAPACITY)
    this.cellObjects = new Int32Array(FIRST_CAPACITY)
    this.cellNexts = new Int32Array(FIRST_CAPACITY)
    this.objects = 0
    this.cells = 0
    this.places = new Int32Array(FIRST_CAPACITY)
    this.depth = 0
    this.memo = new Int32Array(FIRST_CAPACITY).fill(NOTHING)
    this.keys = new Int32Array(FIRST_CAPACITY)
    this.entries = 0
  }

  /** Empties it, for the next pickle. */
  clear(): void {
    for (let i = 0; i < this.entries; i++) this.memo[this.keys[i]!] = NOTHING
    this.objects = 0
    this.cells = 0
    this.depth = 0
    this.entries = 0
    if (this.kinds.length > KEPT_CAPACITY_MAX) this.resizeObjects(FIRST_CAPACITY)
    if (this.cellNexts.length > KEPT_CAPACITY_MAX) this.resizeCells(FIRST_CAPACITY)
    if (this.places.length > KEPT_CAPACITY_MAX) this.places = new Int32Array(FIRST_CAPACITY)
    if (this.memo.length > KEPT_CAPACITY_MAX) {
      this.memo = new Int32Array(FIRST_CAPACITY).fill(NOTHING)
      this.keys = new Int32Array(FIRST_CAPACITY)
    }
  }

  /** A new object, on top. */
  push(kind: Kind, first: number, last: number): void {
    const object = this.objects++
    if (object === this.kinds.length) this.resizeObjects(object * 2)
    this.kinds[object] = kind
    this.firsts[object] = first
    this.lasts[object] = last
    this.pushAgain(object)
  }

  pushNumber(value: number): void {
    this.push(ObjectKind.number, 0, 0)
    this.numbers[this.objects - 1] = value
  }

  /** An object that is there already. */
  pushAgain(object: number): void {
    if (this.depth === this.places.length) this.places = grown(this.places, this.depth * 2)
    this.places[this.depth++] = object
  }

  pushMark(): void {
    this.pushAgain(MARK)
  }

  pop(): number {
    const object = this.top()
    this.depth--
    return object
  }

  /** A mark is no object, but may be thrown away like one. */
  drop(): void {
    if (this.depth === 0) throw new PickleError('the stack is empty')
    this.depth--
  }

  top(): number {
    const object = this.depth === 0 ? MARK : this.places[this.depth - 1]!
    if (object === MARK) throw new PickleError('the stack is empty')
    return object
  }

  /** Replaces the topmost `count` objects by a list of them. */
  makeList(count: number): void {
    const from = this.depth - count
    if (from < 0) throw new PickleError('the stack is empty')
    this.gather(from, from)
  }

  /** Replaces what is above the topmost mark, and the mark, by a list of it. */
  makeListFromMark(): void {
    const mark = this.findMark()
    this.gather(mark + 1, mark)
  }

  dropToMark(): void {
    this.depth = this.findMark()
  }

  /** Appends the topmost object to the list below it. */
  append(): void {
    const object = this.pop()
    this.appendTo(this.listOnTop(), object)
  }

  /** Appends what is above the topmost mark to the list below the mark. */
  appendFromMark(): void {
    const mark = this.findMark()
    const end = this.depth
    this.depth = mark
    const list = this.listOnTop()
    for (let i = mark + 1; i < end; i++) this.appendTo(list, this.places[i]!)
  }

  /** Keeps the topmost object under a key. */
  remember(key: number): void {
    const object = this.top()
    if (!(key >= 0 && key < KEYS_MAX)) throw new PickleError(`memo ${key} is out of range`)
    if (key >= this.memo.length) this.growMemo(key)
    if (this.memo[key] === NOTHING) this.keys[this.entries++] = key
    this.memo[key] = object
  }

  /** Keeps it under the next key, as Python does that counts them. */
  memoize(): void {
    this.remember(this.entries)
  }

  recall(key: number): void {
    const object = this.memo[key] ?? NOTHING
    if (object === NOTHING) throw new PickleError(`nothing under memo ${key}`)
    this.pushAgain(object)
  }

  private findMark(): number {
    const { places } = this
    let at = this.depth - 1
    while (at >= 0 && places[at] !== MARK) at--
    if (at < 0) throw new PickleError('no mark')
    return at
  }

  /** Makes a list of the places from `from` on; it comes to be on top at depth `base`. */
  private gather(from: number, base: number): void {
    const end = this.depth
    const list = this.objects
    this.push(ObjectKind.list, NOTHING, NOTHING)
    for (let i = from; i < end; i++) this.appendTo(list, this.places[i]!)
    this.places[base] = list
    this.depth = base + 1
  }

  private listOnTop(): number {
    const object = this.top()
    if (this.kinds[object] !== ObjectKind.list) throw new PickleError('append to what is no list')
    return object
  }

  private appendTo(list: number, object: number): void {
    if (object === MARK) throw new PickleError('the stack is empty')
    const cell = this.cells++
    if (cell === this.cellNexts.length) this.resizeCells(cell * 2)
    this.cellObjects[cell] = object
    this.cellNexts[cell] = NOTHING
    const last = this.lasts[list]!
    if (last === NOTHING) this.firsts[list] = cell
    else this.cellNexts[last] = cell
    this.lasts[list] = cell
  }

  private resizeObjects(capacity: number): void {
    const count = Math.min(capacity, this.objects)
    const [kinds, numbers] = [new Uint8Array(capacity), new Float64Array(capacity)]
    kinds.set(this.kinds.subarray(0, count))
    numbers.set(this.numbers.subarray(0, count))
    this.kinds = kinds
    this.numbers = numbers
    this.firsts = grown(this.firsts.subarray(0, count), capacity)
    this.lasts = grown(this.lasts.subarray(0, count), capacity)
  }

  private resizeCells(capacity: number): void {
    const count = Math.min(capacity, this.cells)
    this.cellObjects = grown(this.cellObjects.subarray(0, count), capacity)
    this.cellNexts = grown(this.cellNexts.subarray(0, count), capacity)
  }

  private growMemo(key: number): void {
    const capacity = Math.max(this.memo.length * 2, key + 1)
    const memo = new Int32Array(capacity).fill(NOTHING)
    memo.set(this.memo)
    this.memo = memo
    this.keys = grown(this.keys, capacity)
  }
}

function grown(column: Int32Array, capacity: number): Int32Array {
  const larger = new Int32Array(capacity)
  larger.set(column)
  return larger
}
