/**
 * The last bytes that a plain TCP destination's kernel has confirmed. TCP says nothing about what the peer itself has
 * read, so after a connection that did not end cleanly all of it is written again: points may arrive twice, which
 * Graphite does not mind, but none is missing. Small writes are gathered, so that a slow trickle costs no
 * more memory than its bytes; full blocks that fall out are kept for use again.
 */

const SPARE_BLOCKS_MAX = 16
const GATHER_BYTES = 64 * 1024

/** Batches that were sent, one after another. */
export interface SentLines {
  readonly firstSequence: number
  readonly sequence: number
  /** Points. */
  readonly count: number
  readonly bytes: Uint8Array
}

export class ResendWindow {
  private readonly bytesMax: () => number
  private readonly spare: Uint8Array[]
  private blocks: SentLines[]
  /** Small writes since the last large one; goes to `blocks` when it is full. */
  private gathered: Uint8Array
  private gatheredBytes: number
  private gatheredCount: number
  private gatheredFirst: number
  private gatheredLast: number
  bytes: number

  /** `bytesMax`: as it is now; 0: nothing is kept. */
  constructor(bytesMax: () => number) {
    this.bytesMax = bytesMax
    this.spare = []
    this.blocks = []
    this.gathered = new Uint8Array(0)
    this.gatheredBytes = 0
    this.gatheredCount = 0
    this.gatheredFirst = 0
    this.gatheredLast = 0
    this.bytes = 0
  }

  /** Remembers what was sent; its bytes belong to the window from now on. */
  push({ sequence, count, bytes }: Omit<SentLines, 'firstSequence'>): void {
    const bytesMax = this.bytesMax()
    if (bytes.length > bytesMax) return this.clear()
    this.bytes += bytes.length
    if (bytes.length < GATHER_BYTES / 8) this.gather(sequence, count, bytes)
    else {
      this.endGathering()
      this.blocks.push({ firstSequence: sequence, sequence, count, bytes })
    }
    this.dropOldest(bytesMax)
  }

  /** Everything remembered, oldest first; valid until the next call. */
  contents(): readonly SentLines[] {
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

  private gather(sequence: number, count: number, bytes: Uint8Array): void {
    if (this.gatheredBytes + bytes.length > this.gathered.length) {
      this.endGathering()
      this.gathered = new Uint8Array(GATHER_BYTES)
    }
    if (this.gatheredBytes === 0) {
      this.gatheredFirst = sequence
      this.gatheredCount = 0
    }
    this.gathered.set(bytes, this.gatheredBytes)
    this.gatheredBytes += bytes.length
    this.gatheredCount += count
    this.gatheredLast = sequence
  }

  private endGathering(): void {
    if (this.gatheredBytes === 0) return
    this.blocks.push({
      firstSequence: this.gatheredFirst,
      sequence: this.gatheredLast,
      count: this.gatheredCount,
      bytes: this.gathered.slice(0, this.gatheredBytes),
    })
    this.gatheredBytes = 0
  }

  private dropOldest(bytesMax: number): void {
    let gone = 0
    while (this.bytes > bytesMax && gone < this.blocks.length) {
      const { bytes } = this.blocks[gone++]!
      this.bytes -= bytes.length
      if (this.spare.length < SPARE_BLOCKS_MAX) this.spare.push(new Uint8Array(bytes.buffer))
    }
    if (gone > 0) this.blocks.splice(0, gone)
  }
}
