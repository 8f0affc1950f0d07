/**
 * Byte strings and their numbers: a hash table with open addressing over an arena, no object per entry.
 *
 * ```
 * slots[hash & mask] = id + 1 ──▶ hashes[id], starts[id], lengths[id] ──▶ arena chunk, bytes
 * ```
 *
 * Entries never cross a chunk, so the arena grows without being copied. A removed entry's bytes are dead
 * until they outweigh the living ones; then the arena is written anew. Linear probing with backward-shift
 * removal (Knuth, TAOCP 6.4, algorithm R), at most 2/3 full. The hash is seeded, so that nobody outside
 * can choose names that collide. Cost: 10 bytes an id, 6 to 12 for its slot, and the bytes themselves.
 */

import { assert } from '../../lib/assert.ts'

const CHUNK_BITS = 18
const CHUNK_BYTES = 1 << CHUNK_BITS
const CHUNK_MASK = CHUNK_BYTES - 1
const CHUNKS_MAX = 1 << (32 - CHUNK_BITS)

/** Longest entry; the shortest has no bytes at all. */
export const ENTRY_BYTES_MAX = 0xfffe

/** Dead bytes under this are not worth the copy. */
const DEAD_BYTES_MIN = 4 * 1024 * 1024

/** Answer of `find` for what is not there. */
export const ABSENT = -1

export class ByteTable {
  /** Entries that are there. */
  size: number
  /** One more than the highest id that ever had an entry. */
  idLimit: number
  private readonly seed: number
  private chunks: Buffer[]
  private used: number
  private deadBytes: number
  private liveBytes: number
  private starts: Uint32Array
  /** Length + 1, 0 for an id without an entry. */
  private sizes: Uint16Array
  private hashes: Uint32Array
  private slots: Uint32Array

  constructor(seed = 0) {
    this.size = 0
    this.idLimit = 0
    this.seed = seed
    this.chunks = []
    this.used = CHUNK_BYTES
    this.deadBytes = 0
    this.liveBytes = 0
    this.starts = new Uint32Array(64)
    this.sizes = new Uint16Array(64)
    this.hashes = new Uint32Array(64)
    this.slots = new Uint32Array(128)
  }

  /** The id of `bytes[start, end)`, or ABSENT. */
  find(bytes: Uint8Array, start = 0, end = bytes.length): number {
    const { slots, hashes } = this
    const mask = slots.length - 1
    const hash = hashBytes(bytes, start, end, this.seed)
    for (let at = hash & mask; ; at = (at + 1) & mask) {
      const id = slots[at]! - 1
      if (id < 0) return ABSENT
      if (hashes[id] === hash && this.equals(id, bytes, start, end)) return id
    }
  }

  /** Gives `bytes[start, end)`, which is not in the table, the number `id`, which has none. */
  set(id: number, bytes: Uint8Array, start = 0, end = bytes.length): void {
    const length = end - start
    if (length < 0 || length > ENTRY_BYTES_MAX) assert(false, `entry of ${length} bytes`)
    if (this.has(id)) assert(false, `id ${id} has an entry`)
    if (id >= this.starts.length) this.growIds(id + 1)
    if ((this.size + 1) * 3 > this.slots.length * 2) this.rehash(this.slots.length * 2)
    this.starts[id] = this.store(bytes, start, end)
    this.sizes[id] = length + 1
    this.hashes[id] = hashBytes(bytes, start, end, this.seed)
    this.insertSlot(id)
    this.size++
    this.liveBytes += length
    if (id >= this.idLimit) this.idLimit = id + 1
  }

  /** Makes room for so many entries with ids below that number. */
  reserve(entries: number): void {
    if (entries > this.starts.length) this.growIds(entries)
    let capacity = this.slots.length
    while (entries * 3 > capacity * 2) capacity *= 2
    if (capacity > this.slots.length) this.rehash(capacity)
  }

  has(id: number): boolean {
    return id < this.idLimit && this.sizes[id] !== 0
  }

  remove(id: number): void {
    assert(this.has(id), `id ${id} has no entry`)
    this.removeSlot(id)
    const length = this.sizes[id]! - 1
    this.sizes[id] = 0
    this.size--
    this.liveBytes -= length
    this.deadBytes += length
    if (this.deadBytes > DEAD_BYTES_MIN && this.deadBytes > this.liveBytes) this.rewriteArena()
  }

  /** The entry's bytes: a view that is valid until the next `remove`. */
  bytes(id: number): Uint8Array {
    const start = this.starts[id]!
    const from = start & CHUNK_MASK
    return this.chunks[start >>> CHUNK_BITS]!.subarray(from, from + this.sizes[id]! - 1)
  }

  text(id: number): string {
    const start = this.starts[id]!
    const from = start & CHUNK_MASK
    return this.chunks[start >>> CHUNK_BITS]!.toString('utf8', from, from + this.sizes[id]! - 1)
  }

  /**
   * Calls `test(chunk, from, to)` with where the entry's bytes lie, which makes no object; what it
   * answers.
   */
  test(id: number, test: (bytes: Uint8Array, from: number, to: number) => boolean): boolean {
    const start = this.starts[id]!
    const from = start & CHUNK_MASK
    return test(this.chunks[start >>> CHUNK_BITS]!, from, from + this.sizes[id]! - 1)
  }

  /** Below 0, 0 or above: the order of two ids' bytes. An id without an entry counts as empty. */
  compare(a: number, b: number): number {
    const lengthA = Math.max(0, this.sizes[a]! - 1)
    const lengthB = Math.max(0, this.sizes[b]! - 1)
    const chunkA = this.chunks[this.starts[a]! >>> CHUNK_BITS]!
    const chunkB = this.chunks[this.starts[b]! >>> CHUNK_BITS]!
    const fromA = this.starts[a]! & CHUNK_MASK
    const fromB = this.starts[b]! & CHUNK_MASK
    const length = Math.min(lengthA, lengthB)
    for (let i = 0; i < length; i++) {
      const order = chunkA[fromA + i]! - chunkB[fromB + i]!
      if (order !== 0) return order
    }
    return lengthA - lengthB
  }

  /** Bytes of memory held. */
  get memoryBytes(): number {
    return this.chunks.length * CHUNK_BYTES + this.starts.length * 10 + this.slots.length * 4
  }

  private equals(id: number, bytes: Uint8Array, start: number, end: number): boolean {
    const length = end - start
    if (this.sizes[id] !== length + 1) return false
    const own = this.starts[id]!
    const chunk = this.chunks[own >>> CHUNK_BITS]!
    const from = own & CHUNK_MASK
    for (let i = 0; i < length; i++) if (chunk[from + i] !== bytes[start + i]) return false
    return true
  }

  /** Copies into the arena; where it lies now. */
  private store(bytes: Uint8Array, start: number, end: number): number {
    const length = end - start
    if (this.used + length > CHUNK_BYTES || this.chunks.length === 0) {
      assert(this.chunks.length < CHUNKS_MAX, 'a ByteTable holds at most 4 GiB')
      this.chunks.push(Buffer.alloc(CHUNK_BYTES))
      this.used = 0
    }
    const index = this.chunks.length - 1
    const chunk = this.chunks[index]!
    const at = this.used
    for (let i = 0; i < length; i++) chunk[at + i] = bytes[start + i]!
    this.used = at + length
    return index * CHUNK_BYTES + at
  }

  private insertSlot(id: number): void {
    const { slots } = this
    const mask = slots.length - 1
    let at = this.hashes[id]! & mask
    while (slots[at] !== 0) at = (at + 1) & mask
    slots[at] = id + 1
  }

  private removeSlot(id: number): void {
    const { slots, hashes } = this
    const mask = slots.length - 1
    let hole = hashes[id]! & mask
    while (slots[hole] !== id + 1) hole = (hole + 1) & mask
    for (let at = (hole + 1) & mask; slots[at] !== 0; at = (at + 1) & mask) {
      const home = hashes[slots[at]! - 1]! & mask
      // What lies at `at` may fill the hole unless its home is after the hole.
      if (((at - home) & mask) < ((at - hole) & mask)) continue
      slots[hole] = slots[at]!
      hole = at
    }
    slots[hole] = 0
  }

  private rehash(capacity: number): void {
    this.slots = new Uint32Array(capacity)
    const { sizes, idLimit } = this
    for (let id = 0; id < idLimit; id++) if (sizes[id] !== 0) this.insertSlot(id)
  }

  private growIds(needed: number): void {
    const capacity = Math.max(needed, Math.ceil(this.starts.length * 1.5))
    this.starts = grownUint32(this.starts, capacity)
    this.hashes = grownUint32(this.hashes, capacity)
    const sizes = new Uint16Array(capacity)
    sizes.set(this.sizes)
    this.sizes = sizes
  }

  private rewriteArena(): void {
    const old = this.chunks
    this.chunks = []
    this.used = CHUNK_BYTES
    this.deadBytes = 0
    for (let id = 0; id < this.idLimit; id++) {
      const size = this.sizes[id]!
      if (size === 0) continue
      const start = this.starts[id]!
      const from = start & CHUNK_MASK
      this.starts[id] = this.store(old[start >>> CHUNK_BITS]!, from, from + size - 1)
    }
  }
}

/** A copy of `column` with room for `capacity` entries. */
export function grownUint32(column: Uint32Array, capacity: number): Uint32Array {
  const grown = new Uint32Array(capacity)
  grown.set(column)
  return grown
}

/** 32-bit hash, four bytes at a time, in the manner of MurmurHash3's x86_32. */
export function hashBytes(bytes: Uint8Array, start: number, end: number, seed: number): number {
  let hash = seed ^ (end - start)
  let at = start
  for (; at + 4 <= end; at += 4) {
    const word =
      bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    hash = mixWord(hash, word)
  }
  let tail = 0
  for (let shift = 0; at < end; at++, shift += 8) tail |= bytes[at]! << shift
  return finish(mixWord(hash, tail))
}

/** Hash of two numbers. */
export function hashPair(a: number, b: number): number {
  return finish(mixWord(mixWord(0, a), b))
}

function mixWord(hash: number, word: number): number {
  let k = Math.imul(word, 0xcc9e2d51)
  k = (k << 15) | (k >>> 17)
  const mixed = hash ^ Math.imul(k, 0x1b873593)
  return Math.imul((mixed << 13) | (mixed >>> 19), 5) + 0x6b64e654
}

function finish(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
