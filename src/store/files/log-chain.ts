/**
 * Which segments of the log count, how far, and in which order. Every segment starts with the place that it
 * follows on, so the log is a chain that is read from its newest segment back:
 *
 * ```
 *   41 ──────────────┐      42 "follows 41 at its end"     a checkpoint has begun
 *   42 ───────┐ lost?└─▶    43 "follows 41 at its end"     42's sync failed: its records again, and on
 *   43 ───────└──────────▶  42 is dead
 * ```
 *
 * A power cut may leave a segment without its end, and one that follows on it. What lies behind such a gap
 * was not synced either, and does not count: the log is a prefix of what happened. Nor does a segment count that says
 * it follows itself or a later one (a file that somebody gave another number). A segment of version 1 does not say
 * what it follows: it is the one before it.
 */

import { CorruptionError } from '../../lib/corruption.ts'
import type { Disk } from '../../lib/disk.ts'
import { parseSegmentName, segmentPath, walDir } from './filenames.ts'
import { decodeFollow, type LogPosition, RecordType, WAL_MAGIC } from './wal-format.ts'
import { readFirstRecord } from './wal-reader.ts'

/** A segment that counts. */
export interface ChainLink {
  readonly segment: number
  readonly path: string
  /** Bytes of it that count, as far as they are whole. */
  readonly end: number
  /** The next one needs all of them. */
  readonly isFollowed: boolean
}

export interface LogChain {
  /** In the order of replay. */
  readonly links: readonly ChainLink[]
  /** Segments that others took the place of. */
  readonly dead: readonly string[]
  /** Segments behind one that is not there. */
  readonly lost: readonly string[]
  /** The highest number that is taken. */
  readonly last: number
}

export function findChain(disk: Disk, dir: string, firstSegment: number): LogChain {
  const segments = disk
    .list(walDir(dir))
    .map(parseSegmentName)
    .filter((segment) => segment !== undefined)
  let links: ChainLink[] = []
  let lost: string[] = []
  const next = { end: Infinity, isFollowed: false }
  for (let at = segments.length - 1; at >= 0 && segments[at]! >= firstSegment;) {
    const segment = segments[at]!
    const path = segmentPath(dir, segment)
    links.unshift({ segment, path, ...next })
    const follows = followOf(disk, path)
    const before = follows?.segment ?? segments[at - 1] ?? 0
    next.end = follows?.bytes ?? Infinity
    next.isFollowed = follows !== undefined
    at = segments.findLastIndex((other) => other <= before && other < segment)
    if (before < firstSegment || segments[at] === before) continue
    lost = [...links.map((link) => link.path), ...lost]
    links = []
    next.end = Infinity
    next.isFollowed = false
  }
  const counted = new Set([...links.map((link) => link.path), ...lost])
  const dead = segments.map((segment) => segmentPath(dir, segment)).filter((p) => !counted.has(p))
  return { links, dead, lost, last: segments.at(-1) ?? 0 }
}

function followOf(disk: Disk, path: string): LogPosition | undefined {
  try {
    const first = readFirstRecord(disk, path, WAL_MAGIC)
    return first?.type === RecordType.follow ? decodeFollow(first.payload) : undefined
  } catch (error) {
    // Nothing of it counts; who reads it reports it.
    if (error instanceof CorruptionError) return undefined
    throw error
  }
}
