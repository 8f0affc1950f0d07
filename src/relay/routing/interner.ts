/**
 * The names that pass through, each once: name bytes → a small number, under which the dispatcher keeps the
 * name's route. A line is looked up by its bytes; no string is ever made.
 *
 * ```
 * table   Uint32Array, open addressing, linear probing   hash → id + 1
 * ids     starts, lengths, hashes, successors, used      columns by id
 * arena   Uint8Array                                     the names' bytes, in slots of 16-byte multiples
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
import { viewOf } from '../delivery/copy-bytes.ts'

export const NOT_INTERNED = -1

const SLOT_BYTES = 16
const SLOT_CLASSES = 4096 / SLOT_BYTES + 1
const HAND_STEPS_MAX = 64
const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

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
  private arena: Uint8Array
  /** The names' bytes: `lengths[id]` from `starts[id]` on. */
  arenaView: DataView
  private arenaEnd: number
  starts: Uint32Array
  lengths: Uint16Array
  private hashes: Uint32Array
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
    this.table = new Uint32Array(1024)
    this.mask = 1023
    this.arena = new Uint8Array(64 * 1024)
    this.arenaView = viewOf(this.arena)
    this.arenaEnd = 0
    this.starts = new Uint32Array(512)
    this.lengths = new Uint16Array(512)
    this.hashes = new Uint32Array(512)
    this.successors = new Int32Array(512)
    this.used = new Uint8Array(512)
    this.idEnd = 0
    this.freeIds = []
    this.freeSlots = Array.from({ length: SLOT_CLASSES }, () => [])
    this.hand = 0
    this.count = 0
    this.evicted = 0
  }

  /** The id of the name, or NOT_INTERNED. */
  find(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const { table, mask, hashes, lengths } = this
    const length = end - start
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const entry = table[at]!
      if (entry === 0) return NOT_INTERNED
      const id = entry - 1
      if (hashes[id] === hash && lengths[id] === length && this.matches(id, bytes, start)) {
        this.used[id] = 1
        return id
      }
    }
  }

  /** The id of a name that `find` did not find, made now; NOT_INTERNED when there is no room. */
  add(bytes: Uint8Array, start: number, end: number, hash: number): number {
    const length = end - start
    // First, so that the place of the name that goes can be taken.
    if (this.count >= this.limits.namesMax && !this.evictOne()) return NOT_INTERNED
    const slot = this.takeSlot(length)
    if (slot === NOT_INTERNED) return NOT_INTERNED
    const id = this.freeIds.pop() ?? this.newId()
    const { arena } = this
    for (let i = 0; i < length; i++) arena[slot + i] = bytes[start + i]!
    this.starts[id] = slot
    this.lengths[id] = length
    this.hashes[id] = hash
    this.successors[id] = id
    this.used[id] = 1
    this.count++
    if (this.count * 2 > this.table.length) this.growTable()
    else this.insert(id, hash)
    return id
  }

  name(id: number): Uint8Array {
    const start = this.starts[id]!
    return this.arena.subarray(start, start + this.lengths[id]!)
  }

  private matches(id: number, bytes: Uint8Array, start: number): boolean {
    const { arena } = this
    const length = this.lengths[id]!
    const from = this.starts[id]!
    for (let i = 0; i < length; i++) if (arena[from + i] !== bytes[start + i]) return false
    return true
  }

  private newId(): number {
    const id = this.idEnd++
    if (id === this.starts.length) {
      this.starts = grownColumn(this.starts, new Uint32Array(id * 2))
      this.lengths = grownColumn(this.lengths, new Uint16Array(id * 2))
      this.hashes = grownColumn(this.hashes, new Uint32Array(id * 2))
      this.successors = grownColumn(this.successors, new Int32Array(id * 2))
      this.used = grownColumn(this.used, new Uint8Array(id * 2))
    }
    return id
  }

  private slotsOf(length: number): number[] {
    const slots = this.freeSlots[Math.ceil(length / SLOT_BYTES)]
    assert(slots, `a name of ${length} bytes is too long to be interned`)
    return slots
  }

  private takeSlot(length: number): number {
    const free = this.slotsOf(length)
    const size = Math.ceil(length / SLOT_BYTES) * SLOT_BYTES
    for (let steps = 0; steps < HAND_STEPS_MAX; steps++) {
      const slot = free.pop()
      if (slot !== undefined) return slot
      if (this.arenaEnd + size <= this.limits.bytesMax) return this.newSlot(size)
      if (!this.evictOne()) return NOT_INTERNED
    }
    return NOT_INTERNED
  }

  private newSlot(size: number): number {
    const slot = this.arenaEnd
    this.arenaEnd += size
    if (this.arenaEnd > this.arena.length) {
      const capacity = Math.max(this.arenaEnd, this.arena.length * 2)
      this.arena = grownColumn(this.arena, new Uint8Array(capacity))
      this.arenaView = viewOf(this.arena)
    }
    return slot
  }

  /** Moves the hand to a name that has not been used lately and frees it; false when it meets none. */
  private evictOne(): boolean {
    const { used, lengths } = this
    for (let steps = 0; steps < HAND_STEPS_MAX; steps++) {
      const id = this.hand
      this.hand = this.hand + 1 >= this.idEnd ? 0 : this.hand + 1
      if (lengths[id] === 0) continue
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
    this.lengths[id] = 0
    this.freeIds.push(id)
    this.count--
    this.evicted++
    this.onEvict(id)
  }

  private insert(id: number, hash: number): void {
    const { table, mask } = this
    let at = hash & mask
    while (table[at] !== 0) at = (at + 1) & mask
    table[at] = id + 1
  }

  /** Takes the id out and moves back what had to step over it (Knuth, vol. 3, 6.4, algorithm R). */
  private remove(id: number): void {
    const { table, mask, hashes } = this
    let hole = hashes[id]! & mask
    while (table[hole] !== id + 1) hole = (hole + 1) & mask
    for (let at = (hole + 1) & mask; table[at] !== 0; at = (at + 1) & mask) {
      const home = hashes[table[at]! - 1]! & mask
      if (((at - home) & mask) >= ((at - hole) & mask)) {
        table[hole] = table[at]!
        hole = at
      }
    }
    table[hole] = 0
  }

  private growTable(): void {
    this.table = new Uint32Array(this.table.length * 2)
    this.mask = this.table.length - 1
    for (let id = 0; id < this.idEnd; id++) {
      if (this.lengths[id] !== 0) this.insert(id, this.hashes[id]!)
    }
  }
}

/** FNV-1a, 32 bits. */
export function hashName(bytes: Uint8Array, start: number, end: number): number {
  let hash = FNV_OFFSET
  for (let i = start; i < end; i++) hash = Math.imul(hash ^ bytes[i]!, FNV_PRIME)
  return hash >>> 0
}

function grownColumn<T extends Uint32Array | Uint16Array | Int32Array | Uint8Array>(
  from: T,
  to: T,
): T {
  to.set(from)
  return to
}
