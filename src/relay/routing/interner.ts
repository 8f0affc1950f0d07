/**
 * The names that pass through, each once: name bytes → a small number, under which the dispatcher keeps the
 * name's route. A line is looked up by its bytes; no string is ever made.
 *
 * ```
 * table   (hash, id + 1)…, open addressing, linear probing
 * ids     starts, lengths, successors, used, forms       columns by id
 * arena   the names' bytes, and what rules made of them (name-forms.ts), in slots of 16-byte multiples
 * ```
 *
 * Senders repeat their names in the same order, so each id remembers which came after it last time: a guess
 * that is verified by comparing bytes costs no hash.
 *
 * Limits: `namesMax` names and `bytesMax` of arena. When either is reached the clock hand frees names that
 * have not been used since it last passed (Corbató, "A paging experiment", 1968); a name for which nothing
 * can be freed within a few steps is not interned (`NOT_INTERNED`), its line is routed by itself.
 */

import { assert } from '../../lib/assert.ts'
import { copyBytes, sameBytes, viewOf } from '../delivery/copy-bytes.ts'

export const NOT_INTERNED = -1

const SLOT_BYTES = 16
const SLOT_CLASSES = 4096 / SLOT_BYTES + 1
const HAND_STEPS_MAX = 64
const FIRST_IDS = 512
const SEED = 0x27d4eb2f
const PRIME_A = 0x9e3779b1
const PRIME_B = 0x85ebca77
const PRIME_C = 0xc2b2ae3d
const NO_FORMS = 0

export interface InternerLimits {
  readonly namesMax: number
  readonly bytesMax: number
}

export class Interner {
  readonly limits: InternerLimits
  /** What the owner keeps with an id has to go: the id will be given to another name. */
  private readonly onEvict: (id: number) => void
  private table: Uint32Array
  private mask: number
  /** The names' bytes: `lengths[id]` from `starts[id]` on. */
  arena: DataView
  private arenaEnd: number
  starts: Uint32Array
  lengths: Uint16Array
  /** By id: where its record of forms is, NO_FORMS; empty while no name has any. */
  private forms: Uint32Array
  private formsLengths: Uint16Array
  /** By id: the id that came after it last time. */
  successors: Int32Array
  /** By id: 1 when looked up since the hand passed. */
  used: Uint8Array
  private idEnd: number
  private readonly freeIds: number[]
  private readonly freeSlots: number[][]
  private hand: number
  count: number
  evicted: number

  constructor(limits: InternerLimits, onEvict: (id: number) => void) {
    this.limits = limits
    this.onEvict = onEvict
    this.table = new Uint32Array(4 * FIRST_IDS)
    this.mask = 2 * FIRST_IDS - 1
    this.arena = viewOf(new Uint8Array(64 * 1024))
    // Nothing begins at 0, which stands for no forms.
    this.arenaEnd = SLOT_BYTES
    this.starts = new Uint32Array(FIRST_IDS)
    this.lengths = new Uint16Array(FIRST_IDS)
    this.forms = new Uint32Array(0)
    this.formsLengths = new Uint16Array(0)
    this.successors = new Int32Array(FIRST_IDS)
    this.used = new Uint8Array(FIRST_IDS)
    this.idEnd = 0
    this.freeIds = []
    this.freeSlots = Array.from({ length: SLOT_CLASSES }, () => [])
    this.hand = 0
    this.count = 0
    this.evicted = 0
  }

  /** The id of the name `line[start, end)`, or NOT_INTERNED. */
  find(line: DataView, start: number, end: number, hash: number): number {
    const { table, mask, lengths, starts, arena } = this
    const length = end - start
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = table[2 * at + 1]!
      if (entry === 0) return NOT_INTERNED
      if (table[2 * at] !== hash) continue
      const id = entry - 1
      if (lengths[id] === length && sameBytes(arena, starts[id]!, line, start, length)) {
        this.used[id] = 1
        return id
      }
    }
  }

  /** The id of a name that `find` did not find, made now; NOT_INTERNED when there is no room. */
  add(line: DataView, start: number, end: number, hash: number): number {
    // First, so that the place of the name that goes can be taken.
    if (this.count >= this.limits.namesMax && !this.evictOne()) return NOT_INTERNED
    const slot = this.takeSlot(end - start)
    if (slot === NOT_INTERNED) return NOT_INTERNED
    const id = taken(this.freeIds) ?? this.newId()
    copyBytes(this.arena, slot, line, start, end)
    this.starts[id] = slot
    this.lengths[id] = end - start
    this.successors[id] = id
    this.used[id] = 1
    this.count++
    if (this.count * 4 > this.table.length) this.growTable()
    this.insert(hash, id + 1)
    return id
  }

  /** Keeps `record[0, length)` beside the name, in place of what was kept before; false when there is no room. */
  keepForms(id: number, record: DataView, length: number): boolean {
    if (id >= this.forms.length) {
      this.forms = grownColumn(this.forms, new Uint32Array(this.starts.length))
      this.formsLengths = grownColumn(this.formsLengths, new Uint16Array(this.starts.length))
    }
    this.dropForms(id)
    const slot = this.takeSlot(length, id)
    if (slot === NOT_INTERNED) return false
    copyBytes(this.arena, slot, record, 0, length)
    this.forms[id] = slot
    this.formsLengths[id] = length
    return true
  }

  /** Where in the arena the record that `keepForms` was given is. */
  formsStart(id: number): number {
    return this.forms[id]!
  }

  name(id: number): Uint8Array {
    const { buffer } = this.arena
    return new Uint8Array(buffer, this.starts[id]!, this.lengths[id]!)
  }

  private newId(): number {
    const id = this.idEnd++
    if (id === this.starts.length) {
      this.starts = grownColumn(this.starts, new Uint32Array(id * 2))
      this.lengths = grownColumn(this.lengths, new Uint16Array(id * 2))
      this.successors = grownColumn(this.successors, new Int32Array(id * 2))
      this.used = grownColumn(this.used, new Uint8Array(id * 2))
    }
    return id
  }

  private slotsOf(length: number): number[] {
    const slots = this.freeSlots[Math.ceil(length / SLOT_BYTES)]
    assert(slots, 'a name is too long to be interned')
    return slots
  }

  /** `keep`: of the name that must not be evicted for it. */
  private takeSlot(length: number, keep = NOT_INTERNED): number {
    const free = this.slotsOf(length)
    const size = Math.ceil(length / SLOT_BYTES) * SLOT_BYTES
    for (let steps = 0; steps < HAND_STEPS_MAX; steps++) {
      const slot = taken(free)
      if (slot !== undefined) return slot
      if (this.arenaEnd + size <= this.limits.bytesMax) return this.newSlot(size)
      if (!this.evictOne(keep)) return NOT_INTERNED
    }
    return NOT_INTERNED
  }

  private newSlot(size: number): number {
    const slot = this.arenaEnd
    this.arenaEnd += size
    if (this.arenaEnd > this.arena.byteLength) {
      const grown = new Uint8Array(Math.max(this.arenaEnd, this.arena.byteLength * 2))
      grown.set(new Uint8Array(this.arena.buffer))
      this.arena = viewOf(grown)
    }
    return slot
  }

  /** Moves the hand to a name that has not been used lately and frees it; false when it meets none. */
  private evictOne(keep = NOT_INTERNED): boolean {
    const { used, lengths } = this
    for (let steps = 0; steps < HAND_STEPS_MAX; steps++) {
      const id = this.hand
      this.hand = this.hand + 1 >= this.idEnd ? 0 : this.hand + 1
      if (lengths[id] === 0 || id === keep) continue
      if (used[id] === 1) used[id] = 0
      else {
        this.free(id)
        return true
      }
    }
    return false
  }

  private free(id: number): void {
    this.remove(id)
    this.slotsOf(this.lengths[id]!).push(this.starts[id]!)
    this.dropForms(id)
    this.lengths[id] = 0
    this.freeIds.push(id)
    this.count--
    this.evicted++
    this.onEvict(id)
  }

  private dropForms(id: number): void {
    const slot = this.forms[id] ?? NO_FORMS
    if (slot === NO_FORMS) return
    this.slotsOf(this.formsLengths[id]!).push(slot)
    this.forms[id] = NO_FORMS
  }

  private insert(hash: number, entry: number): void {
    const { table, mask } = this
    let at = hash & mask
    while (table[2 * at + 1] !== 0) at = (at + 1) & mask
    table[2 * at] = hash
    table[2 * at + 1] = entry
  }

  /** Takes the id out and moves back what had to step over it (Knuth, vol. 3, 6.4, algorithm R). */
  private remove(id: number): void {
    const { table, mask } = this
    const start = this.starts[id]!
    let hole = hashName(this.arena, start, start + this.lengths[id]!) & mask
    while (table[2 * hole + 1] !== id + 1) hole = (hole + 1) & mask
    for (let at = (hole + 1) & mask; table[2 * at + 1] !== 0; at = (at + 1) & mask) {
      const home = table[2 * at]! & mask
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        table[2 * hole] = table[2 * at]!
        table[2 * hole + 1] = table[2 * at + 1]!
        hole = at
      }
    }
    table[2 * hole + 1] = 0
  }

  private growTable(): void {
    const { table } = this
    this.table = new Uint32Array(table.length * 2)
    this.mask = this.table.length / 2 - 1
    for (let i = 0; i < table.length; i += 2) {
      const entry = table[i + 1]!
      if (entry !== 0) this.insert(table[i]!, entry)
    }
  }
}

/**
 * Eight bytes at a time, in two lanes that do not wait for each other; what is left over is read with some of the
 * bytes before it. Multiplications carry upwards only, so each lane is turned before the next.
 */
export function hashName(bytes: DataView, start: number, end: number): number {
  let a = end - start
  let b = SEED
  if (a >= 8) {
    for (let at = start; at <= end - 8; at += 8) {
      a = Math.imul(((a << 15) | (a >>> 17)) ^ bytes.getInt32(at, true), PRIME_A)
      b = Math.imul(((b << 13) | (b >>> 19)) ^ bytes.getInt32(at + 4, true), PRIME_B)
    }
    a = Math.imul(((a << 15) | (a >>> 17)) ^ bytes.getInt32(end - 8, true), PRIME_A)
    b = Math.imul(((b << 13) | (b >>> 19)) ^ bytes.getInt32(end - 4, true), PRIME_B)
  } else {
    for (let at = start; at < end; at++) a = Math.imul(a ^ bytes.getUint8(at), PRIME_A)
  }
  let hash = a ^ ((b << 7) | (b >>> 25))
  hash = Math.imul(hash ^ (hash >>> 15), PRIME_C)
  return (hash ^ (hash >>> 13)) >>> 0
}

/** Not `pop()` alone: of an empty list it costs a call into the engine, and mostly it is empty. */
function taken(free: number[]): number | undefined {
  return free.length > 0 ? free.pop() : undefined
}

function grownColumn<T extends Uint32Array | Uint16Array | Int32Array | Uint8Array>(
  from: T,
  to: T,
): T {
  to.set(from)
  return to
}
