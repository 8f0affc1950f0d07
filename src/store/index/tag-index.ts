/**
 * Tags: which series carry which value, for graphite-web's questions (tags/localdatabase.py).
 *
 * ```
 * keys: tag → key number;  valuesOf: key number → its pairs
 * pairs: "tag=value" → pair number;  carriers: pair number → series ids, sorted
 * ```
 *
 * Regular expressions are tried on the values of one tag, never on series. `name` is a tag of every series;
 * for series without tags it is not stored, it is their whole name. Whatever may take long is sliced.
 */

import { assert } from '../../lib/assert.ts'
import { toUtf8 } from '../../lib/bytes.ts'
import { parseTaggedPath } from '../../metric/path.ts'
import { ABSENT, ByteTable } from './byte-table.ts'
import { Postings } from './postings.ts'
import type { SlicedWork } from '../../lib/slices.ts'
import type { TagExpression } from './tag-expression.ts'
import { TagPairs } from './tag-pairs.ts'

export const NAME_TAG = 'name'
const EQUALS = 0x3d

/** Values or names that a slice looks at. */
const SLICE = 4_096

export interface TagValue {
  readonly value: string
  /** Series that carry it. */
  readonly count: number
}

export class TagIndex {
  private readonly names: ByteTable
  private readonly keys: ByteTable
  private readonly pairs: ByteTable
  private readonly pairsFree: number[]
  private readonly valuesOf: Postings
  private readonly carriers: Postings
  /** Of the path that is added or removed. */
  private readonly open: TagPairs

  constructor(names: ByteTable, seed = 0) {
    this.names = names
    this.keys = new ByteTable(seed)
    this.pairs = new ByteTable(seed)
    this.pairsFree = []
    this.valuesOf = new Postings()
    this.carriers = new Postings()
    this.open = new TagPairs()
  }

  get memoryBytes(): number {
    return (
      this.keys.memoryBytes +
      this.pairs.memoryBytes +
      this.valuesOf.memoryBytes +
      this.carriers.memoryBytes
    )
  }

  /** The canonical path `bytes[start, end)`, which has tags, is that of series `id`. */
  add(id: number, bytes: Uint8Array, start: number, end: number): void {
    const { open } = this
    open.open(bytes, start, end)
    while (open.next()) this.carriers.add(this.pairOrNew(open), id)
  }

  remove(id: number, path: Uint8Array): void {
    const { open } = this
    open.open(path, 0, path.length)
    while (open.next()) {
      const pair = this.pairs.find(open.bytes, open.from, open.to)
      assert(pair !== ABSENT, `series ${id} has tags that nobody added`)
      this.carriers.remove(pair, id)
      if (this.carriers.count(pair) > 0) continue
      this.valuesOf.remove(this.keys.find(open.bytes, open.from, keyEnd(open)), pair)
      this.pairs.remove(pair)
      this.pairsFree.push(pair)
    }
  }

  /** Series for which all expressions hold; at least one of them must not hold for the empty text. */
  *find(expressions: readonly TagExpression[]): SlicedWork<Uint32Array> {
    let found: Uint32Array | undefined
    const needed = expressions.filter(({ holdsForNone }) => !holdsForNone)
    // Plain `=` first: the smallest sets, and nothing to try.
    for (const expression of needed.sort((a, b) => Number(!a.value) - Number(!b.value))) {
      found = yield* this.narrow(found, expression)
      if (found.length === 0) break
    }
    for (const expression of expressions) {
      if (expression.holdsForNone && found && found.length > 0) {
        found = yield* this.exclude(found, expression)
      }
    }
    const untagged = yield* this.findUntagged(expressions)
    return untagged.length === 0 ? (found ?? untagged) : union(found, untagged)
  }

  /** Tags that exist and pass, sorted. */
  tags(passes: (tag: string) => boolean, limit: number): string[] {
    const tags = this.names.size > 0 && passes(NAME_TAG) ? [NAME_TAG] : []
    for (let key = 0; key < this.keys.idLimit; key++) {
      const tag = this.keys.text(key)
      if (tag !== NAME_TAG && this.valuesOf.count(key) > 0 && passes(tag)) tags.push(tag)
    }
    return tags.sort().slice(0, limit)
  }

  /** Values of one tag that pass, sorted. */
  *values(tag: string, passes: (value: string) => boolean, limit: number): SlicedWork<TagValue[]> {
    const first = new FirstValues(limit)
    const pairs = this.pairsOf(tag).slice()
    for (let i = 0; i < pairs.length; i++) {
      if (i % SLICE === SLICE - 1) yield
      if (!this.pairs.has(pairs[i]!)) continue
      const value = this.value(pairs[i]!, tag)
      if (passes(value)) first.add({ value, count: this.carriers.count(pairs[i]!) })
    }
    if (tag === NAME_TAG) {
      yield* this.eachUntagged((_, value) => {
        if (passes(value)) first.add({ value, count: 1 })
      })
    }
    return first.sorted()
  }

  /** Tags that the series carry and that pass, sorted. */
  *tagsAmong(
    series: Uint32Array,
    passes: (tag: string) => boolean,
    limit: number,
  ): SlicedWork<string[]> {
    const tags = new Set<string>()
    for (let i = 0; i < series.length; i++) {
      for (const [tag] of tagsOf(this.names.text(series[i]!))) if (passes(tag)) tags.add(tag)
      if (i % SLICE === SLICE - 1) yield
    }
    return [...tags].sort().slice(0, limit)
  }

  /** Values that one tag has among the series and that pass, sorted. */
  *valuesAmong(
    series: Uint32Array,
    tag: string,
    passes: (value: string) => boolean,
    limit: number,
  ): SlicedWork<string[]> {
    const values = new Set<string>()
    for (let i = 0; i < series.length; i++) {
      const value = valueOf(this.names.text(series[i]!), tag)
      if (value !== '' && passes(value)) values.add(value)
      if (i % SLICE === SLICE - 1) yield
    }
    return [...values].sort().slice(0, limit)
  }

  /** Members of `found` (everything, when undefined) for which the expression holds. */
  private *narrow(
    found: Uint32Array | undefined,
    expression: TagExpression,
  ): SlicedWork<Uint32Array> {
    const { tag, value, holds } = expression
    if (value !== undefined) {
      const pair = this.pair(tag, value)
      const carriers = pair === ABSENT ? new Uint32Array(0) : this.carriers.members(pair)
      return found ? intersect(found, carriers) : carriers.slice()
    }
    if (found && found.length < this.pairsOf(tag).length)
      return this.filterByName(found, expression)
    const carriers = yield* this.carriersOf(tag, holds)
    return found ? intersect(found, carriers) : carriers
  }

  /** `found` without the series that carry a value for which the expression does not hold. */
  private *exclude(found: Uint32Array, expression: TagExpression): SlicedWork<Uint32Array> {
    const { tag, holds } = expression
    if (found.length < this.pairsOf(tag).length) return this.filterByName(found, expression)
    return subtract(found, yield* this.carriersOf(tag, (value) => !holds(value)))
  }

  private filterByName(found: Uint32Array, { tag, holds }: TagExpression): Uint32Array {
    return found.filter((id) => holds(valueOf(this.names.text(id), tag)))
  }

  /** Series that carry a value of the tag that passes, sorted: a series has one value of a tag. */
  private *carriersOf(tag: string, passes: (value: string) => boolean): SlicedWork<Uint32Array> {
    const sets: Uint32Array[] = []
    let total = 0
    const pairs = this.pairsOf(tag).slice()
    for (let i = 0; i < pairs.length; i++) {
      const pair = pairs[i]!
      if (this.pairs.has(pair) && passes(this.value(pair, tag))) {
        const set = this.carriers.members(pair).slice()
        sets.push(set)
        total += set.length
      }
      if (i % SLICE === SLICE - 1) yield
    }
    const all = new Uint32Array(total)
    let at = 0
    for (const set of sets) {
      all.set(set, at)
      at += set.length
    }
    return all.sort()
  }

  /** Series without tags: `name` is their only one, so every other expression must hold for none. */
  private *findUntagged(expressions: readonly TagExpression[]): SlicedWork<Uint32Array> {
    const none = new Uint32Array(0)
    if (expressions.some(({ tag, holdsForNone }) => tag !== NAME_TAG && !holdsForNone)) return none
    const onName = expressions.filter(({ tag }) => tag === NAME_TAG)
    const holds = (name: string): boolean => onName.every((expression) => expression.holds(name))
    const exact = onName.find(({ value }) => value !== undefined)?.value
    if (exact === undefined) return yield* this.untaggedIds(holds)
    const id = this.names.find(toUtf8(exact))
    return id !== ABSENT && holds(exact) ? Uint32Array.of(id) : none
  }

  private *untaggedIds(passes: (name: string) => boolean): SlicedWork<Uint32Array> {
    const ids: number[] = []
    yield* this.eachUntagged((id, name) => {
      if (passes(name)) ids.push(id)
    })
    return Uint32Array.from(ids)
  }

  private *eachUntagged(look: (id: number, name: string) => void): SlicedWork<void> {
    for (let id = 0; id < this.names.idLimit; id++) {
      if (id % SLICE === SLICE - 1) yield
      if (!this.names.has(id)) continue
      const name = this.names.text(id)
      if (!name.includes(';')) look(id, name)
    }
  }

  private pair(tag: string, value: string): number {
    return this.pairs.find(toUtf8(`${tag}=${value}`))
  }

  private pairOrNew(open: TagPairs): number {
    const { bytes, from, to } = open
    const known = this.pairs.find(bytes, from, to)
    if (known !== ABSENT) return known
    const pair = this.pairsFree.pop() ?? this.pairs.idLimit
    this.pairs.set(pair, bytes, from, to)
    const end = keyEnd(open)
    let key = this.keys.find(bytes, from, end)
    if (key === ABSENT) {
      key = this.keys.idLimit
      this.keys.set(key, bytes, from, end)
    }
    this.valuesOf.add(key, pair)
    return pair
  }

  private pairsOf(tag: string): Uint32Array {
    const key = this.keys.find(toUtf8(tag))
    return key === ABSENT ? new Uint32Array(0) : this.valuesOf.members(key)
  }

  private value(pair: number, tag: string): string {
    return this.pairs.text(pair).slice(tag.length + 1)
  }
}

function keyEnd({ bytes, from }: TagPairs): number {
  return bytes.indexOf(EQUALS, from)
}

/** The first so many of the values that are added, in their order: never many more are kept. */
class FirstValues {
  private readonly limit: number
  private values: TagValue[]

  constructor(limit: number) {
    this.limit = limit
    this.values = []
  }

  add(value: TagValue): void {
    this.values.push(value)
    if (this.values.length >= 2 * this.limit + SLICE) this.values = this.sorted()
  }

  sorted(): TagValue[] {
    return this.values.sort((a, b) => (a.value < b.value ? -1 : 1)).slice(0, this.limit)
  }
}

/** The tags of a canonical path, `name` first. */
function tagsOf(path: string): (readonly [tag: string, value: string])[] {
  const parsed = parseTaggedPath(path)
  assert(parsed.ok, `series ${path} has no good name`)
  return [[NAME_TAG, parsed.value.name], ...parsed.value.tags.filter(([tag]) => tag !== NAME_TAG)]
}

/** '' when the path does not have the tag. */
function valueOf(path: string, tag: string): string {
  return tagsOf(path).find(([key]) => key === tag)?.[1] ?? ''
}

function intersect(a: Uint32Array, b: Uint32Array): Uint32Array {
  const both = new Uint32Array(Math.min(a.length, b.length))
  let count = 0
  for (let i = 0, j = 0; i < a.length && j < b.length;) {
    if (a[i] === b[j]) {
      both[count++] = a[i]!
      i++
      j++
    } else if (a[i]! < b[j]!) i++
    else j++
  }
  return both.subarray(0, count)
}

function subtract(a: Uint32Array, b: Uint32Array): Uint32Array {
  const rest = new Uint32Array(a.length)
  let count = 0
  for (let i = 0, j = 0; i < a.length; i++) {
    while (j < b.length && b[j]! < a[i]!) j++
    if (b[j] !== a[i]) rest[count++] = a[i]!
  }
  return rest.subarray(0, count)
}

function union(a: Uint32Array | undefined, b: Uint32Array): Uint32Array {
  if (!a || a.length === 0) return b
  const all = new Uint32Array(a.length + b.length)
  all.set(a)
  all.set(b, a.length)
  return all.sort()
}
