/**
 * A cluster of type file: what is sent is appended, and synced within SYNC_MS (a device that cannot be synced holds
 * it at once). A failing disk is a closed connection; a line that it took only a part of gets its end before the next
 * one begins.
 */

import { NEWLINE } from '../../lib/bytes.ts'
import type { Clock, Timer } from '../../lib/clock.ts'
import { type Disk, type DiskFile, errorCode } from '../../lib/disk.ts'
import { reason } from '../../lib/log.ts'
import type { Upstream, UpstreamEvents } from './upstream.ts'

const SYNC_MS = 500

export function openFileUpstream(
  surroundings: { disk: Disk; clock: Clock },
  path: string,
  events: UpstreamEvents,
): Upstream {
  return new FileUpstream(surroundings, path, events)
}

class FileUpstream implements Upstream {
  /** Not synced yet. */
  unconfirmed: number
  private readonly disk: Disk
  private readonly clock: Clock
  private readonly path: string
  private readonly events: UpstreamEvents
  private file: DiskFile | undefined
  private over: boolean
  private timer: Timer | undefined
  /** The file is closed when it is over. */
  private syncing: boolean
  private canSync: boolean

  constructor({ disk, clock }: { disk: Disk; clock: Clock }, path: string, events: UpstreamEvents) {
    this.unconfirmed = 0
    this.disk = disk
    this.clock = clock
    this.path = path
    this.events = events
    this.file = undefined
    this.over = false
    this.timer = undefined
    this.syncing = false
    this.canSync = true
    clock.after(0, () => this.open())
  }

  write(bytes: Uint8Array): number {
    if (this.over || !this.file) return 0
    try {
      this.file.append(bytes)
    } catch (error) {
      this.fail(error)
      return 0
    }
    if (this.canSync) {
      this.unconfirmed += bytes.length
      this.syncLater()
    }
    return bytes.length
  }

  finish(): void {
    if (this.over) return
    this.end()
    const end = { reason: 'finished', orderly: true }
    this.clock.after(0, () => this.events.onClose(end))
  }

  end(): void {
    if (this.over) return
    this.over = true
    this.timer?.cancel()
    if (!this.syncing) this.file?.close()
  }

  private open(): void {
    if (this.over) return
    try {
      this.file = this.disk.open(this.path, 'append', 0o644)
      endTornLine(this.file)
    } catch (error) {
      return this.fail(error)
    }
    this.events.onOpen()
  }

  private fail(error: unknown): void {
    if (this.over) return
    this.end()
    const end = { reason: reason(error), orderly: false }
    this.clock.after(0, () => this.events.onClose(end))
  }

  private syncLater(): void {
    this.timer ??= this.clock.after(SYNC_MS, () => void this.sync())
  }

  /** What was not synced comes again on the next connection, unless there is nothing to sync. */
  private cannotSync(error: unknown): void {
    if (errorCode(error) !== 'EINVAL') return this.fail(error)
    this.canSync = false
    this.unconfirmed = 0
  }

  private async sync(): Promise<void> {
    const bytes = this.unconfirmed
    this.syncing = true
    try {
      await this.file!.sync()
      this.unconfirmed -= bytes
    } catch (error) {
      this.cannotSync(error)
    }
    this.syncing = false
    this.timer = undefined
    if (this.over) this.file!.close()
    else if (this.unconfirmed > 0) this.syncLater()
  }
}

function endTornLine(file: DiskFile): void {
  const size = file.size()
  if (size > 0 && file.read(size - 1, 1)[0] !== NEWLINE) file.append(Uint8Array.of(NEWLINE))
}
