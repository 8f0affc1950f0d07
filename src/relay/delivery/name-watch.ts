/**
 * Looks a name up again whenever what is known of it is no longer good, for as long as it is open, and hands on
 * what it finds. Nothing is handed on for a name that has no address now: what was known stays.
 */

import type { Clock, Timer } from '../../lib/clock.ts'
import type { Found } from './look-up.ts'

export class NameWatch {
  private readonly clock: Clock
  private readonly lookUp: () => Promise<Found>
  private readonly onAddresses: (addresses: readonly string[]) => void
  private timer: Timer | undefined
  private closed: boolean

  constructor(
    clock: Clock,
    lookUp: () => Promise<Found>,
    onAddresses: (addresses: readonly string[]) => void,
  ) {
    this.clock = clock
    this.lookUp = lookUp
    this.onAddresses = onAddresses
    this.timer = undefined
    this.closed = false
    void this.look()
  }

  close(): void {
    this.closed = true
    this.timer?.cancel()
  }

  private async look(): Promise<void> {
    const { addresses, freshMs } = await this.lookUp()
    if (this.closed) return
    this.timer = this.clock.after(freshMs, () => void this.look())
    if (addresses.length > 0) this.onAddresses(addresses)
  }
}
