/**
 * The last bytes written to a plain TCP destination. TCP says nothing about what its peer has read, so
 * after a connection that did not end cleanly all of it is written again: points may arrive twice, which
 * Graphite does not mind, but none is missing. Small writes are gathered, so that a slow trickle costs no
 * more memory than its bytes; full blocks that fall out are kept for use again.
 */

const SPARE_BLOCKS_MAX = 16
const GATHER_BYTES = 64 * 1024

export class ResendWindow {
  private readonly bytesMax: number
  private readonly spare: Uint8Array[]
  private blocks: Uint8Array[]
  /** Small writes since the last large one; goes to `blocks` when it is full. */
  private gathered: Uint8Array
  private gatheredBytes: number
  bytes: number

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
    this.spare = []
    this.blocks = []
    this.gathered = new Uint8Array(0)
    this.gatheredBytes = 0
    this.bytes = 0
  }

  /** Remembers what was written; the block belongs to the window from now on. */
  push(block: Uint8Array): void {
    if (block.length > this.bytesMax) return this.clear()
    this.bytes += block.length
    if (block.length < GATHER_BYTES / 8) this.gather(block)
    else {
      this.endGathering()
      this.blocks.push(block)
    }
    this.dropOldest()
  }

  /** Everything remembered, oldest first; valid until the next call. */
  contents(): readonly Uint8Array[] {
    this.endGathering()
    return this.blocks
  }

  /** A block of exactly `capacity` bytes that is no longer needed, if there is one. */
  takeSpare(capacity: number): Uint8Array | undefined {
    for (let block = this.spare.pop(); block; block = this.spare.pop()) {
      if (block.length === capacity) return block
    }
    return undefined
  }

  clear(): void {
    this.blocks = []
    this.gatheredBytes = 0
    this.bytes = 0
  }

  private gather(block: Uint8Array): void {
    if (this.gatheredBytes + block.length > this.gathered.length) {
      this.endGathering()
      this.gathered = new Uint8Array(GATHER_BYTES)
    }
    this.gathered.set(block, this.gatheredBytes)
    this.gatheredBytes += block.length
  }

  private endGathering(): void {
    if (this.gatheredBytes === 0) return
    this.blocks.push(this.gathered.slice(0, this.gatheredBytes))
    this.gatheredBytes = 0
  }

  private dropOldest(): void {
    let gone = 0
    while (this.bytes > this.bytesMax && gone < this.blocks.length) {
      const oldest = this.blocks[gone++]!
      this.bytes -= oldest.length
      if (this.spare.length < SPARE_BLOCKS_MAX) this.spare.push(new Uint8Array(oldest.buffer))
    }
    if (gone > 0) this.blocks.splice(0, gone)
  }
}
