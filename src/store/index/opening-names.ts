/**
 * The names of series while a store opens, by id: the logs give a series its name, others later, and take it
 * away, and only what is left in the end is told to the index. Bytes as they are in the log, in chunks; no
 * strings, no object a name.
 */

import { assert } from '../../lib/assert.ts'
import { grownUint32 } from './byte-table.ts'

const CHUNK_BITS = 20
const CHUNK_BYTES = 1 << CHUNK_BITS
const CHUNK_MASK = CHUNK_BYTES - 1
const CHUNKS_MAX = 1 << (32 - CHUNK_BITS)

export class OpeningNames {
  /** One more than the highest id that has or had a name. */
  length = 0
  private chunks: Uint8Array[] = []
  private used = CHUNK_BYTES
  /** By id: chunk and place in it. */
  private starts: Uint32Array = new Uint32Array(1024)
  /** By id; 0 for one without a name. */
  private sizes: Uint32Array = new Uint32Array(1024)

  /** The name is `bytes[from, to)` from now on. */
  put(id: number, bytes: Uint8Array, from: number, to: number): void {
    if (id >= this.starts.length) this.grow(id + 1)
    if (id >= this.length) this.length = id + 1
    const size = to - from
    if (this.used + size > CHUNK_BYTES) this.addChunk()
    const chunk = this.chunks.at(-1)!
    for (let i = 0; i < size; i++) chunk[this.used + i] = bytes[from + i]!
    this.starts[id] = (this.chunks.length - 1) * CHUNK_BYTES + this.used
    this.sizes[id] = size
    this.used += size
  }

  has(id: number): boolean {
    return id < this.length && this.sizes[id] !== 0
  }

  remove(id: number): void {
    if (id < this.length) this.sizes[id] = 0
  }

  /** Calls `tell(id, bytes, start, end)` with where the name lies, which makes no object. */
  tell(
    id: number,
    tell: (id: number, bytes: Uint8Array, start: number, end: number) => void,
  ): void {
    const place = this.starts[id]!
    const start = place & CHUNK_MASK
    tell(id, this.chunks[place >>> CHUNK_BITS]!, start, start + this.sizes[id]!)
  }

  private addChunk(): void {
    assert(this.chunks.length < CHUNKS_MAX, 'names of series have at most 4 GiB')
    this.chunks.push(new Uint8Array(CHUNK_BYTES))
    this.used = 0
  }

  private grow(needed: number): void {
    const capacity = Math.max(needed, this.starts.length * 2)
    this.starts = grownUint32(this.starts, capacity)
    this.sizes = grownUint32(this.sizes, capacity)
  }
}
