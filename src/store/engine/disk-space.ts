/**
 * What is still done on a disk that is short of space, or does not take what is written. Limits of space are
 * lifted again at 1.5 times themselves; a disk that failed a write is tried with a small file until it takes that.
 *
 * ```
 * below max(5 %, 512 MiB)             no new series; retention runs at once
 * below 256 MiB, or a failed write    no points either: the relay spools
 * ```
 *
 * A ballast file of 32 MiB is given up when writing stops, so that a manifest can still be written, and
 * laid down again when there is room.
 */

import { type Disk, errorCode, isDiskFull, type OpenMode } from '../../lib/disk.ts'
import { probePath, reservePath } from '../files/filenames.ts'

const MIB = 1024 * 1024
const SERIES_SHARE = 0.05
const SERIES_BYTES = 512 * MIB
const POINTS_BYTES = 256 * MIB
const RESUME_FACTOR = 1.5
export const RESERVE_BYTES = 32 * MIB
/** More than a file system would keep beside a name. */
const PROBE_BYTES = 4_096

/** What /readyz says of a failed write. */
const WORDING: Readonly<Record<string, string>> = {
  EROFS: 'disk mounted read-only',
  EIO: 'disk fails, read-only',
}

export class DiskSpace {
  private readonly disk: Disk
  private readonly dir: string
  private readonly reserveBytes: number
  acceptsSeries = true
  acceptsPoints = true
  /** Why the disk took no write, until it takes one. */
  private failure: string | undefined

  constructor(disk: Disk, dir: string, reserveBytes: number) {
    this.disk = disk
    this.dir = dir
    this.reserveBytes = reserveBytes
  }

  /** Looks again; to be called every few seconds. True when points may come that may not now: say `resume()`. */
  check(): boolean {
    const { freeBytes, totalBytes } = this.disk.space(this.dir)
    const seriesLimit = Math.max(totalBytes * SERIES_SHARE, SERIES_BYTES)
    const pointsLimit = Math.min(POINTS_BYTES, seriesLimit / 2)
    const hasRoom = freeBytes >= pointsLimit * (this.acceptsPoints ? 1 : RESUME_FACTOR)
    if (!this.acceptsPoints) return hasRoom && this.isWritten()
    if (!hasRoom) this.stop()
    else {
      this.acceptsSeries = freeBytes >= seriesLimit * (this.acceptsSeries ? 1 : RESUME_FACTOR)
      if (this.acceptsSeries) this.layReserve()
    }
    return false
  }

  /** What waited for the disk is written. */
  resume(): void {
    this.failure = undefined
    this.acceptsPoints = true
    this.check()
  }

  /** A write failed; true when the disk was the reason, so that it may be tried again later. */
  noteFailure(error: unknown): boolean {
    if (!isDiskFull(error)) return false
    this.failure = WORDING[errorCode(error)]
    this.stop()
    return true
  }

  get reasons(): string[] {
    if (!this.acceptsPoints) return [this.failure ?? 'disk full, read-only']
    return []
  }

  /** Whether the disk takes a write again. */
  private isWritten(): boolean {
    const path = probePath(this.dir)
    try {
      this.write(path, 'append', PROBE_BYTES)
      this.disk.remove(path)
      return true
    } catch (error) {
      if (!this.noteFailure(error)) throw error
      return false
    }
  }

  private stop(): void {
    this.acceptsPoints = false
    this.acceptsSeries = false
    try {
      this.disk.remove(reservePath(this.dir))
    } catch (error) {
      if (!isDiskFull(error)) throw error
    }
  }

  private layReserve(): void {
    const path = reservePath(this.dir)
    if (this.reserveBytes === 0 || this.disk.stat(path)?.bytes === this.reserveBytes) return
    try {
      this.disk.remove(path)
      this.write(path, 'create', this.reserveBytes)
    } catch (error) {
      if (!this.noteFailure(error)) throw error
    }
  }

  /** So many zeros. */
  private write(path: string, mode: OpenMode, bytes: number): void {
    const file = this.disk.open(path, mode)
    try {
      const zeros = new Uint8Array(Math.min(MIB, bytes))
      for (let at = 0; at < bytes; at += zeros.length)
        file.append(zeros.subarray(0, Math.min(zeros.length, bytes - at)))
    } finally {
      file.close()
    }
  }
}
