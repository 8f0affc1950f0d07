/**
 * An upstream whose bytes are compressed. What `write` is given counts as taken when all that it became is
 * with the kernel: the first call starts the work and takes nothing, `onDrain` follows, and the next call,
 * which has to be with the same bytes, takes them.
 */

import type { Upstream, UpstreamEvents } from './upstream.ts'
import type { Encoder } from '../transports/compression.ts'

export class CompressedUpstream implements Upstream {
  private readonly below: Upstream
  private readonly encoder: Encoder
  private readonly events: UpstreamEvents
  private packed: Uint8Array
  private offset: number
  /** Bytes given to the encoder; 0: it is free. */
  private working: number
  private encoded: boolean
  private plainTaken: number
  private packedTaken: number
  private plainConfirmed: number
  /** Up to where each write came, plain and packed, of those that are not confirmed. */
  private readonly writes: { readonly plainEnd: number; readonly packedEnd: number }[]

  constructor(
    connect: (events: UpstreamEvents) => Upstream,
    encoder: Encoder,
    events: UpstreamEvents,
  ) {
    this.encoder = encoder
    this.events = events
    this.packed = new Uint8Array(0)
    this.offset = 0
    this.working = 0
    this.encoded = false
    this.plainTaken = 0
    this.packedTaken = 0
    this.plainConfirmed = 0
    this.writes = []
    this.below = connect({
      onOpen: () => events.onOpen(),
      onDrain: () => this.flush(),
      onData: (bytes) => events.onData(bytes),
      onClose: (end) => {
        encoder.close()
        events.onClose(end)
      },
    })
  }

  get remoteAddress(): string | undefined {
    return this.below.remoteAddress
  }

  write(bytes: Uint8Array): number {
    if (this.working === 0) {
      this.working = bytes.length
      this.encoded = false
      this.encoder.encode(bytes, (packed) => {
        this.packed = packed
        this.offset = 0
        this.encoded = true
        this.writePacked()
        if (this.isWritten) queueMicrotask(() => this.events.onDrain())
      })
      return 0
    }
    if (!this.isWritten) return 0
    const taken = this.working
    this.working = 0
    this.plainTaken += taken
    this.writes.push({ plainEnd: this.plainTaken, packedEnd: this.packedTaken })
    return taken
  }

  get unconfirmed(): number {
    const { writes } = this
    const packedConfirmed = this.packedTaken - this.below.unconfirmed
    let count = 0
    while (count < writes.length && writes[count]!.packedEnd <= packedConfirmed) count++
    if (count > 0) this.plainConfirmed = writes[count - 1]!.plainEnd
    writes.splice(0, count)
    return this.plainTaken - this.plainConfirmed
  }

  finish(): void {
    this.below.finish()
  }

  end(): void {
    this.encoder.close()
    this.below.end()
  }

  private get isWritten(): boolean {
    return this.encoded && this.offset === this.packed.length
  }

  private flush(): void {
    this.writePacked()
    if (this.isWritten) this.events.onDrain()
  }

  private writePacked(): void {
    if (!this.encoded || this.offset === this.packed.length) return
    const taken = this.below.write(this.packed.subarray(this.offset))
    this.offset += taken
    this.packedTaken += taken
  }
}
