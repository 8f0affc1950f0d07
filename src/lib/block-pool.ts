/**
 * Buffers of one size that are filled again: for large copies that live for a second, many times a second.
 * As garbage they would be collected only when there are tens of megabytes of them.
 */

export class BlockPool {
  private readonly blockBytes: number
  private readonly sparesMax: number
  private readonly spares: Uint8Array[] = []

  constructor(options: { readonly blockBytes: number; readonly sparesMax: number }) {
    this.blockBytes = options.blockBytes
    this.sparesMax = options.sparesMax
  }

  /** A block, whatever is in it. */
  take(): Uint8Array {
    return this.spares.pop() ?? new Uint8Array(this.blockBytes)
  }

  /** A copy of `bytes`, in a block where they fill most of one. */
  copy(bytes: Uint8Array): Uint8Array {
    const { length } = bytes
    if (length > this.blockBytes || length * 2 < this.blockBytes) return bytes.slice()
    const block = this.take()
    block.set(bytes)
    return block.subarray(0, length)
  }

  /** Nobody looks at the bytes any more: the block that they are in, if they are in one, is filled again. */
  giveBack(bytes: Uint8Array): void {
    const isBlock = bytes.buffer.byteLength === this.blockBytes
    if (isBlock && this.spares.length < this.sparesMax)
      this.spares.push(new Uint8Array(bytes.buffer))
  }
}
